//! The machine that kubexm itself runs on.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8Path;
use event::Progress;
use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::exec::{self, Collector, Input, Limit};
use crate::transfer::Transfer;
use crate::{
    Command, Facts, FileAttrs, Host, HostError, Output, Privilege, Redactor, Source, probe,
    questions, read, shell,
};

/// The machine that kubexm itself runs on. Root is had by being root, or by a sudo that asks for nothing.
#[derive(Debug)]
pub struct LocalHost {
    name: String,
    redactor: Redactor,
    facts: OnceCell<Arc<Facts>>,
}

impl LocalHost {
    #[must_use]
    pub fn new(name: impl Into<String>, redactor: Redactor) -> Self {
        Self {
            name: name.into(),
            redactor,
            facts: OnceCell::new(),
        }
    }

    async fn exec(
        &self,
        command: &Command,
        input: Input,
        limit: Limit,
    ) -> Result<Output, HostError> {
        // An upload is bounded by this machine's own disks: only silence would tell, and there is none to listen to.
        let ended = match limit {
            Limit::Total(limit) => timeout(limit, run(command, input)).await,
            Limit::Idle(_) => Ok(run(command, input).await),
        };
        let ended = ended.unwrap_or_else(|_| {
            Err(HostError::Timeout {
                command: command.brief(),
                limit: limit.duration(),
            })
        });
        match ended {
            Ok(mut output) => {
                self.redactor.bytes(&mut output.stderr);
                Ok(output)
            }
            Err(error) => Err(self.redactor.error(error)),
        }
    }
}

/// A process with all that it started; dropped before its end, it is killed.
struct Family {
    child: Child,
    leader: Option<Pid>,
}

impl Drop for Family {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // It may have ended by itself meanwhile.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

async fn run(command: &Command, input: Input) -> Result<Output, HostError> {
    let failed = |why: String| HostError::Answer {
        command: command.brief(),
        why,
    };
    let words: &[&str] = match command.privilege() {
        Privilege::Root if !geteuid().is_root() => &["sudo", "-n", "--", "sh", "-c"],
        Privilege::Root | Privilege::Login => &["sh", "-c"],
    };
    let child = tokio::process::Command::new(words[0])
        .args(&words[1..])
        .arg(shell::script(command.text()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| failed(format!("cannot start {}: {e}", words[0])))?;
    let leader = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let mut family = Family { child, leader };
    let pipes = (
        family.child.stdin.take(),
        family.child.stdout.take(),
        family.child.stderr.take(),
    );
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(failed("it has no pipes".to_owned()));
    };
    let failed = &failed;
    let too_much = |_| failed(exec::too_long());
    let ((), stdout, stderr) = tokio::try_join!(
        feed(stdin, input),
        async { collect(stdout).await.map_err(too_much) },
        async { collect(stderr).await.map_err(too_much) },
    )?;
    let status = family
        .child
        .wait()
        .await
        .map_err(|e| failed(e.to_string()))?;
    family.leader = None;
    Ok(Output {
        status: code(status),
        stdout,
        stderr,
    })
}

async fn feed(mut stdin: ChildStdin, mut input: Input) -> Result<(), HostError> {
    while let Some(piece) = input.next().await {
        // A command need not read all of its input.
        if stdin.write_all(&piece?).await.is_err() {
            break;
        }
    }
    Ok(())
}

struct TooMuch;

async fn collect(mut from: impl AsyncRead + Unpin) -> Result<Vec<u8>, TooMuch> {
    let mut collector = Collector::default();
    let mut piece = vec![0; 64 << 10];
    loop {
        match from.read(&mut piece).await {
            Ok(0) | Err(_) => return Ok(collector.into_bytes()),
            Ok(length) if collector.push(&piece[..length]) => {}
            Ok(_) => return Err(TooMuch),
        }
    }
}

fn code(status: ExitStatus) -> u32 {
    use std::os::unix::process::ExitStatusExt;
    let signal = || status.signal().map_or(0, |signal| 128 + signal);
    status.code().unwrap_or_else(signal).unsigned_abs()
}

#[async_trait]
impl Host for LocalHost {
    fn name(&self) -> &str {
        &self.name
    }

    async fn run(&self, command: &Command) -> Result<Output, HostError> {
        let input = command
            .input()
            .cloned()
            .map_or(Input::Nothing, Input::Bytes);
        self.exec(command, input, Limit::Total(command.limit()))
            .await
    }

    async fn upload(
        &self,
        source: &Source,
        to: &Utf8Path,
        attrs: &FileAttrs,
        progress: &Progress,
    ) -> Result<(), HostError> {
        let (command, input, limit, verdict) =
            Transfer::new(source, to, attrs, progress).await?.split();
        verdict.on(&self.exec(&command, input, limit).await?)
    }

    async fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, HostError> {
        read::contents(path, self.run(&read::command(path)).await?)
    }

    async fn ask(&self, questions: &[Command]) -> Result<Vec<Output>, HostError> {
        questions::ask(self, questions, &self.redactor).await
    }

    async fn facts(&self) -> Result<Arc<Facts>, HostError> {
        let facts = self
            .facts
            .get_or_try_init(|| async { probe::facts(self).await.map(Arc::new) });
        facts.await.cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::SecretString;

    use super::*;

    #[tokio::test]
    async fn commands_end_as_anywhere() {
        let host = LocalHost::new("here", Redactor::new([SecretString::from("hunter2")]));
        let run = async |command: Command| host.run(&command).await;
        let output = run(Command::script("cat; echo hunter2 >&2; exit 7").stdin("in"))
            .await
            .unwrap();
        assert_eq!(
            (
                output.text().as_str(),
                output.last_words().as_str(),
                output.status
            ),
            ("in", "[secret]", 7)
        );
        assert_eq!(
            run(Command::script("kill -9 $$")).await.unwrap().status,
            137
        );
        assert!(
            run(Command::script("exit 0").stdin(vec![0; 1 << 20]))
                .await
                .unwrap()
                .ok()
        );
        let error = run(Command::new(["yes"])).await.unwrap_err();
        insta::assert_snapshot!(error, @"unexpected answer to yes: it is longer than 16 MiB, so the command was ended");
        // The child keeps the pipes open; it has to go as well.
        let slow =
            Command::script("sleep 1000 & wait # hunter2").timeout(Duration::from_millis(50));
        insta::assert_snapshot!(run(slow).await.unwrap_err(), @"no answer within 0 s: sleep 1000 & wait # [secret]");
    }
}
