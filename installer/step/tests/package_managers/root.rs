//! A bare host with a real package manager, in a namespace of its own, reached over real SSH.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, State, Step, StepError};
use event::Progress;
use host::ssh::{Auth, HostKeys, Options, SshHost, Target, UnknownHost};
use host::{FileAttrs, Host, Source};
use secrecy::SecretString;
use tempfile::TempDir;

use crate::manager::{Manager, Package};

/// Ends with the test, and leaves nothing behind.
pub struct Root {
    pub manager: Manager,
    host: Arc<SshHost>,
    dir: TempDir,
    namespace: Child,
    /// What it had from the beginning.
    bare: Lines,
}

/// What a host says of itself, line by line.
pub type Lines = BTreeSet<String>;

impl Root {
    /// Tells what is missing where a root cannot be had.
    pub async fn up(manager: Manager) -> Option<Self> {
        Self::with_room(manager, "256m").await
    }

    /// On which so much can be written.
    pub async fn with_room(manager: Manager, size: &str) -> Option<Self> {
        let base = base(manager)?;
        let dir = TempDir::new().unwrap();
        for key in ["host_key", "login"] {
            let path = dir.path().join(key);
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"]);
            assert!(keygen.arg(path).status().unwrap().success());
        }
        let port = free_port();
        let log = File::create(dir.path().join("log")).unwrap();
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/package_managers/root.sh"
        );
        let namespace = Command::new(script)
            .arg(base)
            .arg(dir.path())
            .args([size, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let log = fs::read_to_string(dir.path().join("log")).unwrap();
            assert!(Instant::now() < deadline, "sshd does not listen: {log}");
            std::thread::yield_now();
        }
        let mut root = Self {
            manager,
            host: Arc::new(ssh(dir.path(), port)),
            dir,
            namespace,
            bare: Lines::new(),
        };
        root.sh(manager.own_settings()).await;
        root.has(&manager.base()).await;
        root.bare = lines(&root.sh(manager.list()).await);
        Some(root)
    }

    pub fn cx(&self) -> Cx {
        Cx::new(self.host.clone(), Progress::unseen())
    }

    /// Runs a script that must succeed, and gives what it printed.
    pub async fn sh(&self, script: &str) -> String {
        let command = host::Command::script(format!("set -e\nexport LC_ALL=C\n{script}"));
        let output = self.host.run(&command).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.ok(), "{script}\n{}{said}", output.text());
        output.text()
    }

    /// Its user has installed these with the system's own tool.
    pub async fn has(&self, packages: &[Package]) {
        if packages.is_empty() {
            return;
        }
        let dir = TempDir::new().unwrap();
        let mut files = Vec::new();
        for package in packages {
            let file = self.manager.build(package, dir.path());
            let from = Utf8PathBuf::try_from(dir.path().join(&file)).unwrap();
            let to = Utf8Path::new("/root/files").join(file);
            let attrs = FileAttrs::root(0o644);
            let progress = Progress::unseen();
            let from = Source::File(from);
            let uploaded = self.host.upload(&from, &to, &attrs, &progress);
            uploaded.await.unwrap();
            files.push(to.into_string());
        }
        let install = self.manager.install_files();
        let files = files.join(" ");
        self.sh(&format!("{install} {files}; rm -r /root/files"))
            .await;
    }

    /// As the engine does it: check, apply where needed, check again. Says why there was something to do.
    pub async fn converge(&self, step: &dyn Step) -> Result<String, StepError> {
        let cx = self.cx();
        let State::Needed(reason) = step.check(&cx).await? else {
            return Ok("satisfied".to_owned());
        };
        step.apply(&cx).await?;
        assert_eq!(step.check(&cx).await?, State::Satisfied);
        Ok(reason)
    }

    /// What a person is told of a step that fails.
    pub async fn refuses(&self, step: &dyn Step) -> String {
        let error = self.converge(step).await.unwrap_err();
        format!("{error}\nhint: {}", error.hint().unwrap_or("none"))
    }

    /// `name version` of what came to the bare root, with dpkg's status where that is not "installed".
    pub async fn packages(&self) -> Vec<String> {
        let now = lines(&self.sh(self.manager.list()).await);
        let gone: Vec<&String> = self.bare.difference(&now).collect();
        assert!(gone.is_empty(), "gone: {gone:?}");
        now.difference(&self.bare).cloned().collect()
    }

    /// Every file but the logs and backups of the system's tools; of settings, sources, lists and keys with its content.
    pub async fn everything(&self) -> Lines {
        let script = r"
            find / -xdev \( -path /proc -o -path /run/ssh -o -path /var/lib/kubexm \) -prune -o -printf '%M %u %g %p %l\n'
            find /etc /usr/share/keyrings /var/lib/apt -xdev -type f -exec sha256sum {} +
            [ ! -e /var/lib/kubexm ] || find /var/lib/kubexm -type f";
        let mut all = lines(&self.sh(script).await);
        all.retain(|line| !KEPT_BY_TOOLS.iter().any(|kept| line.contains(kept)));
        all
    }
}

fn lines(text: &str) -> Lines {
    text.lines().map(ToOwned::to_owned).collect()
}

/// Logs, locks, and what tools keep of yesterday for themselves.
const KEPT_BY_TOOLS: &[&str] = &[
    " /var/log/",
    " /var/lib/dpkg/",
    " /var/cache/debconf/",
    " /var/cache/ldconfig/",
    " /var/lib/rpm/",
    " /var/lib/dnf",
    " /etc/passwd-",
    " /etc/group-",
    " /etc/shadow-",
    " /etc/gshadow-",
    " /etc/subuid-",
    " /etc/subgid-",
    " /root ",
];

impl Drop for Root {
    fn drop(&mut self) {
        drop(self.namespace.stdin.take());
        let _ = self.namespace.wait();
        // The namespace is gone, and with it what was mounted here.
        let _ = fs::remove_dir_all(self.dir.path());
    }
}

fn base(manager: Manager) -> Option<String> {
    let missing: Vec<&str> = ["/usr/sbin/debootstrap", "/usr/bin/unshare"]
        .into_iter()
        .chain(manager.tools().iter().copied())
        .filter(|tool| !Path::new(tool).exists())
        .collect();
    if !missing.is_empty() {
        eprintln!("skipped: no {missing:?}; `make setup` installs what is missing");
        return None;
    }
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout != b"0\n" {
        eprintln!("skipped: only root can make a root");
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/lab/base.sh");
    let output = Command::new(script)
        .args(["debian-13", manager.flavor()])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    if !output.status.success() {
        eprintln!("skipped: a bare root cannot be had");
        return None;
    }
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

fn ssh(dir: &Path, port: u16) -> SshHost {
    let public = fs::read_to_string(dir.join("host_key.pub")).unwrap();
    let known_hosts = Utf8PathBuf::try_from(dir.join("known_hosts")).unwrap();
    fs::write(&known_hosts, format!("[127.0.0.1]:{port} {public}")).unwrap();
    let login = fs::read_to_string(dir.join("login")).unwrap();
    let target = Target {
        name: "node1".to_owned(),
        address: "127.0.0.1".to_owned(),
        port,
        user: "root".to_owned(),
        auth: vec![Auth::Key {
            text: SecretString::from(login),
            passphrase: None,
            origin: "login".to_owned(),
        }],
        sudo_password: None,
        host_key: None,
        bastion: None,
    };
    let keys = HostKeys {
        known_hosts: vec![known_hosts],
        unknown: UnknownHost::Refuse,
    };
    SshHost::new(target, keys, Options::default())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
