//! The far side: a real registry and real sshds on loopback. Whatever becomes of the benchmark, they end with it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Slot, State, Step};
use secrecy::ExposeSecret;
use step::{
    Certificate, CertificateAuthority, CertificateSpec, KeyPairFiles, PrepareRegistryCredentials,
    RegistryCredentials, Usage,
};
use tokio::runtime::Runtime;

use crate::acts::operator;
use crate::emptied;

/// How long a service may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that listens on a port; it is ended when dropped.
struct Service(Child);

impl Service {
    fn start(argv: &[&str], port: u16, log: &Utf8Path) -> Result<Self> {
        let output = File::create(log)?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .args(argv)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("setpriv")?;
        let service = Self(child);
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure!(
                Instant::now() < deadline,
                "{} does not come up:\n{}",
                argv.join(" "),
                fs::read_to_string(log)?
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(service)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// What a registry's TLS and passwords need, made by the steps that make it for a site.
pub struct RegistrySite {
    dir: Utf8PathBuf,
    credentials: Slot<RegistryCredentials>,
}

impl RegistrySite {
    pub fn make(dir: Utf8PathBuf) -> Result<Self> {
        emptied(&dir)?;
        let certs = dir.join("certs");
        let credentials = Slot::new("registry credentials");
        let ca = KeyPairFiles::at(certs.join("ca"));
        let spec =
            CertificateSpec::new("registry", Usage::Server).ips([Ipv4Addr::LOCALHOST.into()]);
        let server = KeyPairFiles::at(certs.join("server"));
        let steps: [Box<dyn Step>; 3] = [
            Box::new(CertificateAuthority::new(ca.clone(), "registry-ca")),
            Box::new(Certificate::new(ca, server, spec)),
            Box::new(PrepareRegistryCredentials::new(
                &certs,
                None,
                credentials.clone(),
            )),
        ];
        Runtime::new()?.block_on(async {
            let cx = operator();
            for step in steps {
                step.apply(&cx).await?;
                let state = step.check(&cx).await?;
                ensure!(state == State::Satisfied, "{}: {state:?}", step.describe());
            }
            Ok(())
        })?;
        Ok(Self { dir, credentials })
    }

    pub fn certs(&self) -> Utf8PathBuf {
        self.dir.join("certs")
    }

    /// `USER:PASSWORD`, as skopeo wants it.
    pub fn login(&self) -> Result<String> {
        let credentials = self.credentials.get().context("no credentials")?;
        let password = credentials.password.expose_secret();
        Ok(format!("{}:{password}", credentials.username))
    }

    /// An empty registry on a port of its own: nobody remembers anything of an earlier one.
    pub fn registry(&self) -> Result<Registry> {
        let port = free_port()?;
        let dir = &self.dir;
        emptied(&dir.join("storage"))?;
        let config = dir.join("registry.yml");
        fs::write(
            &config,
            format!(
                "\
version: 0.1
log: {{ level: error, accesslog: {{ disabled: true }} }}
storage: {{ filesystem: {{ rootdirectory: {dir}/storage }} }}
auth: {{ htpasswd: {{ realm: site, path: {dir}/certs/htpasswd }} }}
http:
  addr: 127.0.0.1:{port}
  secret: bench
  tls: {{ certificate: {dir}/certs/server.crt, key: {dir}/certs/server.key }}
"
            ),
        )?;
        let argv = ["docker-registry", "serve", config.as_str()];
        Ok(Registry {
            _service: Service::start(&argv, port, &dir.join("registry.log"))?,
            port,
        })
    }
}

pub struct Registry {
    _service: Service,
    pub port: u16,
}

/// An sshd that lets root in by a key.
pub struct Sshd {
    _service: Service,
    pub port: u16,
}

/// As many sshds as there are hosts, with one host key and one login.
pub struct Hosts {
    pub login: Utf8PathBuf,
    /// Their keys, as OpenSSH keeps them.
    pub known: Utf8PathBuf,
    pub sshds: Vec<Sshd>,
}

impl Hosts {
    pub fn start(dir: &Utf8Path, count: usize) -> Result<Self> {
        emptied(dir)?;
        let (login, host) = (dir.join("login"), dir.join("host"));
        key(&login)?;
        key(&host)?;
        // sshd's own empty directory, which the package's service would make.
        fs::create_dir_all("/run/sshd")?;
        let sshds = (0..count)
            .map(|_| Sshd::start(dir))
            .collect::<Result<Vec<_>>>()?;
        let public = fs::read_to_string(format!("{host}.pub"))?;
        let lines = sshds
            .iter()
            .map(|sshd| ["[127.0.0.1]:", &sshd.port.to_string(), " ", &public].concat());
        let known = dir.join("known_hosts");
        fs::write(&known, lines.collect::<String>())?;
        Ok(Self {
            login,
            known,
            sshds,
        })
    }
}

impl Sshd {
    fn start(dir: &Utf8Path) -> Result<Self> {
        let port = free_port()?;
        let config = dir.join(format!("sshd-{port}"));
        fs::write(
            &config,
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/login.pub\n\
                 PidFile none\nUsePAM no\nStrictModes no\nSubsystem sftp /usr/lib/openssh/sftp-server\n"
            ),
        )?;
        let argv = ["/usr/sbin/sshd", "-D", "-e", "-f", config.as_str()];
        Ok(Self {
            _service: Service::start(&argv, port, &dir.join(format!("sshd-{port}.log")))?,
            port,
        })
    }
}

fn key(path: &Utf8Path) -> Result<()> {
    let done = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f"])
        .arg(path)
        .status()
        .context("ssh-keygen")?;
    done.success()
        .then_some(())
        .ok_or_else(|| anyhow!("ssh-keygen could not make {path}"))
}
