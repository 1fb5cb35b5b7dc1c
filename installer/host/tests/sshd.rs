//! SSH against a real sshd on loopback. Needs root: logins by password need users of the system.

mod lab;

use camino::Utf8Path;
use event::Progress;
use host::{Command, FileAttrs, Host, Source};
use lab::{Sshd, User};

#[tokio::test]
async fn a_password_logs_in_and_commands_tell_how_they_ended() {
    let (sshd, user) = (Sshd::start(""), User::add("hunter2 it's"));
    let host = sshd.host(&user, vec![user.password()]);
    let output = host
        .run(&Command::script("id -un; echo oops >&2; exit 7"))
        .await
        .unwrap();
    assert_eq!(
        (output.text(), output.last_words(), output.status),
        (user.name.clone(), "oops".to_owned(), 7)
    );
    let killed = host.run(&Command::script("kill -9 $$")).await.unwrap();
    assert_eq!(killed.status, 137);
    let echoed = host
        .run(&Command::new(["cat"]).stdin("a\nb"))
        .await
        .unwrap();
    assert_eq!(echoed.text(), "a\nb");
}

#[tokio::test]
async fn a_file_arrives_whole_with_mode_and_owner() {
    let (sshd, dir) = (Sshd::start(""), tempfile::tempdir().unwrap());
    let host = sshd.root();
    let source = dir.path().join("source");
    let bytes: Vec<u8> = (0..64u32 << 20)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    std::fs::write(&source, &bytes).unwrap();
    let to = Utf8Path::from_path(dir.path())
        .unwrap()
        .join("deep/down/the file's name");
    let attrs = FileAttrs::root(0o755);
    let source = Source::File(source.try_into().unwrap());
    host.upload(&source, &to, &attrs, &Progress::unseen())
        .await
        .unwrap();
    assert!(std::fs::read(&to).unwrap() == bytes);
    assert_eq!(lab::mode(&to), 0o755);
    assert_eq!(lab::names(to.parent().unwrap()), ["the file's name"]);
}
