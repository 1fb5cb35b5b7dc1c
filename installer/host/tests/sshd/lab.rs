//! A real sshd on loopback, and users who exist for one test.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use host::ssh::{Auth, HostKeys, Options, SshHost, Target, UnknownHost};
use secrecy::SecretString;
use tempfile::TempDir;

/// Runs a script that must succeed, and gives what it printed.
pub fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub fn mode(path: &Utf8Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub fn names(dir: &Utf8Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A user of this system until it is dropped.
pub struct User {
    pub name: String,
    password: String,
}

impl User {
    pub fn add(password: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kx{}x{count}", std::process::id());
        sh(&format!(
            "exec 9>/run/kubexm-test-users; flock 9; useradd -m -s /bin/bash {name}"
        ));
        let mut chpasswd = Command::new("chpasswd")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        write!(chpasswd.stdin.take().unwrap(), "{name}:{password}").unwrap();
        assert!(chpasswd.wait().unwrap().success());
        Self {
            name,
            password: password.to_owned(),
        }
    }

    pub fn password(&self) -> Auth {
        Auth::Password(SecretString::from(self.password.clone()))
    }

    /// Lets sudo obey a rule for this user.
    pub fn sudo(&self, rule: &str) {
        let file = self.sudoers();
        std::fs::write(&file, format!("{} {rule}\n", self.name)).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o440)).unwrap();
    }

    fn sudoers(&self) -> String {
        format!("/etc/sudoers.d/{}", self.name)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.sudoers());
        let script = "exec 9>/run/kubexm-test-users; flock 9; userdel -f -r \"$1\"";
        let _ = Command::new("sh")
            .args(["-c", script, "-", &self.name])
            .output();
    }
}

/// An sshd with keys of its own.
pub struct Sshd {
    pub dir: TempDir,
    pub port: u16,
    child: Child,
}

impl Sshd {
    /// With an ed25519 key; `config` comes before the defaults, and so wins.
    pub fn start(config: &str) -> Self {
        Self::with_keys(&["ed25519"], config)
    }

    pub fn with_keys(kinds: &[&str], config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for kind in kinds {
            make_key(&dir.path().join(format!("host_{kind}")), kind, "");
        }
        make_key(&dir.path().join("login"), "ed25519", "");
        let port = free_port();
        let child = launch(dir.path(), port, kinds, config);
        Self { dir, port, child }
    }

    /// One whose users see no processes but their own.
    pub fn hiding_processes() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for key in ["host_ed25519", "login"] {
            make_key(&dir.path().join(key), "ed25519", "");
        }
        let port = free_port();
        let script = "mount -t proc -o hidepid=2 proc /proc; exec \"$0\" \"$@\"";
        let mut unshare = Command::new("unshare");
        unshare.args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-ec",
            script,
        ]);
        unshare.arg(SSHD);
        let child = launch_by(unshare, dir.path(), port, &["ed25519"], "");
        Self { dir, port, child }
    }

    pub fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::try_from(self.dir.path().join(name)).unwrap()
    }

    /// Lets the owner of this public key in, whoever it logs in as.
    pub fn authorize(&self, key: &Utf8Path) {
        let line = std::fs::read_to_string(format!("{key}.pub")).unwrap();
        let file = self.path("authorized_keys");
        let mut all = std::fs::read_to_string(&file).unwrap_or_default();
        all.push_str(&line);
        std::fs::write(file, all).unwrap();
    }

    /// A file of known hosts with these of its keys.
    pub fn known_hosts(&self, kinds: &[&str]) -> Utf8PathBuf {
        let file = self.path("known_hosts");
        let lines: Vec<String> = kinds
            .iter()
            .map(|kind| self.known_hosts_line(kind) + "\n")
            .collect();
        std::fs::write(&file, lines.concat()).unwrap();
        file
    }

    pub fn target(&self, user: &str, auth: Vec<Auth>) -> Target {
        Target {
            name: "node1".to_owned(),
            address: "127.0.0.1".to_owned(),
            port: self.port,
            user: user.to_owned(),
            auth,
            sudo_password: None,
            host_key: None,
            bastion: None,
        }
    }

    /// Trusts the ed25519 key.
    pub fn keys(&self) -> HostKeys {
        let known_hosts = vec![self.known_hosts(&["ed25519"])];
        HostKeys {
            known_hosts,
            unknown: UnknownHost::Refuse,
        }
    }

    pub fn host(&self, user: &User, auth: Vec<Auth>) -> SshHost {
        SshHost::new(
            self.target(&user.name, auth),
            self.keys(),
            Options::default(),
        )
    }

    /// root, by a key.
    pub fn root(&self) -> SshHost {
        SshHost::new(self.root_target(), self.keys(), Options::default())
    }

    /// root, by a key.
    pub fn root_target(&self) -> Target {
        let key = self.path("login");
        self.authorize(&key);
        self.target("root", vec![key_auth(&key, None)])
    }

    /// Ends it and all its connections, but not what runs in them.
    pub fn kill(&mut self) {
        kill_daemons(self.child.id());
        let _ = self.child.wait();
    }

    pub fn start_again(&mut self, kinds: &[&str], config: &str) {
        self.child = launch(self.dir.path(), self.port, kinds, config);
    }

    /// A line like `[127.0.0.1]:2022 ssh-ed25519 AAAA...`.
    pub fn known_hosts_line(&self, kind: &str) -> String {
        let key = std::fs::read_to_string(self.path(&format!("host_{kind}.pub"))).unwrap();
        format!("[127.0.0.1]:{} {}", self.port, key.trim())
    }

    /// The text of an error and its hint, with everything that differs from run to run named.
    pub fn golden(&self, error: &host::HostError, user: &str) -> String {
        let text = match error.hint() {
            Some(hint) => format!("{error}\nhint: {hint}"),
            None => error.to_string(),
        };
        let text = text
            .replace(&self.port.to_string(), "PORT")
            .replace(self.path("").as_str(), "DIR/");
        let text = if user == "root" {
            text
        } else {
            text.replace(user, "USER")
        };
        let mut words = Vec::new();
        for word in text.split(' ') {
            let at = word.find("SHA256:").map(|at| at + "SHA256:".len());
            words.push(at.map_or(word.to_owned(), |at| {
                let rest = word[at..]
                    .trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "+/".contains(c));
                format!("{}FINGERPRINT{rest}", &word[..at])
            }));
        }
        words.join(" ")
    }
}

/// Kills this daemon and the daemons it has forked for its connections.
fn kill_daemons(pid: u32) {
    let children = Command::new("pgrep")
        .args(["-P", &pid.to_string(), "-x", "sshd"])
        .output()
        .unwrap();
    // First, so that it forks no more.
    let _ = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .output();
    for child in String::from_utf8(children.stdout).unwrap().lines() {
        kill_daemons(child.parse().unwrap());
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits for what must come about by itself.
pub async fn until(what: &str, mut come: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !come() {
        assert!(Instant::now() < deadline, "it never happened: {what}");
        tokio::task::yield_now().await;
    }
}

/// Tries again while what fails may pass.
pub async fn eventually<T>(act: impl AsyncFn() -> Result<T, host::HostError>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match act().await {
            Ok(done) => return done,
            Err(error) => assert!(error.may_pass() && Instant::now() < deadline, "{error}"),
        }
    }
}

/// Whether a process lives; one that only waits to be buried does not.
pub fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
    })
}

pub fn key_auth(key: &Utf8Path, passphrase: Option<&str>) -> Auth {
    Auth::Key {
        text: SecretString::from(std::fs::read_to_string(key).unwrap()),
        passphrase: passphrase.map(SecretString::from),
        origin: key.file_name().unwrap().to_owned(),
    }
}

pub fn make_key(path: &Path, kind: &str, passphrase: &str) {
    let done = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"])
        .arg(path)
        .status();
    assert!(done.unwrap().success());
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

const SSHD: &str = "/usr/sbin/sshd";

fn launch(dir: &Path, port: u16, kinds: &[&str], config: &str) -> Child {
    launch_by(Command::new(SSHD), dir, port, kinds, config)
}

fn launch_by(mut program: Command, dir: &Path, port: u16, kinds: &[&str], config: &str) -> Child {
    let dir = dir.to_str().unwrap();
    let keys: Vec<String> = kinds
        .iter()
        .map(|kind| format!("HostKey {dir}/host_{kind}"))
        .collect();
    let keys = keys.join("\n");
    let text = format!(
        "{config}\nPort {port}\nListenAddress 127.0.0.1\n{keys}\nPidFile none\nUsePAM no\nStrictModes no\n\
         PermitRootLogin yes\nKbdInteractiveAuthentication no\nAuthorizedKeysFile {dir}/authorized_keys\n\
         LoginGraceTime 20\nMaxStartups 100\n"
    );
    let file = format!("{dir}/sshd_config");
    std::fs::write(&file, text).unwrap();
    std::fs::create_dir_all("/run/sshd").unwrap();
    let child = program
        .args(["-D", "-e", "-f", &file])
        .stderr(std::fs::File::create(format!("{dir}/log")).unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = std::fs::read_to_string(format!("{dir}/log")).unwrap();
        assert!(Instant::now() < deadline, "sshd does not listen: {log}");
        std::thread::yield_now();
    }
    child
}
