use camino::Utf8Path;
use event::Progress;
use host::ssh::{Options, SshHost, Target};
use host::{Command, FileAttrs, Host, HostError, Source};
use secrecy::SecretString;

use crate::lab::{Sshd, User, mode};

fn host(sshd: &Sshd, user: &User, sudo_password: Option<&str>) -> SshHost {
    let sudo_password = sudo_password.map(SecretString::from);
    let target = Target {
        sudo_password,
        ..sshd.target(&user.name, vec![user.password()])
    };
    SshHost::new(target, sshd.keys(), Options::default())
}

async fn become_root(host: &SshHost) -> Result<String, HostError> {
    Ok(host
        .run(&Command::new(["id", "-un"]).as_root())
        .await?
        .text())
}

#[tokio::test]
async fn root_needs_no_sudo() {
    let sshd = Sshd::start("");
    assert_eq!(become_root(&sshd.root()).await.unwrap(), "root");
}

#[tokio::test]
async fn sudo_gets_its_password_and_the_command_its_input() {
    let (sshd, user) = (Sshd::start(""), User::add("hunter2"));
    user.sudo("ALL=(ALL) ALL");
    let host = host(&sshd, &user, Some("hunter2"));
    for _ in 0..2 {
        let cat = Command::script("id -un; cat; echo oops >&2; exit 3")
            .as_root()
            .stdin("a\nb");
        let output = host.run(&cat).await.unwrap();
        assert_eq!((output.text().as_str(), output.status), ("root\na\nb", 3));
        // Nothing of what sudo said.
        assert_eq!(output.stderr, b"oops\n");
    }
    let login = host.run(&Command::new(["id", "-un"])).await.unwrap();
    assert_eq!(login.text(), user.name);
}

#[tokio::test]
async fn the_password_is_in_no_command_line_and_no_environment() {
    let (sshd, user) = (Sshd::start(""), User::add("hunter2hunter2"));
    user.sudo("ALL=(ALL) ALL");
    let host = host(&sshd, &user, Some("hunter2hunter2"));
    // The whole family of the command, and what each was started with.
    let look = "pid=$$; while [ $pid -gt 1 ]; do cat /proc/$pid/cmdline /proc/$pid/environ | tr '\\0' '\\n'; \
                pid=$(awk '/^PPid/ {print $2}' /proc/$pid/status); done";
    let seen = host
        .run(&Command::script(look).as_root())
        .await
        .unwrap()
        .text();
    assert!(seen.contains("sudo") && !seen.contains("hunter2"), "{seen}");
}

#[tokio::test]
async fn no_command_finds_the_proxy_of_the_login_or_of_sudo() {
    // sudo tells in SUDO_COMMAND what it runs, these words as well.
    const LOOK: &str = "env | sed 's/=.*//' | grep -ix '[a-z_]*_proxy' || echo none";
    let sshd = Sshd::start(
        "SetEnv HTTPS_PROXY=http://10.9.9.9:3128 http_proxy=http://10.9.9.9:3128 NO_PROXY=x",
    );
    let user = User::add("hunter2");
    let environment = sshd.path("environment");
    std::fs::write(
        &environment,
        "ALL_PROXY=http://10.9.9.9:3128\nHttps_Proxy=http://10.9.9.9:3128\n",
    )
    .unwrap();
    for rule in ["ALL", "NOPASSWD: ALL"] {
        user.sudo(&format!(
            "ALL=(ALL) {rule}\nDefaults:{0} env_keep += \"HTTPS_PROXY http_proxy NO_PROXY\"\n\
             Defaults:{0} env_file = {environment}",
            user.name
        ));
        let host = host(&sshd, &user, Some("hunter2"));
        for command in [Command::script(LOOK), Command::script(LOOK).as_root()] {
            assert_eq!(
                host.run(&command).await.unwrap().text(),
                "none",
                "{command:?}"
            );
        }
    }
    let root = sshd.root().run(&Command::script(LOOK)).await.unwrap();
    assert_eq!(root.text(), "none");
}

#[tokio::test]
async fn sudo_that_remembers_never_gives_the_password_to_the_command() {
    let (sshd, user) = (Sshd::start(""), User::add("hunter2"));
    user.sudo(&format!(
        "ALL=(ALL) ALL\nDefaults:{} timestamp_type=global, !tty_tickets",
        user.name
    ));
    let host = host(&sshd, &user, Some("hunter2"));
    for _ in 0..3 {
        let remember = Command::script("sudo -S -v").stdin("hunter2\n");
        assert!(host.run(&remember).await.unwrap().ok());
        let cat = Command::new(["cat"]).as_root().stdin("input");
        assert_eq!(host.run(&cat).await.unwrap().text(), "input");
    }
}

#[tokio::test]
async fn sudo_that_asks_nothing_needs_no_password() {
    let (sshd, user) = (Sshd::start(""), User::add("hunter2"));
    user.sudo("ALL=(ALL) NOPASSWD: ALL");
    for password in [None, Some("hunter2")] {
        let host = host(&sshd, &user, password);
        assert_eq!(become_root(&host).await.unwrap(), "root");
        let cat = Command::new(["cat"]).as_root().stdin("input");
        assert_eq!(host.run(&cat).await.unwrap().text(), "input");
    }
}

#[tokio::test]
async fn every_refusal_of_sudo_has_its_reason() {
    let (sshd, user) = (Sshd::start(""), User::add("hunter2"));
    let refusal = async |password| {
        let error = become_root(&host(&sshd, &user, password))
            .await
            .unwrap_err();
        assert!(!error.may_pass());
        sshd.golden(&error, &user.name)
            .replace(&crate::lab::sh("hostname"), "HOST")
    };
    insta::assert_snapshot!(refusal(Some("hunter2")).await, @r"
    sudo refused USER: USER is not in the sudoers file.
    hint: the user needs sudo; set `sudoPassword` if it differs from `password`
    ");
    user.sudo("ALL=(ALL) ALL");
    insta::assert_snapshot!(refusal(None).await, @r"
    sudo refused USER: it asks for a password, and none is given
    hint: the user needs sudo; set `sudoPassword` if it differs from `password`
    ");
    insta::assert_snapshot!(refusal(Some("hunter3")).await, @r"
    sudo refused USER: the password is wrong
    hint: the user needs sudo; set `sudoPassword` if it differs from `password`
    ");
    user.sudo(&format!("ALL=(ALL) ALL\nDefaults:{} requiretty", user.name));
    insta::assert_snapshot!(refusal(Some("hunter2")).await, @r"
    sudo refused USER: sudo: sorry, you must have a tty to run sudo
    hint: the user needs sudo; set `sudoPassword` if it differs from `password`
    ");
    user.sudo("ALL=(ALL) /usr/bin/true");
    insta::assert_snapshot!(refusal(Some("hunter2")).await, @r"
    sudo refused USER: it allows the user some commands, but not all
    hint: the user needs sudo; set `sudoPassword` if it differs from `password`
    ");
}

#[tokio::test]
async fn files_of_root_are_put_and_read_through_sudo() {
    let (sshd, user, dir) = (
        Sshd::start(""),
        User::add("hunter2"),
        tempfile::tempdir().unwrap(),
    );
    user.sudo("ALL=(ALL) ALL");
    let host = host(&sshd, &user, Some("hunter2"));
    let to = Utf8Path::from_path(dir.path()).unwrap().join("secret");
    let attrs = FileAttrs::root(0o600);
    host.upload(
        &Source::Bytes("word\n".into()),
        &to,
        &attrs,
        &Progress::unseen(),
    )
    .await
    .unwrap();
    assert_eq!(mode(&to), 0o600);
    assert_eq!(host.read(&to).await.unwrap(), Some(b"word\n".to_vec()));
    assert_eq!(host.read(&to.with_file_name("none")).await.unwrap(), None);
}

#[tokio::test]
async fn a_login_that_sees_no_processes_of_others_can_tell_what_the_host_is() {
    let (sshd, user) = (Sshd::hiding_processes(), User::add("hunter2"));
    user.sudo("ALL=(ALL) ALL");
    let host = host(&sshd, &user, Some("hunter2"));
    let hidden = host
        .run(&Command::script("cat /proc/1/comm"))
        .await
        .unwrap();
    assert!(!hidden.ok(), "process 1 is to be seen");
    let facts = host.facts().await.unwrap();
    // This machine need not be run by systemd.
    assert!(
        ["systemd", "unknown"].contains(&facts.init.as_str()),
        "{facts:?}"
    );
    assert_eq!(become_root(&host).await.unwrap(), "root");
}
