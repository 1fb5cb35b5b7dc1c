use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until};

use super::connection::{Footing, Peer};
use super::elevation::{PROMPT, RUNS};
use crate::exec::{Collector, Input, Limit, OUTPUT_LIMIT};
use crate::{Command, HostError, Output};

/// The number of SSH's stream for stderr.
const STDERR: u32 = 1;

/// A channel for one command. Dropped before the command's end, it takes the command down with it.
pub(super) struct Session {
    reader: ChannelReadHalf,
    /// None once the channel is closed.
    writer: Option<ChannelWriteHalf<Msg>>,
    slot: Option<OwnedSemaphorePermit>,
    peer: Peer,
}

impl Session {
    pub(super) fn new(channel: Channel<Msg>, slot: OwnedSemaphorePermit, peer: Peer) -> Self {
        let (reader, writer) = channel.split();
        Self {
            reader,
            writer: Some(writer),
            slot: Some(slot),
            peer,
        }
    }

    /// Runs a command to its end.
    pub(super) async fn run(
        self,
        command: &Command,
        Footing { shell, elevation }: &Footing,
        input: Input,
        limit: Limit,
    ) -> Result<Output, HostError> {
        let (prefix, script) = elevation.wrap(command.text());
        let line = shell.line(&prefix, &script);
        self.run_line(&line, command, elevation.password(), input, limit)
            .await
    }

    /// Runs a line of the login shell; `command` stands for it in errors.
    pub(super) async fn run_line(
        mut self,
        line: &str,
        command: &Command,
        password: Option<&SecretString>,
        input: Input,
        limit: Limit,
    ) -> Result<Output, HostError> {
        let result = self.converse(line, command, password, input, limit).await;
        if result.is_ok() {
            self.writer = None;
        }
        result
    }

    async fn converse(
        &mut self,
        line: &str,
        command: &Command,
        password: Option<&SecretString>,
        input: Input,
        limit: Limit,
    ) -> Result<Output, HostError> {
        let Self {
            reader,
            writer,
            peer,
            ..
        } = self;
        let Some(writer) = writer else {
            return Err(peer.lost());
        };
        if writer.exec(true, line).await.is_err() {
            return Err(peer.lost());
        }
        let (say, hear) = mpsc::unbounded_channel();
        let moved = AtomicU64::new(0);
        let gate = password.map(|password| Gate { password, hear });
        let mut feeding = std::pin::pin!(feed(writer, gate, input, peer, &moved));
        let mut fed = false;
        let mut heard = Heard::new(password.map(|_| say));
        let (mut seen, mut deadline) = (0, Instant::now() + limit.duration());
        loop {
            tokio::select! {
                message = reader.wait() => {
                    moved.fetch_add(1, Ordering::Relaxed);
                    match message {
                        Some(ChannelMsg::Close) | None => return heard.end(peer),
                        Some(message) => heard.take(message, command)?,
                    }
                }
                result = &mut feeding, if !fed => {
                    fed = true;
                    result?;
                }
                () = sleep_until(deadline) => {
                    let now = moved.load(Ordering::Relaxed);
                    if matches!(limit, Limit::Total(_)) || now == seen {
                        let (command, limit) = (command.brief(), limit.duration());
                        return Err(HostError::Timeout { command, limit });
                    }
                    (seen, deadline) = (now, Instant::now() + limit.duration());
                }
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (Some(writer), Ok(runtime)) = (self.writer.take(), Handle::try_current()) else {
            return;
        };
        let slot = self.slot.take();
        runtime.spawn(async move {
            // Where the connection is gone, so is the command.
            let _ = writer.signal(Sig::TERM).await;
            let _ = writer.close().await;
            drop(slot);
        });
    }
}

/// What sudo says on stderr before the command runs.
enum Said {
    Asks,
    Runs,
}

/// The password, and when sudo wants it.
struct Gate<'a> {
    password: &'a SecretString,
    hear: mpsc::UnboundedReceiver<Said>,
}

/// Gives the command its input: for sudo the password, but only when it asks, so that a command which sudo lets
/// through without one never reads it; then the command's own.
async fn feed(
    writer: &ChannelWriteHalf<Msg>,
    gate: Option<Gate<'_>>,
    mut input: Input,
    peer: &Peer,
    moved: &AtomicU64,
) -> Result<(), HostError> {
    if let Some(Gate { password, mut hear }) = gate
        && let Some(Said::Asks) = hear.recv().await
    {
        let line = Bytes::from(format!("{}\n", password.expose_secret()));
        if writer.data_bytes(line).await.is_err() {
            return Ok(());
        }
        if let Some(Said::Asks) = hear.recv().await {
            return Err(peer.sudo_refused("the password is wrong"));
        }
    }
    while let Some(piece) = input.next().await {
        // Where the connection is gone, the reading side tells.
        if writer.data_bytes(piece?).await.is_err() {
            return Ok(());
        }
        moved.fetch_add(1, Ordering::Relaxed);
    }
    let _ = writer.eof().await;
    Ok(())
}

/// What has come back so far.
struct Heard {
    stdout: Collector,
    stderr: Collector,
    status: Option<u32>,
    /// Set while sudo has not started the command.
    sudo: Option<mpsc::UnboundedSender<Said>>,
}

impl Heard {
    fn new(sudo: Option<mpsc::UnboundedSender<Said>>) -> Self {
        Self {
            stdout: Collector::default(),
            stderr: Collector::default(),
            status: None,
            sudo,
        }
    }

    fn take(&mut self, message: ChannelMsg, command: &Command) -> Result<(), HostError> {
        let answer = |why: String| HostError::Answer {
            command: command.brief(),
            why,
        };
        let fits = match message {
            ChannelMsg::Data { data } => self.stdout.push(&data),
            ChannelMsg::ExtendedData { data, ext: STDERR } => {
                let fits = self.stderr.push(&data);
                self.listen_to_sudo();
                fits
            }
            ChannelMsg::ExitStatus { exit_status } => {
                self.status = Some(exit_status);
                true
            }
            ChannelMsg::ExitSignal { signal_name, .. } => {
                self.status = Some(128 + number(&signal_name));
                true
            }
            ChannelMsg::Failure => {
                return Err(answer("the host refuses to run commands".to_owned()));
            }
            _ => true,
        };
        if fits {
            Ok(())
        } else {
            Err(answer(format!("more than {} MiB", OUTPUT_LIMIT >> 20)))
        }
    }

    fn listen_to_sudo(&mut self) {
        let Some(sudo) = &self.sudo else { return };
        // Nobody listens any more once the command is given up.
        if self.stderr.cut_through(RUNS) {
            let _ = sudo.send(Said::Runs);
            self.sudo = None;
        } else if self.stderr.cut_through(PROMPT) {
            let _ = sudo.send(Said::Asks);
        }
    }

    fn end(self, peer: &Peer) -> Result<Output, HostError> {
        let Some(status) = self.status else {
            return Err(peer.lost());
        };
        let waits_for_sudo = self.sudo.is_some();
        let output = Output {
            status,
            stdout: self.stdout.into_bytes(),
            stderr: self.stderr.into_bytes(),
        };
        if waits_for_sudo {
            return Err(peer.sudo_refused(output.last_words()));
        }
        Ok(output)
    }
}

/// As Linux numbers the signals that SSH names.
fn number(signal: &Sig) -> u32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(_) => 0,
    }
}
