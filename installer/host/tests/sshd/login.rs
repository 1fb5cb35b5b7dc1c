use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use camino::Utf8PathBuf;
use host::ssh::{Auth, Options, SshHost};
use host::{Command, Host, HostError};
use secrecy::SecretString;

use crate::lab::{Sshd, User, free_port, key_auth, make_key, until};

async fn who(host: &SshHost) -> Result<String, HostError> {
    Ok(host.run(&Command::new(["id", "-un"])).await?.text())
}

#[tokio::test]
async fn a_password_logs_in() {
    let (sshd, user) = (Sshd::start(""), User::add("it's $ecret"));
    assert_eq!(
        who(&sshd.host(&user, vec![user.password()])).await.unwrap(),
        user.name
    );
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_shown() {
    let (sshd, user) = (Sshd::start(""), User::add("hunter2"));
    let wrong = Auth::Password(SecretString::from("hunter3"));
    let error = who(&sshd.host(&user, vec![wrong])).await.unwrap_err();
    assert!(!error.may_pass());
    insta::assert_snapshot!(sshd.golden(&error, &user.name), @r"
    USER@127.0.0.1:PORT was refused: the password is wrong (the host accepts publickey, password)
    hint: check `user`, `password` or `privateKeyPath` of the host
    ");
}

#[tokio::test]
async fn every_kind_of_key_logs_in() {
    let sshd = Sshd::start("");
    for (kind, passphrase) in [
        ("ed25519", ""),
        ("ecdsa", ""),
        ("rsa", ""),
        ("rsa", "hunter2"),
        ("ed25519", "hunter2"),
    ] {
        let key = sshd.path(&format!("{kind}{passphrase}"));
        make_key(key.as_std_path(), kind, passphrase);
        sshd.authorize(&key);
        let auth = key_auth(&key, (!passphrase.is_empty()).then_some(passphrase));
        let host = SshHost::new(
            sshd.target("root", vec![auth]),
            sshd.keys(),
            Options::default(),
        );
        assert_eq!(who(&host).await.unwrap(), "root", "{kind} {passphrase}");
    }
}

#[tokio::test]
async fn a_key_in_pem_logs_in() {
    let sshd = Sshd::start("");
    let key = sshd.path("pem");
    make_key(key.as_std_path(), "rsa", "");
    sshd.authorize(&key);
    crate::lab::sh(&format!("ssh-keygen -q -p -m PEM -N '' -f {key}"));
    let auth = key_auth(&key, None);
    let host = SshHost::new(
        sshd.target("root", vec![auth]),
        sshd.keys(),
        Options::default(),
    );
    assert_eq!(who(&host).await.unwrap(), "root");
}

#[tokio::test]
async fn keys_that_do_not_open_are_told_apart() {
    let sshd = Sshd::start("");
    let (locked, stranger) = (sshd.path("locked"), sshd.path("stranger"));
    make_key(locked.as_std_path(), "ed25519", "hunter2");
    make_key(stranger.as_std_path(), "ed25519", "");
    let broken = Auth::Key {
        text: SecretString::from("not a key"),
        passphrase: None,
        origin: "~/.ssh/broken".to_owned(),
    };
    let ways = vec![
        key_auth(&locked, None),
        key_auth(&locked, Some("hunter3")),
        broken,
        key_auth(&stranger, None),
    ];
    let host = SshHost::new(sshd.target("root", ways), sshd.keys(), Options::default());
    let error = who(&host).await.unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, "root"), @r"
    root@127.0.0.1:PORT was refused: the key locked cannot be used: it needs a passphrase; the key locked cannot be used: the passphrase is wrong, or the key is damaged; the key ~/.ssh/broken cannot be used: it is no private key; the key stranger is not authorized (the host accepts publickey, password)
    hint: check `user`, `password` or `privateKeyPath` of the host
    ");
}

struct Agent {
    child: Child,
    socket: Utf8PathBuf,
}

impl Agent {
    async fn start(sshd: &Sshd) -> Self {
        let socket = sshd.path("agent");
        let child = Process::new("ssh-agent")
            .args(["-D", "-a", socket.as_str()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("the agent listens", || socket.exists()).await;
        Self { child, socket }
    }

    fn add(&self, key: &camino::Utf8Path) {
        let added = Process::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .status();
        assert!(added.unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn an_agent_logs_in_with_the_key_that_fits() {
    let sshd = Sshd::start("");
    let agent = Agent::start(&sshd).await;
    let through_agent = || {
        let auth = vec![Auth::Agent {
            socket: agent.socket.clone(),
        }];
        SshHost::new(sshd.target("root", auth), sshd.keys(), Options::default())
    };
    let error = who(&through_agent()).await.unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, "root"), @r"
    root@127.0.0.1:PORT was refused: the agent at DIR/agent holds no keys
    hint: check `user`, `password` or `privateKeyPath` of the host
    ");
    for kind in ["ed25519", "rsa"] {
        let key = sshd.path(&format!("agent_{kind}"));
        make_key(key.as_std_path(), kind, "");
        agent.add(&key);
    }
    let error = who(&through_agent()).await.unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, "root"), @r"
    root@127.0.0.1:PORT was refused: no key of the agent at DIR/agent is authorized (the host accepts publickey, password)
    hint: check `user`, `password` or `privateKeyPath` of the host
    ");
    sshd.authorize(&sshd.path("agent_rsa"));
    assert_eq!(who(&through_agent()).await.unwrap(), "root");
}

#[tokio::test]
async fn a_host_may_want_two_proofs() {
    let sshd = Sshd::start("AuthenticationMethods publickey,password");
    let user = User::add("hunter2");
    let key = sshd.path("login");
    sshd.authorize(&key);
    let both = sshd.host(&user, vec![key_auth(&key, None), user.password()]);
    assert_eq!(who(&both).await.unwrap(), user.name);
    let error = who(&sshd.host(&user, vec![key_auth(&key, None)]))
        .await
        .unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, &user.name), @r"
    USER@127.0.0.1:PORT was refused: the host wants one more proof (the host accepts password)
    hint: check `user`, `password` or `privateKeyPath` of the host
    ");
}

#[tokio::test]
async fn a_password_answers_pam_as_well() {
    let sshd =
        Sshd::start("UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes");
    let user = User::add("hunter2");
    assert_eq!(
        who(&sshd.host(&user, vec![user.password()])).await.unwrap(),
        user.name
    );
    let wrong = Auth::Password(SecretString::from("hunter3"));
    let error = who(&sshd.host(&user, vec![wrong])).await.unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, &user.name), @r"
    USER@127.0.0.1:PORT was refused: the password is wrong (the host accepts publickey, keyboard-interactive)
    hint: check `user`, `password` or `privateKeyPath` of the host
    ");
}

#[tokio::test]
async fn what_does_not_answer_is_told_apart() {
    let sshd = Sshd::start("");
    let options = Options {
        connect_timeout: Duration::from_secs(5),
        login_timeout: Duration::from_secs(1),
        ..Options::default()
    };
    let ask = async |port: u16| {
        let target = host::ssh::Target {
            port,
            ..sshd.target("root", Vec::new())
        };
        let error = who(&SshHost::new(target, sshd.keys(), options.clone()))
            .await
            .unwrap_err();
        assert!(error.may_pass());
        sshd.golden(&error, "root")
            .replace(&port.to_string(), "PORT")
    };
    insta::assert_snapshot!(ask(free_port()).await, @r"
    cannot reach 127.0.0.1:PORT: connection refused
    hint: is the host up, and are `address` and `port` right?
    ");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    insta::assert_snapshot!(ask(silent.local_addr().unwrap().port()).await, @r"
    cannot reach 127.0.0.1:PORT: no login within 1 s
    hint: is the host up, and are `address` and `port` right?
    ");
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = web.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = web.accept().unwrap();
        let _ = stream.read(&mut [0; 64]);
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
    });
    insta::assert_snapshot!(ask(port).await, @r"
    cannot reach 127.0.0.1:PORT: the host closed the connection
    hint: is the host up, and are `address` and `port` right?
    ");
    server.join().unwrap();
    let target = host::ssh::Target {
        address: "no-such-host.invalid".to_owned(),
        ..sshd.target("root", Vec::new())
    };
    let error = who(&SshHost::new(target, sshd.keys(), options))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot reach no-such-host.invalid:"),
        "{error}"
    );
}

#[tokio::test]
async fn without_a_way_in_the_error_says_so() {
    let sshd = Sshd::start("");
    let host = SshHost::new(
        sshd.target("root", Vec::new()),
        sshd.keys(),
        Options::default(),
    );
    let error = who(&host).await.unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, "root"), @r"
    root@127.0.0.1:PORT was refused: there is neither a password nor a key for it
    hint: check `user`, `password` or `privateKeyPath` of the host
    ");
}
