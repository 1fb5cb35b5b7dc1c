use std::time::Duration;

use host::ssh::SshHost;
use host::{Command, Host, HostError, Redactor};
use secrecy::SecretString;

use crate::lab::{Sshd, User, lives, sh, until};

#[tokio::test]
async fn a_command_tells_how_it_ended() {
    let sshd = Sshd::start("");
    let host = sshd.root();
    let output = host
        .run(&Command::script("echo out; echo oops >&2; exit 7"))
        .await
        .unwrap();
    assert_eq!(
        (
            output.text().as_str(),
            output.last_words().as_str(),
            output.status
        ),
        ("out", "oops", 7)
    );
    assert_eq!(
        host.run(&Command::script("kill -9 $$"))
            .await
            .unwrap()
            .status,
        137
    );
    assert_eq!(
        host.run(&Command::script("kill -TERM $$"))
            .await
            .unwrap()
            .status,
        143
    );
    let words = ["it's", "a\\b", "$HOME", "new\nline", "ü", "!"];
    let echoed = host
        .run(&Command::new(["printf", "%s|"].into_iter().chain(words)))
        .await
        .unwrap();
    assert_eq!(echoed.text(), words.join("|") + "|");
}

#[tokio::test]
async fn input_and_output_of_some_size_pass() {
    let sshd = Sshd::start("");
    let bytes: Vec<u8> = (0..6_000_000_u32).flat_map(u16_bytes).collect();
    let output = sshd
        .root()
        .run(&Command::new(["cat"]).stdin(bytes.clone()))
        .await
        .unwrap();
    assert!(output.stdout == bytes);
}

fn u16_bytes(number: u32) -> [u8; 2] {
    #[allow(clippy::cast_possible_truncation)] // any bytes will do
    (number as u16).to_le_bytes()
}

#[tokio::test]
async fn endless_output_is_an_error() {
    let sshd = Sshd::start("");
    let host = sshd.root();
    let error = host
        .run(&Command::new(["yes", "kubexm"]))
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"unexpected answer to yes kubexm: it is longer than 16 MiB, so the command was ended");
    assert!(host.run(&Command::new(["true"])).await.unwrap().ok());
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended() {
    let sshd = Sshd::start("");
    let host = sshd.root();
    let file = sshd.path("pid");
    let sleep = Command::script(format!("echo $$ >{file}; exec sleep 1000"))
        .timeout(Duration::from_secs(1));
    let error = host.run(&sleep).await.unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(file.as_str(), "FILE"), @"no answer within 1 s: echo $$ >FILE; exec sleep 1000");
    assert!(error.may_pass());
    let pid = std::fs::read_to_string(&file).unwrap();
    until("it is gone", || !lives(&pid)).await;
}

#[tokio::test]
async fn a_command_that_nobody_waits_for_is_ended() {
    let sshd = Sshd::start("");
    let host = std::sync::Arc::new(sshd.root());
    let file = sshd.path("pid");
    let sleep = Command::script(format!("echo $$ >{file}; exec sleep 1000"));
    let running = tokio::spawn({
        let host = host.clone();
        async move { host.run(&sleep).await }
    });
    let mut pid = String::new();
    until("it runs", || {
        pid = std::fs::read_to_string(&file).unwrap_or_default();
        pid.ends_with('\n')
    })
    .await;
    running.abort();
    until("it is gone", || !lives(&pid)).await;
    assert!(host.run(&Command::new(["true"])).await.unwrap().ok());
}

async fn many(host: &SshHost) {
    let commands: Vec<Command> = (0..20)
        .map(|i| Command::script(format!("echo {i}")))
        .collect();
    let outputs = futures::future::join_all(commands.iter().map(|command| host.run(command))).await;
    for (i, output) in outputs.into_iter().enumerate() {
        assert_eq!(output.unwrap().text(), i.to_string());
    }
}

#[tokio::test]
async fn many_commands_at_once_share_one_connection() {
    let sshd = Sshd::start("LogLevel VERBOSE");
    many(&sshd.root()).await;
    let log = std::fs::read_to_string(sshd.path("log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 1);
}

#[tokio::test]
async fn a_host_that_allows_few_sessions_gets_few() {
    for most in [1, 2] {
        let sshd = Sshd::start(&format!("MaxSessions {most}"));
        let host = sshd.root();
        many(&host).await;
        many(&host).await;
    }
}

#[tokio::test]
async fn a_host_that_allows_no_session_says_so() {
    let sshd = Sshd::start("MaxSessions 0");
    let error = sshd.root().run(&Command::new(["true"])).await.unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, "root"), @r"
    root@127.0.0.1:PORT may log in, but not run commands: it opens no session
    hint: give the user a login shell, and look at ForceCommand and MaxSessions of the host's sshd
    ");
}

#[tokio::test]
async fn odd_login_shells_run_the_same_scripts() {
    let sshd = Sshd::start("");
    for shell in ["/bin/dash", "/usr/bin/fish", "/bin/tcsh"] {
        if !std::path::Path::new(shell).exists() {
            continue;
        }
        let user = User::add("hunter2");
        sh(&format!("usermod -s {shell} {}", user.name));
        let host = sshd.host(&user, vec![user.password()]);
        let script = "for x in 'a\\\\b' \"it's\" '!'; do\n  printf '%s|' \"$x\"\ndone; cat; exit 5";
        let output = host
            .run(&Command::script(script).stdin("in"))
            .await
            .unwrap();
        assert_eq!(
            (output.text().as_str(), output.status),
            ("a\\\\b|it's|!|in", 5),
            "{shell}"
        );
    }
}

#[tokio::test]
async fn what_a_login_says_of_itself_spoils_no_answer() {
    let (sshd, user) = (Sshd::start(""), User::add("hunter2"));
    let noise = "echo Welcome; echo to this machine >&2";
    std::fs::write(format!("/home/{}/.bashrc", user.name), noise).unwrap();
    let output = sshd
        .host(&user, vec![user.password()])
        .run(&Command::new(["echo", "hi"]))
        .await
        .unwrap();
    assert_eq!(
        (output.stdout, output.stderr),
        (b"hi\n".to_vec(), Vec::new())
    );
}

#[tokio::test]
async fn a_login_without_a_shell_is_refused() {
    let (sshd, user) = (Sshd::start(""), User::add("hunter2"));
    sh(&format!("usermod -s /usr/sbin/nologin {}", user.name));
    let host = sshd.host(&user, vec![user.password()]);
    let error = host.run(&Command::new(["true"])).await.unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, &user.name), @r"
    USER@127.0.0.1:PORT may log in, but not run commands: This account is currently not available.
    hint: give the user a login shell, and look at ForceCommand and MaxSessions of the host's sshd
    ");
}

#[tokio::test]
async fn ending_a_command_ends_its_children_and_those_of_sudo() {
    let (sshd, user) = (Sshd::start(""), User::add("hunter2"));
    user.sudo("ALL=(ALL) ALL");
    let target = host::ssh::Target {
        sudo_password: Some(SecretString::from("hunter2")),
        ..sshd.target(&user.name, vec![user.password()])
    };
    let host = SshHost::new(target, sshd.keys(), host::ssh::Options::default());
    let file = sshd.path("pid");
    let script = format!("trap '' TERM; sleep 1000 & echo $! >{file}; wait; wait");
    let sleep = Command::script(script)
        .as_root()
        .timeout(Duration::from_secs(1));
    host.run(&sleep).await.unwrap_err();
    let pid = std::fs::read_to_string(&file).unwrap();
    until("it is gone", || !lives(&pid)).await;
}

#[tokio::test]
async fn programs_speak_english_and_are_found() {
    let sshd = Sshd::start(
        "PermitUserEnvironment yes\nSetEnv LANG=de_DE.UTF-8 LC_MESSAGES=de_DE.UTF-8 PATH=/usr/bin",
    );
    let output = sshd
        .root()
        .run(&Command::script("locale; command -v swapoff"))
        .await
        .unwrap();
    assert!(
        output.text().contains("LC_ALL=C\n") && output.text().contains("/sbin/swapoff"),
        "{}",
        output.text()
    );
}

#[tokio::test]
async fn secrets_leave_the_host_layer_masked() {
    let sshd = Sshd::start("");
    let login = sshd.path("login");
    sshd.authorize(&login);
    let redactor = Redactor::new([SecretString::from("hunter2")]);
    let options = host::ssh::Options {
        redactor,
        ..Default::default()
    };
    let target = sshd.target("root", vec![crate::lab::key_auth(&login, None)]);
    let host = SshHost::new(target, sshd.keys(), options);
    let output = host
        .run(&Command::script("echo hunter2; echo hunter2 >&2; false"))
        .await
        .unwrap();
    // What a command answers is data; what it complains about ends up in messages.
    assert_eq!(
        (output.text().as_str(), output.last_words().as_str()),
        ("hunter2", "[secret]")
    );
    let slow = Command::script("echo hunter2; exec sleep 1000").timeout(Duration::from_millis(200));
    let error = host.run(&slow).await.unwrap_err();
    assert!(
        matches!(&error, HostError::Timeout { .. }) && !error.to_string().contains("hunter2"),
        "{error}"
    );
}

#[tokio::test]
async fn facts_come_in_one_piece() {
    let (sshd, user) = (Sshd::start(""), User::add("hunter2"));
    let host = sshd.host(&user, vec![user.password()]);
    let facts = host.facts().await.unwrap();
    assert_eq!(facts.kernel, sh("uname -r"));
    assert!(facts.listening.contains(&sshd.port));
    assert!(
        facts.clock_ahead_ms.unsigned_abs() <= facts.round_trip_ms + 2,
        "{facts:?}"
    );
}
