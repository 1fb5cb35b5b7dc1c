use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command as Process;
use std::sync::{Arc, Mutex};

use camino::{Utf8Path, Utf8PathBuf};
use event::{Event, Events, Progress, Sink};
use host::{FileAttrs, Host, HostError, Owner, Source};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::lab::{Sshd, User, mode, names, until};

/// A place that goes away with its guard.
fn place() -> (TempDir, Utf8PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::try_from(dir.path().to_owned()).unwrap();
    (dir, path)
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(length)
    .collect()
}

async fn put(host: &impl Host, source: Source, to: &Utf8Path, mode: u32) -> Result<(), HostError> {
    host.upload(&source, to, &FileAttrs::root(mode), &Progress::unseen())
        .await
}

/// Acts on the first progress beyond a number of bytes.
struct Trigger {
    beyond: u64,
    act: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Sink for Trigger {
    fn on(&self, _: Timestamp, event: &Event) {
        if let Event::Progress { done, .. } = event
            && *done > self.beyond
            && let Some(act) = self.act.lock().unwrap().take()
        {
            act();
        }
    }
}

#[derive(Default)]
struct Counter(Mutex<u64>);

impl Sink for Counter {
    fn on(&self, _: Timestamp, event: &Event) {
        if let Event::Progress { done, .. } = event {
            *self.0.lock().unwrap() = *done;
        }
    }
}

#[tokio::test]
async fn a_large_file_arrives_whole_with_mode_and_owner() {
    let (sshd, (_guard, dir)) = (Sshd::start(""), place());
    let user = User::add("hunter2");
    let bytes = noise(64 << 20);
    let source = dir.join("source");
    std::fs::write(&source, &bytes).unwrap();
    let to = dir.join("deep/down/the file's name");
    let attrs = FileAttrs {
        mode: 0o750,
        owner: Owner {
            user: user.name.clone(),
            group: "root".to_owned(),
        },
    };
    let counter = Arc::new(Counter::default());
    let events = Events::to(vec![counter.clone()]);
    let progress = events.progress(events.next_id(), None);
    sshd.root()
        .upload(&Source::File(source), &to, &attrs, &progress)
        .await
        .unwrap();
    assert!(std::fs::read(&to).unwrap() == bytes);
    assert_eq!(mode(&to), 0o750);
    assert_eq!(mode(to.parent().unwrap()), 0o755);
    assert_ne!(std::fs::metadata(&to).unwrap().uid(), 0);
    assert_eq!(names(to.parent().unwrap()), ["the file's name"]);
    assert_eq!(*counter.0.lock().unwrap(), 64 << 20);
}

#[tokio::test]
async fn small_and_empty_files_arrive() {
    let (sshd, (_guard, dir)) = (Sshd::start(""), place());
    let host = sshd.root();
    for length in [0, 1, 4096, (256 << 10) + 1] {
        let to = dir.join(length.to_string());
        put(&host, Source::Bytes(noise(length).into()), &to, 0o644)
            .await
            .unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), noise(length));
    }
}

#[tokio::test]
async fn a_running_program_is_replaced() {
    let (sshd, (_guard, dir)) = (Sshd::start(""), place());
    let program = dir.join("program");
    std::fs::copy("/bin/sleep", &program).unwrap();
    let mut running = Process::new(&program).arg("1000").spawn().unwrap();
    until("it runs its own file", || {
        std::fs::read_link(format!("/proc/{}/exe", running.id()))
            .is_ok_and(|exe| exe == program.as_std_path())
    })
    .await;
    put(
        &sshd.root(),
        Source::File("/bin/true".into()),
        &program,
        0o755,
    )
    .await
    .unwrap();
    assert!(running.try_wait().unwrap().is_none());
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(Process::new(&program).status().unwrap().success());
}

#[tokio::test]
async fn a_link_is_replaced_and_not_followed() {
    let (sshd, (_guard, dir)) = (Sshd::start(""), place());
    std::fs::write(dir.join("target"), "old").unwrap();
    std::os::unix::fs::symlink(dir.join("target"), dir.join("link")).unwrap();
    put(
        &sshd.root(),
        Source::Bytes("new".into()),
        &dir.join("link"),
        0o644,
    )
    .await
    .unwrap();
    assert_eq!(std::fs::read_to_string(dir.join("target")).unwrap(), "old");
    assert!(
        std::fs::symlink_metadata(dir.join("link"))
            .unwrap()
            .is_file()
    );
}

#[tokio::test]
async fn what_cannot_be_put_leaves_the_old_file_and_nothing_else() {
    let (sshd, (_guard, dir)) = (Sshd::start(""), place());
    let host = sshd.root();
    let small = dir.join("small");
    std::fs::create_dir(&small).unwrap();
    crate::lab::sh(&format!("mount -t tmpfs -o size=1m tmpfs {small}"));
    let _unmount = Unmount(small.clone());
    let to = small.join("file");
    std::fs::write(&to, "old").unwrap();
    let golden = |error: HostError| sshd.golden(&error, "root").replace(dir.as_str(), "THERE");
    let error = put(&host, Source::Bytes(noise(4 << 20).into()), &to, 0o644)
        .await
        .unwrap_err();
    assert!(matches!(error, HostError::NoSpace { .. }));
    insta::assert_snapshot!(golden(error), @r"
    no space for THERE/small/file: no space left on device
    hint: free space on that file system and run again
    ");
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "old");
    assert_eq!(names(&small), ["file"]);
    let attrs = FileAttrs {
        mode: 0o644,
        owner: Owner {
            user: "nobody-here".to_owned(),
            group: "root".to_owned(),
        },
    };
    let source = Source::Bytes("new".into());
    let error = host
        .upload(&source, &to, &attrs, &Progress::unseen())
        .await
        .unwrap_err();
    insta::assert_snapshot!(golden(error), @"cannot put THERE/small/file in place: chown: invalid user: 'nobody-here:root'");
    assert_eq!(names(&small), ["file"]);
    let error = put(&host, source.clone(), &small, 0o644).await.unwrap_err();
    insta::assert_snapshot!(golden(error), @"cannot put THERE/small in place: mv: cannot overwrite directory 'THERE/small' with non-directory");
    let error = put(&host, source.clone(), &to.join("below"), 0o644)
        .await
        .unwrap_err();
    insta::assert_snapshot!(golden(error), @"cannot put THERE/small/file/below in place: mkdir: cannot create directory 'THERE/small/file': File exists");
    let error = put(&host, source, "relative".into(), 0o644)
        .await
        .unwrap_err();
    insta::assert_snapshot!(golden(error), @"cannot put relative in place: the path is not absolute");
    let error = put(&host, Source::File(dir.join("none")), &to, 0o644)
        .await
        .unwrap_err();
    insta::assert_snapshot!(golden(error), @"cannot read THERE/none: no such file or directory");
    let error = put(&host, Source::File(dir.clone()), &to, 0o644)
        .await
        .unwrap_err();
    insta::assert_snapshot!(golden(error), @"cannot read THERE: it is not a regular file");
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "old");
}

struct Unmount(Utf8PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Process::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_source_that_shrinks_leaves_nothing() {
    let (sshd, (_guard, dir)) = (Sshd::start(""), place());
    let (source, to) = (dir.join("source"), dir.join("there/file"));
    std::fs::write(&source, noise(32 << 20)).unwrap();
    let shrink = source.clone();
    let act = Box::new(move || {
        std::fs::OpenOptions::new()
            .write(true)
            .open(shrink)
            .unwrap()
            .set_len(8 << 20)
            .unwrap();
    });
    let trigger = Arc::new(Trigger {
        beyond: 1 << 20,
        act: Mutex::new(Some(act)),
    });
    let progress = Events::to(vec![trigger]).progress(event::UnitId(0), None);
    let host = sshd.root();
    let source = Source::File(source);
    let error = host
        .upload(&source, &to, &FileAttrs::root(0o644), &progress)
        .await
        .unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(dir.as_str(), "HERE"), @"cannot read HERE/source: it shrank while it was read");
    until("the temporary file is gone", || {
        names(to.parent().unwrap()).is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_leaves_nothing() {
    let (sshd, (_guard, dir)) = (Sshd::start(""), place());
    let to = dir.join("there/file");
    let host = sshd.root();
    let port = sshd.port;
    let sshd = Arc::new(Mutex::new(sshd));
    let killer = sshd.clone();
    let act = Box::new(move || killer.lock().unwrap().kill());
    let trigger = Arc::new(Trigger {
        beyond: 8 << 20,
        act: Mutex::new(Some(act)),
    });
    let progress = Events::to(vec![trigger]).progress(event::UnitId(0), None);
    let source = Source::Bytes(noise(64 << 20).into());
    let error = host
        .upload(&source, &to, &FileAttrs::root(0o644), &progress)
        .await
        .unwrap_err();
    assert!(error.may_pass());
    // Which of the two the kernel reports depends on what was under way when the host went.
    let ways = ["the host closed the connection", "connection reset by peer"];
    let told = ways.map(|way| format!("the connection to 127.0.0.1:{port} was lost: {way}"));
    assert!(told.contains(&error.to_string()), "{error}");
    until("the temporary file is gone", || {
        names(to.parent().unwrap()).is_empty()
    })
    .await;
    sshd.lock().unwrap().start_again(&["ed25519"], "");
    host.upload(&source, &to, &FileAttrs::root(0o644), &Progress::unseen())
        .await
        .unwrap();
    assert_eq!(names(to.parent().unwrap()), ["file"]);
}

#[tokio::test]
async fn a_temporary_file_is_readable_to_its_owner_alone() {
    let (sshd, (_guard, dir)) = (Sshd::start(""), place());
    let to = dir.join("there/file");
    let seen = Arc::new(Mutex::new(None));
    let (put_mode, there) = (seen.clone(), to.parent().unwrap().to_owned());
    let act = Box::new(move || {
        let entry = std::fs::read_dir(there).unwrap().next().unwrap().unwrap();
        *put_mode.lock().unwrap() = Some(entry.metadata().unwrap().permissions().mode() & 0o777);
    });
    let trigger = Arc::new(Trigger {
        beyond: 16 << 20,
        act: Mutex::new(Some(act)),
    });
    let progress = Events::to(vec![trigger]).progress(event::UnitId(0), None);
    let source = Source::Bytes(noise(32 << 20).into());
    sshd.root()
        .upload(&source, &to, &FileAttrs::root(0o644), &progress)
        .await
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), Some(0o600));
}
