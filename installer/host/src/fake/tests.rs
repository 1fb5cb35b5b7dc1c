use secrecy::SecretString;

use super::*;

#[tokio::test]
async fn the_transcript_shows_all_but_secrets() {
    let host = FakeHost::new("node1")
        .with_redactor(Redactor::new([SecretString::from("hunter2")]))
        .with_file("/etc/hostname", "node1\n", 0o644)
        .on("is-active etcd", 3, "inactive\n")
        .on_command(|command, files| {
            let path = command.text().strip_prefix("rm -f ")?;
            files.remove(Utf8Path::new(path));
            Some(Ok(Output {
                status: 0,
                stdout: Vec::new(),
                stderr: Vec::new(),
            }))
        });
    let attrs = FileAttrs::root(0o640);
    let source = Source::Bytes("password: hunter2".into());
    host.upload(
        &source,
        "/etc/etcd.conf".into(),
        &attrs,
        &Progress::unseen(),
    )
    .await
    .unwrap();
    let run = async |command: Command| host.run(&command).await;
    assert_eq!(
        run(Command::new(["systemctl", "is-active", "etcd"]))
            .await
            .unwrap()
            .text(),
        "inactive"
    );
    run(Command::new(["passwd", "hunter2"]).as_root())
        .await
        .unwrap();
    run(Command::new(["tee", "/etc/secret"])
        .stdin("hunter2")
        .as_root())
    .await
    .unwrap();
    run(Command::new(["rm", "-f", "/etc/hostname"]))
        .await
        .unwrap();
    let lost = || HostError::Lost {
        address: "node1".to_owned(),
        why: "cut".to_owned(),
    };
    host.fail("restart", 1, lost);
    run(Command::script(
        "systemctl daemon-reload\nsystemctl restart etcd",
    ))
    .await
    .unwrap_err();
    run(Command::script("systemctl restart etcd"))
        .await
        .unwrap();
    host.go_down();
    run(Command::new(["true"])).await.unwrap_err();
    insta::assert_snapshot!(host.transcript(), @r"
    > /etc/etcd.conf 0640 root:root 17 bytes f8a178e0213a
    $ systemctl is-active etcd
    = 3
    # passwd [secret]
    # tee /etc/secret < 7 bytes
    $ rm -f /etc/hostname
    $ systemctl daemon-reload
      systemctl restart etcd
    = the connection to node1 was lost: cut
    $ systemctl restart etcd
    $ true
    = cannot reach node1: the fake is down
    ");
    assert_eq!(
        host.files()
            .keys()
            .map(|path| path.as_str())
            .collect::<Vec<_>>(),
        ["/etc/etcd.conf"]
    );
}
