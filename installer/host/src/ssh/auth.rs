use std::fmt;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, decode_secret_key};
use russh::{MethodKind, MethodSet};
use secrecy::{ExposeSecret, SecretString};

use super::connection::Peer;
use super::handshake::{Client, RSA_HASH};
use crate::HostError;
use crate::blocking::blocking;

/// How to log in.
#[derive(Clone)]
pub enum Auth {
    Password(SecretString),
    Key {
        /// The private key as its file holds it: OpenSSH's own format, or PEM.
        text: SecretString,
        passphrase: Option<SecretString>,
        /// Where it comes from, for messages.
        origin: String,
    },
    /// All keys of an agent.
    Agent {
        socket: Utf8PathBuf,
    },
}

impl Auth {
    /// What of it must not show in a message; a key is never shown by anybody.
    pub(super) fn secret(&self) -> Option<&SecretString> {
        match self {
            Self::Password(password) => Some(password),
            Self::Key { passphrase, .. } => passphrase.as_ref(),
            Self::Agent { .. } => None,
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password(_) => f.write_str("Password"),
            Self::Key { origin, .. } => write!(f, "Key({origin})"),
            Self::Agent { socket } => write!(f, "Agent({socket})"),
        }
    }
}

/// What a try came to.
enum Try {
    In,
    /// Why not.
    No(String),
    /// The host wants another proof beside this one.
    More,
}

/// Tries one way after the other.
pub(super) async fn log_in(
    handle: &mut Handle<Client>,
    peer: &Peer,
    ways: &[Auth],
) -> Result<(), HostError> {
    let mut entry = Entry {
        user: peer.user.clone(),
        handle,
        accepted: None,
    };
    let mut refusals = Vec::new();
    for way in ways {
        let outcome = match way {
            Auth::Password(password) => entry.password(password).await,
            Auth::Key {
                text,
                passphrase,
                origin,
            } => entry.key(text, passphrase.as_ref(), origin).await,
            Auth::Agent { socket } => entry.agent(socket).await,
        };
        match outcome {
            Ok(Try::In) => return Ok(()),
            Ok(Try::More) => {}
            Ok(Try::No(why)) => refusals.push(why),
            Err(_) => refusals.push("the host closed the connection".to_owned()),
        }
        if entry.handle.is_closed() {
            break;
        }
    }
    if refusals.is_empty() {
        let none = "there is neither a password nor a key for it";
        let one = "the host wants one more proof";
        refusals.push(if ways.is_empty() { none } else { one }.to_owned());
    }
    let mut why = refusals.join("; ");
    if let Some(accepted) = entry.accepted.filter(|methods| !methods.is_empty()) {
        let names: Vec<String> = accepted.iter().map(String::from).collect();
        why = format!("{why} (the host accepts {})", names.join(", "));
    }
    Err(peer.login_refused(why))
}

struct Entry<'a> {
    handle: &'a mut Handle<Client>,
    user: String,
    /// The methods that the host has named last.
    accepted: Option<MethodSet>,
}

impl Entry<'_> {
    async fn password(&mut self, password: &SecretString) -> Result<Try, russh::Error> {
        let result = self
            .handle
            .authenticate_password(&self.user, password.expose_secret())
            .await?;
        let outcome = self.outcome(result, || "the password is wrong".to_owned());
        let takes = |method| {
            self.accepted
                .as_ref()
                .is_some_and(|all| all.contains(&method))
        };
        // Not in vain, and not twice: three wrong passwords lock an account in many places.
        if matches!(outcome, Try::No(_))
            && !takes(MethodKind::Password)
            && takes(MethodKind::KeyboardInteractive)
        {
            return self.keyboard(password).await;
        }
        Ok(outcome)
    }

    /// The password where the host asks for it in a conversation, as PAM does.
    async fn keyboard(&mut self, password: &SecretString) -> Result<Try, russh::Error> {
        let mut reply = self
            .handle
            .authenticate_keyboard_interactive_start(&self.user, None)
            .await?;
        let mut given = false;
        loop {
            let answers = match reply {
                KeyboardInteractiveAuthResponse::Success => return Ok(Try::In),
                KeyboardInteractiveAuthResponse::Failure {
                    remaining_methods,
                    partial_success,
                } => {
                    let result = AuthResult::Failure {
                        remaining_methods,
                        partial_success,
                    };
                    return Ok(self.outcome(result, || "the password is wrong".to_owned()));
                }
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                    match &prompts[..] {
                        [] => Vec::new(),
                        [_] if !given => {
                            given = true;
                            vec![password.expose_secret().to_owned()]
                        }
                        [prompt, ..] => {
                            let prompt = prompt.prompt.trim();
                            return Ok(Try::No(format!(
                                "it asks \"{prompt}\", more than the password"
                            )));
                        }
                    }
                }
            };
            reply = self
                .handle
                .authenticate_keyboard_interactive_respond(answers)
                .await?;
        }
    }

    async fn key(
        &mut self,
        text: &SecretString,
        passphrase: Option<&SecretString>,
        origin: &str,
    ) -> Result<Try, russh::Error> {
        let key = match decode(text.clone(), passphrase.cloned()).await {
            Ok(key) => key,
            Err(why) => return Ok(Try::No(format!("the key {origin} cannot be used: {why}"))),
        };
        let hash = if key.algorithm().is_rsa() {
            self.rsa_hash().await?
        } else {
            None
        };
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let result = self.handle.authenticate_publickey(&self.user, key).await?;
        Ok(self.outcome(result, || format!("the key {origin} is not authorized")))
    }

    async fn agent(&mut self, socket: &Utf8Path) -> Result<Try, russh::Error> {
        let refused = |e: russh::keys::Error| Try::No(format!("the agent at {socket}: {e}"));
        let mut agent = match AgentClient::connect_uds(socket).await {
            Ok(agent) => agent,
            Err(e) => return Ok(refused(e)),
        };
        let identities = match agent.request_identities().await {
            Ok(identities) => identities,
            Err(e) => return Ok(refused(e)),
        };
        let mut why = format!("the agent at {socket} holds no keys");
        for identity in identities {
            let AgentIdentity::PublicKey { key, .. } = identity else {
                continue;
            };
            let hash = if key.algorithm().is_rsa() {
                self.rsa_hash().await?
            } else {
                None
            };
            let signed = self
                .handle
                .authenticate_publickey_with(&self.user, key, hash, &mut agent)
                .await;
            match signed {
                Ok(result) => match self.outcome(result, String::new) {
                    Try::No(_) => why = format!("no key of the agent at {socket} is authorized"),
                    done => return Ok(done),
                },
                Err(e) => why = format!("the agent at {socket}: {e}"),
            }
            if self.handle.is_closed() {
                why.push_str(", and the host takes no more tries");
                break;
            }
        }
        Ok(Try::No(why))
    }

    /// The hash that the host takes for signatures of RSA keys.
    async fn rsa_hash(&self) -> Result<Option<HashAlg>, russh::Error> {
        Ok(self
            .handle
            .best_supported_rsa_hash()
            .await?
            .unwrap_or(Some(RSA_HASH)))
    }

    fn outcome(&mut self, result: AuthResult, why: impl FnOnce() -> String) -> Try {
        match result {
            AuthResult::Success => Try::In,
            AuthResult::Failure {
                remaining_methods,
                partial_success,
            } => {
                self.accepted = Some(remaining_methods);
                if partial_success {
                    Try::More
                } else {
                    Try::No(why())
                }
            }
        }
    }
}

/// In a thread of its own: a passphrase is made to be slow.
async fn decode(
    text: SecretString,
    passphrase: Option<SecretString>,
) -> Result<PrivateKey, String> {
    blocking(move || {
        let words = passphrase.as_ref().map(ExposeSecret::expose_secret);
        decode_secret_key(text.expose_secret(), words).map_err(|error| match error {
            russh::keys::Error::KeyIsEncrypted => "it needs a passphrase".to_owned(),
            _ if words.is_some() => "the passphrase is wrong, or the key is damaged".to_owned(),
            russh::keys::Error::CouldNotReadKey => "it is no private key".to_owned(),
            other => other.to_string(),
        })
    })
    .await
}
