use camino::Utf8PathBuf;
use host::ssh::{HostKeys, Options, SshHost, Target, UnknownHost};
use host::{Command, Host, HostError};

use crate::lab::{Sshd, key_auth, sh};

const ALL: &[&str] = &["ed25519", "rsa", "ecdsa"];

async fn enter(sshd: &Sshd, keys: HostKeys, pin: Option<&str>) -> Result<(), HostError> {
    let login = sshd.path("login");
    sshd.authorize(&login);
    let target = Target {
        host_key: pin.map(|pin| pin.parse().unwrap()),
        ..sshd.target("root", vec![key_auth(&login, None)])
    };
    let host = SshHost::new(target, keys, Options::default());
    host.run(&Command::new(["true"]))
        .await
        .map(|output| assert!(output.ok()))
}

fn strictly(file: Utf8PathBuf) -> HostKeys {
    HostKeys {
        known_hosts: vec![file],
        unknown: UnknownHost::Refuse,
    }
}

fn accepting(file: Utf8PathBuf) -> HostKeys {
    HostKeys {
        known_hosts: Vec::new(),
        unknown: UnknownHost::Accept(file),
    }
}

/// A file of known hosts with that text.
fn file(sshd: &Sshd, text: &str) -> Utf8PathBuf {
    let file = sshd.path("hosts");
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test]
async fn an_unknown_host_is_refused() {
    let sshd = Sshd::start("");
    let error = enter(&sshd, strictly(sshd.path("none")), None)
        .await
        .unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, "root"), @r"
    the host key of 127.0.0.1:PORT is not known: ssh-ed25519 SHA256:FINGERPRINT
    hint: compare the fingerprint on the host's console, then set `hostKey` for it, add it to known_hosts, or run once with --accept-new-host-keys
    ");
}

#[tokio::test]
async fn any_known_key_of_a_host_with_several_will_do() {
    let sshd = Sshd::with_keys(ALL, "");
    for kind in ALL {
        enter(&sshd, strictly(sshd.known_hosts(&[kind])), None)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_changed_key_is_refused_even_where_unknown_ones_are_accepted() {
    let (sshd, other) = (Sshd::start(""), Sshd::start(""));
    let line = other
        .known_hosts_line("ed25519")
        .replace(&other.port.to_string(), &sshd.port.to_string());
    let hosts = file(&sshd, &line);
    let error = enter(&sshd, strictly(hosts.clone()), None)
        .await
        .unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, "root"), @r"
    the host key of 127.0.0.1:PORT has changed: expected ssh-ed25519 SHA256:FINGERPRINT (DIR/hosts:1), the host shows ssh-ed25519 SHA256:FINGERPRINT
    hint: somebody may be in between. If the host was set up anew, remove its old line from known_hosts or correct `hostKey`
    ");
    let error = enter(&sshd, accepting(hosts.clone()), None)
        .await
        .unwrap_err();
    assert!(matches!(error, HostError::ChangedHostKey { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(hosts).unwrap(), line);
}

#[tokio::test]
async fn another_kind_of_key_is_no_unknown_host() {
    let (sshd, other) = (Sshd::start(""), Sshd::with_keys(&["rsa", "ecdsa"], ""));
    let lines = ["rsa", "ecdsa"]
        .map(|kind| other.known_hosts_line(kind) + "\n")
        .concat();
    let hosts = file(
        &sshd,
        &lines.replace(&other.port.to_string(), &sshd.port.to_string()),
    );
    for keys in [strictly(hosts.clone()), accepting(hosts)] {
        let error = enter(&sshd, keys, None).await.unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(sshd.golden(&error, "root"), @r"
            the host key of 127.0.0.1:PORT has changed: expected ssh-rsa SHA256:FINGERPRINT (DIR/hosts:1) or ecdsa-sha2-nistp256 SHA256:FINGERPRINT (DIR/hosts:2), the host shows ssh-ed25519 SHA256:FINGERPRINT
            hint: somebody may be in between. If the host was set up anew, remove its old line from known_hosts or correct `hostKey`
            ");
        }
    }
}

#[tokio::test]
async fn openssh_agrees_on_what_was_accepted() {
    let sshd = Sshd::start("");
    let hosts = sshd.path("new/known_hosts");
    enter(&sshd, accepting(hosts.clone()), None).await.unwrap();
    enter(&sshd, accepting(hosts.clone()), None).await.unwrap();
    enter(&sshd, strictly(hosts.clone()), None).await.unwrap();
    assert_eq!(std::fs::read_to_string(&hosts).unwrap().lines().count(), 1);
    let ssh = format!(
        "ssh -F none -i {} -o StrictHostKeyChecking=yes -o UserKnownHostsFile={hosts} -o GlobalKnownHostsFile=none \
         -p {} root@127.0.0.1 echo in",
        sshd.path("login"),
        sshd.port
    );
    assert_eq!(sh(&ssh), "in");
}

#[tokio::test]
async fn hosts_accepted_at_once_all_get_their_line() {
    let sshds: Vec<Sshd> = (0..4).map(|_| Sshd::start("")).collect();
    let hosts = file(&sshds[0], "# no line break at the end");
    let entering = sshds
        .iter()
        .map(|sshd| enter(sshd, accepting(hosts.clone()), None));
    for entered in futures::future::join_all(entering).await {
        entered.unwrap();
    }
    assert_eq!(std::fs::read_to_string(&hosts).unwrap().lines().count(), 5);
    for sshd in &sshds {
        enter(sshd, strictly(hosts.clone()), None).await.unwrap();
    }
}

#[tokio::test]
async fn what_openssh_hashes_is_found() {
    let sshd = Sshd::start("");
    let hosts = sshd.known_hosts(&["ed25519"]);
    sh(&format!("ssh-keygen -q -H -f {hosts}"));
    assert!(std::fs::read_to_string(&hosts).unwrap().starts_with("|1|"));
    enter(&sshd, strictly(hosts), None).await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_is_refused_though_it_is_known() {
    let sshd = Sshd::start("");
    let line = sshd.known_hosts_line("ed25519");
    let revoked = line.replacen(&format!("[127.0.0.1]:{}", sshd.port), "@revoked *", 1);
    let error = enter(
        &sshd,
        strictly(file(&sshd, &format!("{line}\n{revoked}\n"))),
        None,
    )
    .await
    .unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, "root"), @r"
    the host key of 127.0.0.1:PORT is revoked by DIR/hosts:2: ssh-ed25519 SHA256:FINGERPRINT
    hint: do not use this key again: make a new one on the host (`ssh-keygen -A` after removing the old) and make it known
    ");
}

#[tokio::test]
async fn a_certificate_authority_is_named_as_unsupported() {
    let (sshd, authority) = (Sshd::start(""), Sshd::start(""));
    let line = authority.known_hosts_line("ed25519");
    let line = line.replacen(
        &format!("[127.0.0.1]:{}", authority.port),
        "@cert-authority [127.0.0.*]:*",
        1,
    );
    let error = enter(&sshd, strictly(file(&sshd, &line)), None)
        .await
        .unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, "root"), @r"
    127.0.0.1:PORT is known only through a certificate authority (DIR/hosts:1), and host certificates are not supported
    hint: set `hostKey` for it, or add its plain key to known_hosts
    ");
}

#[tokio::test]
async fn a_pinned_key_overrules_known_hosts() {
    let (sshd, other) = (Sshd::with_keys(ALL, ""), Sshd::start(""));
    let wrong = other
        .known_hosts_line("ed25519")
        .replace(&other.port.to_string(), &sshd.port.to_string());
    let hosts = file(&sshd, &wrong);
    for kind in ALL {
        let key = std::fs::read_to_string(sshd.path(&format!("host_{kind}.pub"))).unwrap();
        enter(&sshd, strictly(hosts.clone()), Some(&key))
            .await
            .unwrap();
        // The host shows its ed25519 key first: the others are found by asking for them.
        let listed = sh(&format!(
            "ssh-keygen -l -f {}",
            sshd.path(&format!("host_{kind}.pub"))
        ));
        let fingerprint = listed.split(' ').nth(1).unwrap();
        enter(&sshd, strictly(hosts.clone()), Some(fingerprint))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn another_key_than_the_pinned_one_is_refused() {
    let (sshd, other) = (Sshd::start(""), Sshd::start(""));
    let known = strictly(sshd.known_hosts(&["ed25519"]));
    let key = std::fs::read_to_string(other.path("host_ed25519.pub")).unwrap();
    let error = enter(&sshd, known.clone(), Some(&key)).await.unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, "root"), @r"
    the host key of 127.0.0.1:PORT has changed: expected ssh-ed25519 SHA256:FINGERPRINT, the host shows ssh-ed25519 SHA256:FINGERPRINT
    hint: somebody may be in between. If the host was set up anew, remove its old line from known_hosts or correct `hostKey`
    ");
    let listed = sh(&format!(
        "ssh-keygen -l -f {}",
        other.path("host_ed25519.pub")
    ));
    let error = enter(&sshd, known, listed.split(' ').nth(1))
        .await
        .unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, "root"), @r"
    the host key of 127.0.0.1:PORT has changed: expected SHA256:FINGERPRINT, the host shows ssh-ed25519 SHA256:FINGERPRINT
    hint: somebody may be in between. If the host was set up anew, remove its old line from known_hosts or correct `hostKey`
    ");
}

#[tokio::test]
async fn unreadable_known_hosts_stop_everything() {
    let sshd = Sshd::start("");
    let error = enter(&sshd, strictly(sshd.path(".")), None)
        .await
        .unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, "root"), @"cannot use the known hosts in DIR/.: is a directory");
}
