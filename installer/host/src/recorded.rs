use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;
use jiff::Timestamp;

use crate::blocking::blocking;
use crate::{Command, Facts, FileAttrs, Host, HostError, Output, Privilege, Source, Way};

/// A host of which is kept, in a directory of this machine, what was done there. For people: nothing is read from it.
///
/// - `log`: each command and file of this run; `log.1`: of the run before
/// - `facts.json`: what the machine is
/// - `files/`: what was rendered for it and put there, but for what only some users of the host may read
///
/// What cannot be written is not there: no run fails for it.
pub struct Recorded<H> {
    host: H,
    dir: Utf8PathBuf,
    log: Arc<Mutex<Log>>,
    /// What the host is has been written down.
    has_told: AtomicBool,
}

/// Begun with its first line.
enum Log {
    Before(Utf8PathBuf),
    Open(File),
    Broken,
}

impl<H: Host> Recorded<H> {
    #[must_use]
    pub fn new(host: H, dir: impl Into<Utf8PathBuf>) -> Self {
        let dir = dir.into();
        Self {
            host,
            log: Arc::new(Mutex::new(Log::Before(dir.clone()))),
            dir,
            has_told: AtomicBool::new(false),
        }
    }

    async fn note<T>(
        &self,
        what: String,
        begun: (Timestamp, Instant),
        result: &Result<T, HostError>,
        said: impl FnOnce(&T) -> String,
    ) {
        let ended = match result {
            Ok(value) => said(value),
            Err(error) => format!("failed: {error}"),
        };
        let (at, since) = begun;
        let line = line(at, since.elapsed(), &what, &ended);
        let log = self.log.clone();
        blocking(move || {
            if let Ok(mut log) = log.lock() {
                log.write(&line);
            }
        })
        .await;
    }

    async fn keep(&self, path: Utf8PathBuf, bytes: bytes::Bytes) {
        let path = self.dir.join(path);
        // What cannot be kept is missing, and nothing else.
        let _ = blocking(move || put(&path, &bytes)).await;
    }
}

impl Log {
    fn write(&mut self, line: &str) {
        if let Self::Before(dir) = self {
            *self = begin(dir).map_or(Self::Broken, Self::Open);
        }
        if let Self::Open(file) = self
            && file.write_all(line.as_bytes()).is_err()
        {
            *self = Self::Broken;
        }
    }
}

fn begin(dir: &Utf8Path) -> io::Result<File> {
    private_directory(dir)?;
    let log = dir.join("log");
    match fs::rename(&log, dir.join("log.1")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => private_file(&log),
    }
}

fn put(path: &Utf8Path, bytes: &[u8]) -> io::Result<()> {
    private_directory(path.parent().unwrap_or(path))?;
    private_file(path)?.write_all(bytes)
}

fn private_directory(dir: &Utf8Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

fn private_file(path: &Utf8Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}

/// `2026-11-21T12:00:00.123Z 0.45s root: mkdir -p /etc/etcd`, and what came of it, indented, where it did not go well.
fn line(at: Timestamp, took: Duration, what: &str, ended: &str) -> String {
    let mut line = format!("{at:.3} {:.2}s {what}\n", took.as_secs_f64());
    for ended in ended.lines() {
        line.push_str("    ");
        line.push_str(ended);
        line.push('\n');
    }
    line
}

fn now() -> (Timestamp, Instant) {
    (Timestamp::now(), Instant::now())
}

fn what_was_run(command: &Command) -> String {
    match command.privilege() {
        Privilege::Root => format!("root: {}", command.brief()),
        Privilege::Login => command.brief(),
    }
}

fn how_it_ended(output: &Output) -> String {
    if output.ok() {
        return String::new();
    }
    // What it printed may be what a file holds; what it complains of is not.
    let complaint = String::from_utf8_lossy(&output.stderr);
    format!("status {}\n{}", output.status, complaint.trim_end())
}

#[async_trait]
impl<H: Host> Host for Recorded<H> {
    fn name(&self) -> &str {
        self.host.name()
    }

    async fn run(&self, command: &Command) -> Result<Output, HostError> {
        let begun = now();
        let result = self.host.run(command).await;
        self.note(what_was_run(command), begun, &result, how_it_ended)
            .await;
        result
    }

    async fn upload(
        &self,
        source: &Source,
        to: &Utf8Path,
        attrs: &FileAttrs,
        progress: &Progress,
    ) -> Result<(), HostError> {
        let begun = now();
        let result = self.host.upload(source, to, attrs, progress).await;
        let what = format!("put {to}, mode {:o}", attrs.mode);
        self.note(what, begun, &result, |()| String::new()).await;
        if let (Ok(()), Source::Bytes(bytes)) = (&result, source)
            && attrs.mode & 0o004 != 0
        {
            let path = Utf8Path::new("files").join(to.as_str().trim_start_matches('/'));
            self.keep(path, bytes.clone()).await;
        }
        result
    }

    async fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, HostError> {
        let begun = now();
        let result = self.host.read(path).await;
        self.note(format!("read {path}"), begun, &result, |_| String::new())
            .await;
        result
    }

    async fn ask(&self, questions: &[Command]) -> Result<Vec<Output>, HostError> {
        let begun = now();
        let result = self.host.ask(questions).await;
        let what = format!("root: {} questions at once", questions.len());
        self.note(what, begun, &result, |answers| {
            let each = questions.iter().zip(answers);
            let told =
                each.map(|(question, answer)| format!("{}: {}", answer.status, question.brief()));
            told.collect::<Vec<_>>().join("\n")
        })
        .await;
        result
    }

    async fn facts(&self) -> Result<Arc<Facts>, HostError> {
        let facts = self.host.facts().await?;
        if !self.has_told.swap(true, Ordering::Relaxed)
            && let Ok(text) = serde_json::to_vec_pretty(&*facts)
        {
            self.keep("facts.json".into(), text.into()).await;
        }
        Ok(facts)
    }

    async fn way_to(&self, port: u16) -> Result<Way, HostError> {
        self.host.way_to(port).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeHost;

    struct Kept {
        dir: tempfile::TempDir,
    }

    impl Kept {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            Self { dir }
        }

        fn host(&self, host: FakeHost) -> Recorded<FakeHost> {
            Recorded::new(host, self.path("node1"))
        }

        fn path(&self, name: &str) -> Utf8PathBuf {
            Utf8Path::from_path(self.dir.path()).unwrap().join(name)
        }

        /// Without the times.
        fn log(&self, name: &str) -> String {
            let text = fs::read_to_string(self.path(name)).unwrap();
            let lines = text.lines().map(|line| match line.split_once("s ") {
                Some((time, rest)) if time.contains('T') => rest.to_owned(),
                _ => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n")
        }
    }

    async fn put(host: &Recorded<FakeHost>, path: &str, text: &'static str, mode: u32) {
        let (source, attrs) = (Source::Bytes(text.into()), FileAttrs::root(mode));
        let progress = Progress::unseen();
        host.upload(&source, path.into(), &attrs, &progress)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_was_done_is_told_and_what_some_may_not_read_is_not_shown() {
        let kept = Kept::new();
        let fake = FakeHost::new("node1").on_command(|command, _| {
            let fails = command.text() == "false";
            fails.then(|| {
                Ok(Output {
                    status: 1,
                    stdout: b"the content of a file".to_vec(),
                    stderr: b"it is\nlocked\n".to_vec(),
                })
            })
        });
        let host = kept.host(fake);
        host.run(&Command::new(["mkdir", "/etc/etcd"]).as_root())
            .await
            .unwrap();
        host.run(&Command::new(["false"])).await.unwrap();
        put(&host, "/etc/etcd/etcd.env", "ETCD_NAME=node1\n", 0o644).await;
        put(&host, "/etc/etcd/password", "secret", 0o600).await;
        insta::assert_snapshot!(kept.log("node1/log"), @r"
        root: mkdir /etc/etcd
        false
            status 1
            it is
            locked
        put /etc/etcd/etcd.env, mode 644
        put /etc/etcd/password, mode 600
        ");
        let file = |name: &str| fs::read_to_string(kept.path("node1/files/etc/etcd").join(name));
        assert_eq!(file("etcd.env").unwrap(), "ETCD_NAME=node1\n");
        assert!(file("password").is_err());
        host.facts().await.unwrap();
        let facts = fs::read(kept.path("node1/facts.json")).unwrap();
        let facts: Facts = serde_json::from_slice(&facts).unwrap();
        assert_eq!(facts.hostname, "node1");
    }

    #[tokio::test]
    async fn questions_that_come_together_are_told_as_one() {
        let kept = Kept::new();
        let host = kept.host(FakeHost::new("node1").on("is-active", 3, "inactive"));
        let questions = ["is-active etcd", "stat /etc/etcd"];
        let questions = questions.map(|text| Command::script(text).as_root());
        host.ask(&questions).await.unwrap();
        insta::assert_snapshot!(kept.log("node1/log"), @r"
        root: 2 questions at once
            3: is-active etcd
            0: stat /etc/etcd
        ");
    }

    #[tokio::test]
    async fn the_log_of_the_run_before_stays() {
        let kept = Kept::new();
        for command in ["first", "second", "third"] {
            let host = kept.host(FakeHost::new("node1"));
            host.run(&Command::new([command])).await.unwrap();
        }
        assert_eq!(kept.log("node1/log"), "third");
        assert_eq!(kept.log("node1/log.1"), "second");
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_keeps_no_host_from_its_work() {
        let kept = Kept::new();
        fs::write(kept.path("node1"), "in the way").unwrap();
        let host = kept.host(FakeHost::new("node1"));
        assert!(host.run(&Command::new(["true"])).await.unwrap().ok());
        put(&host, "/etc/motd", "hello", 0o644).await;
    }
}
