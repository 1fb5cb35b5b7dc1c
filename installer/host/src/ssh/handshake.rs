use std::borrow::Cow;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, DisconnectReason};
use russh::keys::{Algorithm, HashAlg, PublicKeyOrCertificate};
use russh::{AlgorithmKind, Preferred, SshId, cipher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection::{Connection, Peer};
use super::host_key::{HostKeys, Judge};
use super::{Options, Target, auth};
use crate::HostError;

/// More than a fast link holds in flight.
const WINDOW: u32 = 16 << 20;
/// A dead host is noticed after three of these.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Authenticated ciphers that the processor helps with come first.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

type Way = (Box<dyn Stream>, Option<Arc<Connection>>);

/// Connects, verifies the host's key, logs in.
pub(super) async fn open(
    target: &Target,
    peer: &Peer,
    keys: &HostKeys,
    options: &Options,
) -> Result<(client::Handle<Client>, Option<Arc<Connection>>), HostError> {
    let mut judge = keys.judge(target).await?;
    let mut mismatch = None;
    loop {
        let (stream, through) = dial(target, peer, options).await?;
        let entering = async {
            let mut handle = greet(stream, judge.clone(), peer).await?;
            auth::log_in(&mut handle, peer, &target.auth).await?;
            Ok(handle)
        };
        let fault = match timeout(options.login_timeout, entering).await {
            Ok(Ok(handle)) => return Ok((handle, through)),
            Ok(Err(fault)) => fault,
            Err(_) => {
                let limit = options.login_timeout.as_secs();
                return Err(peer.unreachable(format!("no login within {limit} s")));
            }
        };
        match (fault, mismatch) {
            // Of several keys the host may have shown another than the one whose fingerprint is given.
            (Fault::Key { shown, error }, first) => match judge.without(&shown) {
                Some(narrower) => (judge, mismatch) = (narrower, Some(first.unwrap_or(error))),
                None => return Err(first.unwrap_or(error)),
            },
            (
                Fault::Ssh(russh::Error::NoCommonAlgo {
                    kind: AlgorithmKind::Key,
                    ..
                }),
                Some(first),
            ) => {
                return Err(first);
            }
            (Fault::Ssh(error), _) => return Err(peer.unreachable(words(&error))),
            (Fault::Host(error), _) => return Err(error),
        }
    }
}

async fn dial(target: &Target, peer: &Peer, options: &Options) -> Result<Way, HostError> {
    let limit = options.connect_timeout;
    let late = |_| peer.unreachable(format!("no answer within {} s", limit.as_secs()));
    if let Some(bastion) = &target.bastion {
        // Boxed, for the bastion may have a bastion itself.
        let (tunnel, connection) = Box::pin(bastion.tunnel(&target.address, target.port)).await?;
        return Ok((Box::new(tunnel), Some(connection)));
    }
    let connecting = TcpStream::connect((target.address.as_str(), target.port));
    let stream = timeout(limit, connecting)
        .await
        .map_err(late)?
        .map_err(|error| peer.unreachable(crate::words::io(&error)))?;
    // Commands are small and wait for their answer: Nagle would hold them back.
    stream
        .set_nodelay(true)
        .map_err(|error| peer.unreachable(crate::words::io(&error)))?;
    Ok((Box::new(stream), None))
}

async fn greet(
    stream: Box<dyn Stream>,
    judge: Judge,
    peer: &Peer,
) -> Result<client::Handle<Client>, Fault> {
    let config = client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-kubexm_",
            env!("CARGO_PKG_VERSION")
        ))),
        window_size: WINDOW,
        keepalive_interval: Some(KEEPALIVE),
        nodelay: true,
        preferred: Preferred {
            key: Cow::Owned(judge.algorithms()),
            cipher: Cow::Borrowed(CIPHERS),
            ..Preferred::default()
        },
        ..client::Config::default()
    };
    let client = Client {
        judge,
        peer: peer.clone(),
    };
    client::connect_stream(Arc::new(config), stream, client).await
}

/// Why there is no login.
pub(super) enum Fault {
    /// The host has shown this key, which is not the expected one.
    Key {
        shown: Algorithm,
        error: HostError,
    },
    Host(HostError),
    Ssh(russh::Error),
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key { error, .. } | Self::Host(error) => error.fmt(f),
            Self::Ssh(error) => error.fmt(f),
        }
    }
}

impl From<russh::Error> for Fault {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl From<HostError> for Fault {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

/// Verifies the host and remembers why the connection ended.
pub(super) struct Client {
    judge: Judge,
    peer: Peer,
}

impl client::Handler for Client {
    type Error = Fault;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Fault> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            // None of them has been offered.
            return Ok(false);
        };
        match self.judge.judge(key).await {
            Ok(()) => Ok(true),
            Err(error @ HostError::ChangedHostKey { .. }) => Err(Fault::Key {
                shown: key.algorithm(),
                error,
            }),
            Err(error) => Err(Fault::Host(error)),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Fault>) -> Result<(), Fault> {
        let (why, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => (info.message, Ok(())),
            DisconnectReason::Error(Fault::Ssh(error)) => (words(&error), Err(Fault::Ssh(error))),
            DisconnectReason::Error(fault) => (format!("{fault:?}"), Err(fault)),
        };
        // The first reason is the reason.
        let _ = self.peer.gone.set(why);
        result
    }
}

/// All that russh knows, SHA-1 aside; the order is the preference.
pub(super) fn host_key_algorithms() -> Vec<Algorithm> {
    let sha1 = Algorithm::Rsa { hash: None };
    Preferred::DEFAULT
        .key
        .iter()
        .filter(|algorithm| **algorithm != sha1)
        .cloned()
        .collect()
}

/// The hash for signatures of an RSA key, where the host does not say what it takes.
pub(super) const RSA_HASH: HashAlg = HashAlg::Sha256;

const CLOSED: &str = "the host closed the connection";

/// An error of the protocol in words for people.
pub(super) fn words(error: &russh::Error) -> String {
    match error {
        russh::Error::IO(error) if error.kind() == ErrorKind::UnexpectedEof => CLOSED.to_owned(),
        russh::Error::IO(error) => crate::words::io(error),
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::SendError => CLOSED.to_owned(),
        russh::Error::KeepaliveTimeout => "the host is silent".to_owned(),
        russh::Error::Version => "what answers there is not an SSH server".to_owned(),
        russh::Error::NoCommonAlgo { kind, ours, theirs } => {
            let kind = match kind {
                AlgorithmKind::Kex => "key exchange",
                AlgorithmKind::Key => "host key",
                AlgorithmKind::Cipher => "cipher",
                AlgorithmKind::Compression => "compression",
                AlgorithmKind::Mac => "MAC",
            };
            format!(
                "no {kind} in common: the host offers {}, kubexm {}",
                theirs.join(","),
                ours.join(",")
            )
        }
        other => other.to_string(),
    }
}
