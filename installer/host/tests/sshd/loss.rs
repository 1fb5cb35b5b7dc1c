use host::{Command, Host};

use crate::lab::{Sshd, eventually, sh, until};

#[tokio::test]
async fn a_lost_connection_is_told_and_made_again() {
    let mut sshd = Sshd::start("");
    let host = std::sync::Arc::new(sshd.root());
    let file = sshd.path("started");
    let wait = Command::script(format!("echo $$ >{file}; exec sleep 1000"));
    let running = tokio::spawn({
        let host = host.clone();
        async move { host.run(&wait).await }
    });
    until("it runs", || file.exists()).await;
    sshd.kill();
    let error = running.await.unwrap().unwrap_err();
    assert!(error.may_pass());
    // Killed daemons tell nobody, and leave what they ran behind.
    sh(&format!("kill $(cat {file})"));
    insta::assert_snapshot!(sshd.golden(&error, "root"), @"the connection to 127.0.0.1:PORT was lost: the host closed the connection");
    let error = host.run(&Command::new(["true"])).await.unwrap_err();
    insta::assert_snapshot!(sshd.golden(&error, "root"), @r"
    cannot reach 127.0.0.1:PORT: connection refused
    hint: is the host up, and are `address` and `port` right?
    ");
    sshd.start_again(&["ed25519"], "");
    eventually(async || host.run(&Command::new(["true"])).await).await;
}

#[tokio::test]
async fn a_connection_that_died_unseen_costs_no_command() {
    let mut sshd = Sshd::start("");
    let host = sshd.root();
    host.run(&Command::new(["true"])).await.unwrap();
    sshd.kill();
    sshd.start_again(&["ed25519"], "");
    // Whether the loss has been noticed by now or not.
    host.run(&Command::new(["true"])).await.unwrap();
}

#[tokio::test]
async fn a_host_set_up_anew_is_not_trusted_on_reconnect() {
    let mut sshd = Sshd::start("");
    let host = sshd.root();
    host.run(&Command::new(["true"])).await.unwrap();
    sshd.kill();
    std::fs::remove_file(sshd.path("host_ed25519")).unwrap();
    crate::lab::make_key(sshd.path("host_ed25519").as_std_path(), "ed25519", "");
    sshd.start_again(&["ed25519"], "");
    let error = host.run(&Command::new(["true"])).await.unwrap_err();
    assert!(
        matches!(error, host::HostError::ChangedHostKey { .. }),
        "{error}"
    );
}
