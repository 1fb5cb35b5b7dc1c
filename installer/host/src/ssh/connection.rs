use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use russh::{ChannelOpenFailure, ChannelStream, client};
use tokio::sync::{OnceCell, Semaphore, oneshot};
use tokio::time::timeout;

use super::elevation::Elevation;
use super::handshake::{self, Client, words};
use super::host_key::HostKeys;
use super::session::Session;
use super::{Options, Target};
use crate::exec::{Input, Limit};
use crate::shell::{self, LoginShell};
use crate::{Command, HostError, Output, Privilege};

/// sshd allows ten sessions of one connection where nobody has changed that.
const SESSIONS: usize = 8;
/// How often one session is asked for where even that is refused: the one before may not be quite gone.
const TRIES: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// For the questions a new connection asks before its first command.
const PROBE_LIMIT: Limit = Limit::Total(Duration::from_secs(30));

/// A stream through a bastion.
pub(super) type Tunnel = ChannelStream<client::Msg>;

/// Who is on the other end, and what became of it.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) user: String,
    pub(super) address: String,
    pub(super) gone: Arc<OnceLock<String>>,
}

impl Peer {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            user: target.user.clone(),
            address: target.endpoint(),
            gone: Arc::default(),
        }
    }

    pub(super) fn lost(&self) -> HostError {
        let why = self.gone.get().map_or("the host closed it", String::as_str);
        HostError::Lost {
            address: self.address.clone(),
            why: why.to_owned(),
        }
    }

    pub(super) fn sudo_refused(&self, why: impl Into<String>) -> HostError {
        HostError::SudoRefused {
            user: self.user.clone(),
            why: why.into(),
        }
    }

    pub(super) fn unreachable(&self, why: impl Into<String>) -> HostError {
        HostError::Unreachable {
            address: self.address.clone(),
            why: why.into(),
        }
    }

    pub(super) fn no_commands(&self, why: impl Into<String>) -> HostError {
        HostError::NoCommands {
            user: self.user.clone(),
            address: self.address.clone(),
            why: why.into(),
        }
    }

    pub(super) fn login_refused(&self, why: impl Into<String>) -> HostError {
        HostError::LoginRefused {
            user: self.user.clone(),
            address: self.address.clone(),
            why: why.into(),
        }
    }
}

/// What logged in.
#[derive(Clone, Copy)]
struct Login {
    shell: LoginShell,
    root: bool,
}

/// How commands run in a session.
#[derive(Clone)]
pub(super) struct CommandMode {
    pub(super) shell: LoginShell,
    pub(super) elevation: Elevation,
}

/// A login on a host.
pub(super) struct Connection {
    handle: client::Handle<Client>,
    peer: Peer,
    slots: Arc<Semaphore>,
    capacity: AtomicUsize,
    login: OnceCell<Login>,
    elevation: OnceCell<Elevation>,
    /// The bastion's connection lives as long as what runs through it.
    _through: Option<Arc<Connection>>,
}

impl Connection {
    /// Connects, verifies the host's key, logs in.
    pub(super) async fn open(
        target: &Target,
        keys: &HostKeys,
        options: &Options,
    ) -> Result<Self, HostError> {
        let peer = Peer::new(target);
        let (handle, through) = handshake::open(target, &peer, keys, options).await?;
        Ok(Self {
            handle,
            peer,
            slots: Arc::new(Semaphore::new(SESSIONS)),
            capacity: AtomicUsize::new(SESSIONS),
            login: OnceCell::new(),
            elevation: OnceCell::new(),
            _through: through,
        })
    }

    pub(super) fn lives(&self) -> bool {
        !self.handle.is_closed()
    }

    /// A session, and how to run a command with that privilege in it.
    pub(super) async fn session(
        self: &Arc<Self>,
        target: &Target,
        privilege: Privilege,
    ) -> Result<(Session, CommandMode), HostError> {
        let login = *self.login.get_or_try_init(|| self.who()).await?;
        let elevation = match privilege {
            Privilege::Root if !login.root => self
                .elevation
                .get_or_try_init(|| self.sudo(target, login.shell))
                .await?
                .clone(),
            Privilege::Root | Privilege::Login => Elevation::None,
        };
        Ok((
            self.open_session().await?,
            CommandMode {
                shell: login.shell,
                elevation,
            },
        ))
    }

    /// A stream to what listens there, as the host sees it.
    pub(super) async fn tunnel(
        &self,
        address: &str,
        port: u16,
        limit: Duration,
    ) -> Result<Tunnel, HostError> {
        let unreachable = |why: String| HostError::Unreachable {
            address: super::endpoint(address, port),
            why: format!("the bastion {} {why}", self.peer.address),
        };
        // Where the connection comes from is told to the server for its log alone.
        let opened =
            self.handle
                .channel_open_direct_tcpip(address, u32::from(port), "127.0.0.1", 0);
        // The bastion's own patience with a host whose packets are dropped is minutes.
        let Ok(opened) = timeout(limit, opened).await else {
            let seconds = limit.as_secs();
            return Err(unreachable(format!("got no answer within {seconds} s")));
        };
        match opened {
            Ok(channel) => Ok(channel.into_stream()),
            Err(russh::Error::ChannelOpenFailure(reason)) => Err(unreachable(match reason {
                ChannelOpenFailure::AdministrativelyProhibited => {
                    "forbids it (AllowTcpForwarding of its sshd)".to_owned()
                }
                ChannelOpenFailure::ConnectFailed => "cannot connect to it".to_owned(),
                other => format!("says {other:?}"),
            })),
            Err(_) => Err(self.peer.lost()),
        }
    }

    /// In a task of its own: a session that the host grants is closed again even where nobody waits for it any more.
    pub(super) async fn open_session(self: &Arc<Self>) -> Result<Session, HostError> {
        let (give, take) = oneshot::channel();
        let connection = self.clone();
        tokio::spawn(async move {
            // The session that nobody takes is dropped, and so closed.
            let _ = give.send(connection.ask_for_session().await);
        });
        take.await.unwrap_or_else(|_| Err(self.peer.lost()))
    }

    async fn ask_for_session(&self) -> Result<Session, HostError> {
        let mut tries = 0;
        loop {
            let Ok(slot) = self.slots.clone().acquire_owned().await else {
                return Err(self.peer.lost());
            };
            match self.handle.channel_open_session().await {
                Ok(channel) => return Ok(Session::new(channel, slot, self.peer.clone())),
                Err(russh::Error::ChannelOpenFailure(_)) if self.shrink() => slot.forget(),
                Err(russh::Error::ChannelOpenFailure(_)) if tries < TRIES => {
                    tokio::time::sleep(FIRST_PAUSE * (1 << tries)).await;
                    tries += 1;
                }
                Err(russh::Error::ChannelOpenFailure(_)) => {
                    return Err(self.peer.no_commands("it opens no session"));
                }
                Err(error) => {
                    // The reason of the loss is the better one, where there is one.
                    let _ = self.peer.gone.set(words(&error));
                    return Err(self.peer.lost());
                }
            }
        }
    }

    /// Takes one session less at a time from now on, down to one.
    fn shrink(&self) -> bool {
        let less = |capacity: usize| (capacity > 1).then(|| capacity - 1);
        self.capacity
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    /// Asks who logged in, in a line that every shell reads alike.
    async fn who(self: &Arc<Self>) -> Result<Login, HostError> {
        const MARK: &str = "kubexm: login";
        let output = self
            .probe(&format!("sh -c 'echo {MARK} \"$SHELL\"; id -u'"))
            .await?;
        let text = output.text();
        let Some((_, answer)) = text.split_once(MARK) else {
            return Err(self.peer.no_commands(output.last_words()));
        };
        let mut lines = answer.lines().map(str::trim);
        let shell = LoginShell::of(lines.next().unwrap_or_default());
        Ok(Login {
            shell,
            root: lines.next() == Some("0"),
        })
    }

    async fn sudo(
        self: &Arc<Self>,
        target: &Target,
        shell: LoginShell,
    ) -> Result<Elevation, HostError> {
        let output = self
            .probe(&shell.line("", &shell::script(Elevation::PROBE)))
            .await?;
        Elevation::judge(&output, target.sudo_password.as_ref())
            .map_err(|why| self.peer.sudo_refused(why))
    }

    async fn probe(self: &Arc<Self>, line: &str) -> Result<Output, HostError> {
        let session = self.open_session().await?;
        session
            .run_line(
                line,
                &Command::script(line),
                None,
                Input::Nothing,
                PROBE_LIMIT,
            )
            .await
    }
}
