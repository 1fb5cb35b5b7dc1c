use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use super::connection::{CommandMode, Connection, Peer};
use super::elevation::{Elevation, PROMPT, RUNS};
use crate::exec::{self, Collector, Input, Limit};
use crate::{Command, HostError, Output};

/// The number of SSH's stream for stderr.
const STDERR: u32 = 1;

/// For a command to begin that is given up at once.
const BEGIN_LIMIT: Duration = Duration::from_secs(5);
/// For ending it.
const END_LIMIT: Limit = Limit::Total(Duration::from_secs(20));

/// A channel for one command. Dropped before the command's end, it takes the command down with it.
pub(super) struct Session {
    peer: Peer,
    /// None once the channel is closed.
    open: Option<Open>,
    /// Whether a command that is given up has to be ended, and how.
    ending: Option<Ending>,
}

struct Open {
    reader: ChannelReadHalf,
    writer: ChannelWriteHalf<Msg>,
    heard: Received,
    /// Given back after the channel is closed.
    _slot: OwnedSemaphorePermit,
}

struct Ending {
    connection: Arc<Connection>,
    mode: CommandMode,
}

impl Session {
    pub(super) fn new(channel: Channel<Msg>, slot: OwnedSemaphorePermit, peer: Peer) -> Self {
        let (reader, writer) = channel.split();
        let open = Open {
            reader,
            writer,
            heard: Received::default(),
            _slot: slot,
        };
        Self {
            peer,
            open: Some(open),
            ending: None,
        }
    }

    /// Runs a command to its end.
    pub(super) async fn run(
        mut self,
        connection: &Arc<Connection>,
        command: &Command,
        mode: &CommandMode,
        input: Input,
        limit: Limit,
    ) -> Result<Output, HostError> {
        let connection = connection.clone();
        self.ending = Some(Ending {
            connection,
            mode: mode.clone(),
        });
        self.run_plain(command, mode, input, limit).await
    }

    /// The same, but what it does not finish is left alone.
    async fn run_plain(
        self,
        command: &Command,
        mode: &CommandMode,
        input: Input,
        limit: Limit,
    ) -> Result<Output, HostError> {
        let (prefix, script) = mode.elevation.wrap(command.text());
        let line = mode.shell.line(&prefix, &script);
        self.run_line(&line, command, mode.elevation.password(), input, limit)
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
        match &result {
            Ok(_) => self.open = None,
            // Whoever tries again must not meet the first try still at work.
            Err(HostError::Timeout { .. }) => {
                if let Some(end) = self.end() {
                    end.await;
                }
            }
            Err(_) => {}
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
            peer,
            open:
                Some(Open {
                    reader,
                    writer,
                    heard,
                    ..
                }),
            ..
        } = self
        else {
            return Err(self.peer.lost());
        };
        if writer.exec(true, line).await.is_err() {
            return Err(peer.lost());
        }
        let (say, hear) = mpsc::unbounded_channel();
        let moved = AtomicU64::new(0);
        let gate = password.map(|password| Gate { password, hear });
        let mut feeding = std::pin::pin!(feed(writer, gate, input, peer, &moved));
        let mut fed = false;
        heard.sudo = password.map(|_| say);
        let (mut seen, mut deadline) = (0, Instant::now() + limit.duration());
        loop {
            tokio::select! {
                message = reader.wait() => {
                    moved.fetch_add(1, Ordering::Relaxed);
                    match message {
                        Some(ChannelMsg::Close) | None => return std::mem::take(heard).end(peer),
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

    /// Ends a command that has not ended by itself. SSH's own signals do not reach commands of root.
    fn end(&mut self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let (mut open, ending) = (self.open.take()?, self.ending.take());
        Some(Box::pin(async move {
            if ending.is_some() {
                // It may have begun without having been heard yet.
                let _ = timeout(BEGIN_LIMIT, open.heard_beginning()).await;
            }
            // Where the connection is gone, so is the command's input, and nothing more can be done.
            let _ = open.writer.close().await;
            let group = open.heard.group;
            drop(open);
            let (Some(Ending { connection, mode }), Some(group)) = (ending, group) else {
                return;
            };
            let kill = Command::script(format!(
                "kill -s TERM -- -{group} || exit 0\n\
                 for i in 1 2 3 4 5 6 7 8 9 10; do kill -s 0 -- -{group} || exit 0; sleep 0.3; done\n\
                 kill -s KILL -- -{group}"
            ));
            if let Ok(session) = connection.open_session().await {
                let _ = session
                    .run_plain(&kill, &mode, Input::Nothing, END_LIMIT)
                    .await;
            }
        }))
    }
}

impl Open {
    /// Waits until the command has told its process group, or has ended.
    async fn heard_beginning(&mut self) {
        let command = Command::script("");
        while self.heard.group.is_none() && self.heard.status.is_none() {
            let Some(message) = self.reader.wait().await else {
                return;
            };
            if self.heard.take(message, &command).is_err() {
                return;
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let (Ok(runtime), Some(end)) = (Handle::try_current(), self.end()) {
            runtime.spawn(end);
        }
    }
}

/// What sudo says on stderr before the command runs.
enum SudoNotice {
    Asks,
    Runs,
}

/// The password, and when sudo wants it.
struct Gate<'a> {
    password: &'a SecretString,
    hear: mpsc::UnboundedReceiver<SudoNotice>,
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
        && let Some(SudoNotice::Asks) = hear.recv().await
    {
        let line = Bytes::from(format!("{}\n", password.expose_secret()));
        if writer.data_bytes(line).await.is_err() {
            return Ok(());
        }
        if let Some(SudoNotice::Asks) = hear.recv().await {
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
#[derive(Default)]
struct Received {
    stdout: Collector,
    stderr: Collector,
    stdout_began: bool,
    /// The command's process group, once it runs.
    group: Option<u32>,
    status: Option<u32>,
    /// Set while sudo may ask.
    sudo: Option<mpsc::UnboundedSender<SudoNotice>>,
}

impl Received {
    fn take(&mut self, message: ChannelMsg, command: &Command) -> Result<(), HostError> {
        let answer = |why: String| HostError::Answer {
            command: command.brief(),
            why,
        };
        let fits = match message {
            ChannelMsg::Data { data } => {
                let fits = self.stdout.push(&data);
                self.stdout_began |=
                    !self.stdout_began && self.stdout.cut_through_line(RUNS).is_some();
                fits
            }
            ChannelMsg::ExtendedData { data, ext: STDERR } => {
                let fits = self.stderr.push(&data);
                self.listen();
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
                return Err(answer("the host refuses to run it".to_owned()));
            }

            _ => true,
        };
        if fits {
            Ok(())
        } else {
            Err(answer(exec::too_long()))
        }
    }

    /// Waits on stderr for sudo's question and for the command's beginning.
    fn listen(&mut self) {
        if self.group.is_some() {
            return;
        }
        if let Some(group) = self.stderr.cut_through_line(RUNS) {
            // Of groups 0 and 1 nothing good can come; without /proc there is none.
            self.group = Some(group.parse().unwrap_or(0)).filter(|group| *group > 1);
            if let Some(sudo) = self.sudo.take() {
                // Nobody listens any more once the command is given up.
                let _ = sudo.send(SudoNotice::Runs);
            }
        } else if let Some(sudo) = &self.sudo
            && self.stderr.cut_through(PROMPT)
        {
            let _ = sudo.send(SudoNotice::Asks);
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
            return Err(peer.sudo_refused(Elevation::refusal(&output)));
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
