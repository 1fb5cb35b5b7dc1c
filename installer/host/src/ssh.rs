//! A machine reached over SSH.
//!
//! One connection per host, made when it is first needed and again after it was lost; commands and uploads are its
//! channels. Host keys are verified, always, at the bastion as well as behind it.

mod auth;
mod connection;
mod elevation;
mod forward;
mod handshake;
mod host_key;
mod known_hosts;
mod session;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8Path;
use event::Progress;
use secrecy::SecretString;
use tokio::sync::{Mutex, OnceCell};

use crate::exec::{Input, Limit};
use crate::transfer::Transfer;
use crate::{
    Command, Facts, FileAttrs, Host, HostError, Output, Privilege, Redactor, Source, Way, probe,
    questions, read,
};
use connection::{CommandMode, Connection, Tunnel};
use session::Session;

pub use auth::Auth;
pub use forward::Forward;
pub use host_key::{HostKeys, PinnedKey, PinnedKeyError, UnknownHost};

/// Where a machine is, who logs in there, and how it proves to be the right one.
#[derive(Clone, Debug)]
pub struct Target {
    /// The name from the config.
    pub name: String,
    pub address: String,
    pub port: u16,
    pub user: String,
    /// Tried in this order.
    pub auth: Vec<Auth>,
    /// What sudo asks for, where it asks.
    pub sudo_password: Option<SecretString>,
    /// The host's key as the config gives it; `known_hosts` is not asked then.
    pub host_key: Option<PinnedKey>,
    /// The way there. Hosts behind one bastion share its connection.
    pub bastion: Option<Arc<SshHost>>,
}

impl Target {
    /// The address with its port, for messages.
    #[must_use]
    pub fn endpoint(&self) -> String {
        endpoint(&self.address, self.port)
    }
}

fn endpoint(address: &str, port: u16) -> String {
    if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

/// How connections are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// For the TCP connection.
    pub connect_timeout: Duration,
    /// For the handshake and the login together.
    pub login_timeout: Duration,
    /// What must never show in an error, beside the target's own passwords.
    pub redactor: Redactor,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            login_timeout: Duration::from_secs(30),
            redactor: Redactor::default(),
        }
    }
}

/// A machine reached over SSH.
pub struct SshHost {
    target: Target,
    keys: HostKeys,
    options: Options,
    connection: Mutex<Option<Arc<Connection>>>,
    facts: OnceCell<Arc<Facts>>,
}

impl fmt::Debug for SshHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshHost")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl SshHost {
    /// Connects to nothing yet: the first command does.
    #[must_use]
    pub fn new(target: Target, keys: HostKeys, mut options: Options) -> Self {
        let own = target
            .auth
            .iter()
            .filter_map(Auth::secret)
            .chain(&target.sudo_password)
            .cloned();
        options.redactor = options.redactor.and(own);
        Self {
            target,
            keys,
            options,
            connection: Mutex::default(),
            facts: OnceCell::new(),
        }
    }

    /// The living connection, or a new one.
    async fn connection(&self) -> Result<Arc<Connection>, HostError> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| connection.lives()) {
            return Ok(connection.clone());
        }
        *slot = None;
        let connection = Connection::open(&self.target, &self.keys, &self.options).await?;
        Ok(slot.insert(Arc::new(connection)).clone())
    }

    /// A session in which a command can be run. Nothing has reached the host before there is one, so a connection that
    /// turns out to be dead is replaced once.
    async fn session(
        &self,
        privilege: Privilege,
    ) -> Result<(Arc<Connection>, Session, CommandMode), HostError> {
        let connection = self.connection().await?;
        match connection.session(&self.target, privilege).await {
            Err(HostError::Lost { .. }) => {}
            found => return found.map(|(session, mode)| (connection, session, mode)),
        }
        let connection = self.connection().await?;
        let (session, mode) = connection.session(&self.target, privilege).await?;
        Ok((connection, session, mode))
    }

    async fn exec(
        &self,
        command: &Command,
        input: Input,
        limit: Limit,
    ) -> Result<Output, HostError> {
        let done = async {
            let (connection, session, mode) = self.session(command.privilege()).await?;
            session.run(&connection, command, &mode, input, limit).await
        };
        match done.await {
            Ok(mut output) => {
                self.options.redactor.bytes(&mut output.stderr);
                Ok(output)
            }
            Err(error) => Err(self.options.redactor.error(error)),
        }
    }

    /// A stream to another machine, through this one.
    async fn tunnel(
        &self,
        address: &str,
        port: u16,
    ) -> Result<(Tunnel, Arc<Connection>), HostError> {
        let limit = self.options.connect_timeout;
        let connection = self.connection().await?;
        match connection.tunnel(address, port, limit).await {
            Err(HostError::Lost { .. }) => {
                let connection = self.connection().await?;
                Ok((connection.tunnel(address, port, limit).await?, connection))
            }
            tunnel => Ok((tunnel?, connection)),
        }
    }
}

#[async_trait]
impl Host for SshHost {
    fn name(&self) -> &str {
        &self.target.name
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
        questions::ask(self, questions, &self.options.redactor).await
    }

    async fn facts(&self) -> Result<Arc<Facts>, HostError> {
        let facts = self.facts.get_or_try_init(|| async {
            // The clock is compared with the round trip as error bound: connecting is no part of it.
            drop(
                self.session(Privilege::Login)
                    .await
                    .map_err(|e| self.options.redactor.error(e))?,
            );
            probe::facts(self).await.map(Arc::new)
        });
        facts.await.cloned()
    }

    async fn way_to(&self, port: u16) -> Result<Way, HostError> {
        Ok(match &self.target.bastion {
            None => Way::Direct,
            Some(bastion) => Way::Through(
                Forward::open(bastion.clone(), self.target.address.clone(), port).await?,
            ),
        })
    }
}
