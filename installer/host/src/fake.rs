//! A fake machine for golden transcripts of whole plans: files in memory, answers from a table, faults on demand.
//!
//! It runs nothing. A command without an answer succeeds in silence; what a plan really does is for the lab to show.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;
use sha2::{Digest, Sha256};

use crate::{
    Cgroup, Command, Disk, Facts, FileAttrs, Host, HostError, Output, Owner, Privilege, Redactor,
    Source, quote, read,
};

/// A file on a fake machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeFile {
    pub bytes: Bytes,
    pub mode: u32,
    pub owner: Owner,
}

/// The files of a fake machine.
pub type FakeFiles = BTreeMap<Utf8PathBuf, FakeFile>;

type Answer = Box<dyn FnMut(&Command, &mut FakeFiles) -> Option<Result<Output, HostError>> + Send>;

/// A machine that is none.
pub struct FakeHost {
    name: String,
    facts: Arc<Facts>,
    redactor: Redactor,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: FakeFiles,
    /// The latest comes first.
    answers: Vec<Answer>,
    faults: Vec<Fault>,
    down: bool,
    transcript: String,
    round_trips: usize,
    /// It has told what it is, once and for all.
    has_told: bool,
}

/// A fault that waits for its moment.
struct Fault {
    /// In the text of a command, or in the path of an upload.
    needle: String,
    times: u32,
    error: Box<dyn Fn() -> HostError + Send>,
}

impl FakeHost {
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let facts = Arc::new(facts(&name));
        Self {
            name,
            facts,
            redactor: Redactor::default(),
            state: Mutex::default(),
        }
    }

    #[must_use]
    pub fn with_facts(mut self, facts: Facts) -> Self {
        self.facts = Arc::new(facts);
        self
    }

    /// Masks secrets in the transcript.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// Puts a file there beforehand.
    #[must_use]
    pub fn with_file(self, path: &str, bytes: impl Into<Bytes>, mode: u32) -> Self {
        let file = FakeFile {
            bytes: bytes.into(),
            mode,
            owner: Owner::root(),
        };
        self.state().files.insert(path.into(), file);
        self
    }

    /// Answers every command whose text holds `needle`.
    #[must_use]
    pub fn on(self, needle: impl Into<String>, status: u32, stdout: impl Into<String>) -> Self {
        let (needle, stdout) = (needle.into(), stdout.into());
        self.on_command(move |command, _| {
            let output = || Output {
                status,
                stdout: stdout.clone().into(),
                stderr: Vec::new(),
            };
            command.text().contains(&needle).then(|| Ok(output()))
        })
    }

    /// Answers the commands it likes, and may change the files. The latest is asked first.
    #[must_use]
    pub fn on_command(
        self,
        answer: impl FnMut(&Command, &mut FakeFiles) -> Option<Result<Output, HostError>>
        + Send
        + 'static,
    ) -> Self {
        self.state().answers.insert(0, Box::new(answer));
        self
    }

    /// Lets the next `times` commands or uploads fail whose text or path holds `needle`.
    pub fn fail(
        &self,
        needle: impl Into<String>,
        times: u32,
        error: impl Fn() -> HostError + Send + 'static,
    ) {
        self.state().faults.push(Fault {
            needle: needle.into(),
            times,
            error: Box::new(error),
        });
    }

    /// From now on nothing reaches it.
    pub fn go_down(&self) {
        self.state().down = true;
    }

    /// Everything reaches it again.
    pub fn come_up(&self) {
        self.state().down = false;
    }

    /// A copy of what lies there now.
    #[must_use]
    pub fn files(&self) -> FakeFiles {
        self.state().files.clone()
    }

    /// All commands and uploads in their order, secrets masked. `#` is a command of root, `$` one of the login, `>` an
    /// upload, `=` an end other than success.
    #[must_use]
    pub fn transcript(&self) -> String {
        self.state().transcript.clone()
    }

    /// How often somebody waited for an answer.
    #[must_use]
    pub fn round_trips(&self) -> usize {
        self.state().round_trips
    }

    /// What the machine says to a command.
    fn answer(&self, state: &mut State, command: &Command) -> Result<Output, HostError> {
        if let Some(path) = read::asked(command.text()) {
            let mut files = state.files.iter();
            let file = files.find(|(at, _)| quote(at.as_str()) == path);
            return Ok(read::answer(file.map(|(_, file)| file.bytes.to_vec())));
        }
        self.say(state, &told(command));
        if let Some(error) = self.fault(state, command.text()) {
            return Err(error);
        }
        let answered = state
            .answers
            .iter_mut()
            .find_map(|answer| answer(command, &mut state.files));
        let silence = Output {
            status: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
        };
        let result = answered.unwrap_or(Ok(silence));
        match &result {
            Ok(output) if output.ok() => {}
            Ok(output) => self.say(state, &format!("= {}", output.status)),
            Err(error) => self.say(state, &format!("= {error}")),
        }
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, state: &mut State, line: &str) {
        state.transcript.push_str(&self.redactor.text(line));
        state.transcript.push('\n');
    }

    /// What happens instead of the act that holds `text`.
    fn fault(&self, state: &mut State, text: &str) -> Option<HostError> {
        let error = if state.down {
            let address = self.name.clone();
            HostError::Unreachable {
                address,
                why: "the fake is down".to_owned(),
            }
        } else {
            let fault = state
                .faults
                .iter_mut()
                .find(|f| f.times > 0 && text.contains(f.needle.as_str()))?;
            fault.times -= 1;
            (fault.error)()
        };
        self.say(state, &format!("= {error}"));
        Some(error)
    }
}

fn told(command: &Command) -> String {
    let sign = match command.privilege() {
        Privilege::Login => '$',
        Privilege::Root => '#',
    };
    let mut line = format!("{sign} {}", command.text().trim_end().replace('\n', "\n  "));
    if let Some(input) = command.input() {
        // Never what it is: stdin is the way for secrets.
        let _ = write!(line, " < {} bytes", input.len());
    }
    line
}

#[async_trait]
impl Host for FakeHost {
    fn name(&self) -> &str {
        &self.name
    }

    async fn run(&self, command: &Command) -> Result<Output, HostError> {
        let state = &mut *self.state();
        state.round_trips += 1;
        self.answer(state, command)
    }

    async fn ask(&self, questions: &[Command]) -> Result<Vec<Output>, HostError> {
        let state = &mut *self.state();
        state.round_trips += 1;
        let answers = questions
            .iter()
            .map(|question| self.answer(state, question));
        answers.collect()
    }

    async fn upload(
        &self,
        source: &Source,
        to: &Utf8Path,
        attrs: &FileAttrs,
        progress: &Progress,
    ) -> Result<(), HostError> {
        let bytes = match source {
            Source::Bytes(bytes) => bytes.clone(),
            Source::File(path) => std::fs::read(path)
                .map_err(|e| HostError::Source {
                    path: path.clone(),
                    why: e.to_string(),
                })?
                .into(),
        };
        let state = &mut *self.state();
        state.round_trips += 1;
        let Owner { user, group } = &attrs.owner;
        let digest = hex::encode(&Sha256::digest(&bytes)[..6]);
        let (mode, length) = (attrs.mode, bytes.len());
        self.say(
            state,
            &format!("> {to} {mode:04o} {user}:{group} {length} bytes {digest}"),
        );
        if let Some(error) = self.fault(state, to.as_str()) {
            return Err(error);
        }
        progress.add(length as u64);
        let file = FakeFile {
            bytes,
            mode,
            owner: attrs.owner.clone(),
        };
        state.files.insert(to.to_owned(), file);
        Ok(())
    }

    async fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, HostError> {
        let state = &mut *self.state();
        state.round_trips += 1;
        if let Some(error) = self.fault(state, path.as_str()) {
            return Err(error);
        }
        Ok(state.files.get(path).map(|file| file.bytes.to_vec()))
    }

    async fn facts(&self) -> Result<Arc<Facts>, HostError> {
        let state = &mut *self.state();
        if !std::mem::replace(&mut state.has_told, true) {
            state.round_trips += 1;
        }
        let fault = self.fault(state, "facts");
        fault.map_or_else(|| Ok(self.facts.clone()), Err)
    }
}

/// A small, healthy Debian; the same on every run.
#[must_use]
pub fn facts(name: &str) -> Facts {
    let disk = Disk {
        kind: "ext4".to_owned(),
        size: 100 << 30,
        free: 80 << 30,
        noexec: false,
    };
    Facts {
        hostname: name.to_owned(),
        machine: "x86_64".to_owned(),
        kernel: "6.12.48-amd64".to_owned(),
        os: "debian".to_owned(),
        os_version: "13".to_owned(),
        os_name: "Debian GNU/Linux 13 (trixie)".to_owned(),
        init: "systemd".to_owned(),
        cpus: 4,
        memory_kib: 8 << 20,
        swap_kib: 0,
        addresses: Vec::new(),
        machine_id: hex::encode(&Sha256::digest(name)[..16]),
        clock: jiff::Timestamp::UNIX_EPOCH,
        clock_ahead_ms: 0,
        round_trip_ms: 1,
        cgroup: Cgroup::V2,
        disks: BTreeMap::from([("/".to_owned(), disk)]),
        listening: vec![22],
        filesystems: ["ext4", "overlay", "tmpfs"].map(str::to_owned).to_vec(),
        commands: ["apt-get", "mount", "systemctl", "tar"]
            .map(str::to_owned)
            .to_vec(),
    }
}

#[cfg(test)]
mod tests;
