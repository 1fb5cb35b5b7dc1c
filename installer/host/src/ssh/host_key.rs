use std::fmt;
use std::str::FromStr;

use camino::Utf8PathBuf;
use russh::keys::ssh_key::Fingerprint;
use russh::keys::{Algorithm, HashAlg, PublicKey};

use super::Target;
use super::handshake::host_key_algorithms;
use super::known_hosts::{self, Finding, Known};
use crate::HostError;

/// How hosts prove to be the right ones.
#[derive(Clone, Debug)]
pub struct HostKeys {
    /// Files in the format of OpenSSH's `known_hosts`; one that does not exist is empty.
    pub known_hosts: Vec<Utf8PathBuf>,
    pub unknown: UnknownHost,
}

/// What to do with a host of which no key is known. One that shows another key than the known one is always refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownHost {
    Refuse,
    /// Trust it this once, and write its key into this file.
    Accept(Utf8PathBuf),
}

/// A host's key as the config gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinnedKey {
    /// As in a file of OpenSSH: `ssh-ed25519 AAAA...`.
    Key(PublicKey),
    /// As `ssh-keygen -l` prints it: `SHA256:...`.
    Fingerprint(Fingerprint),
}

/// A text that is neither a public key nor a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a host key: {why}; expected a line like \"ssh-ed25519 AAAA...\" or a fingerprint like \"SHA256:...\""
)]
pub struct PinnedKeyError {
    why: String,
}

impl FromStr for PinnedKey {
    type Err = PinnedKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let failed = |e: russh::keys::ssh_key::Error| PinnedKeyError { why: e.to_string() };
        if text.starts_with("SHA256:") || text.starts_with("SHA512:") {
            return text.parse().map(Self::Fingerprint).map_err(failed);
        }
        let mut key = PublicKey::from_openssh(text).map_err(failed)?;
        key.set_comment("");
        Ok(Self::Key(key))
    }
}

impl fmt::Display for PinnedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(&describe(key)),
            Self::Fingerprint(fingerprint) => fingerprint.fmt(f),
        }
    }
}

/// Algorithm and fingerprint: what a person compares.
pub(super) fn describe(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

impl HostKeys {
    /// All that is needed to judge this target's key.
    pub(super) async fn judge(&self, target: &Target) -> Result<Judge, HostError> {
        let trust = if let Some(pin) = &target.host_key {
            Trust::Pinned(pin.clone())
        } else {
            let name = known_hosts::name(&target.address, target.port);
            let known = Known::load(self.known_hosts.clone(), self.unknown.file(), name).await?;
            Trust::Known {
                known,
                unknown: self.unknown.clone(),
            }
        };
        Ok(Judge {
            address: target.endpoint(),
            trust,
            excluded: Vec::new(),
        })
    }
}

impl UnknownHost {
    fn file(&self) -> Option<Utf8PathBuf> {
        match self {
            Self::Refuse => None,
            Self::Accept(file) => Some(file.clone()),
        }
    }
}

/// Decides whether a key is the one of a host.
#[derive(Clone)]
pub(super) struct Judge {
    address: String,
    trust: Trust,
    excluded: Vec<Algorithm>,
}

#[derive(Clone)]
enum Trust {
    Pinned(PinnedKey),
    Known { known: Known, unknown: UnknownHost },
}

impl Judge {
    /// What to ask the host for: first the kinds of keys that are known of it, so that a host with several keys shows
    /// the known one.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let expected: Vec<String> = match &self.trust {
            Trust::Pinned(PinnedKey::Key(key)) => vec![kind(&key.algorithm())],
            Trust::Pinned(PinnedKey::Fingerprint(_)) => Vec::new(),
            Trust::Known { known, .. } => known.kinds(),
        };
        let mut all = host_key_algorithms();
        all.retain(|algorithm| !self.excluded.iter().any(|no| kind(no) == kind(algorithm)));
        all.sort_by_key(|algorithm| !expected.contains(&kind(algorithm)));
        all
    }

    /// The same, asking the host for another kind of key; none if there is no point in it.
    pub(super) fn without(&self, shown: &Algorithm) -> Option<Self> {
        let Trust::Pinned(PinnedKey::Fingerprint(_)) = self.trust else {
            return None;
        };
        let mut narrower = self.clone();
        narrower.excluded.push(shown.clone());
        (!narrower.algorithms().is_empty()).then_some(narrower)
    }

    pub(super) async fn judge(&self, shown: &PublicKey) -> Result<(), HostError> {
        let address = self.address.clone();
        let changed = |expected: String| {
            Err(HostError::ChangedHostKey {
                address: address.clone(),
                expected,
                shown: describe(shown),
            })
        };
        let (algorithm, fingerprint) = (
            shown.algorithm().to_string(),
            shown.fingerprint(HashAlg::Sha256).to_string(),
        );
        let (known, unknown) = match &self.trust {
            Trust::Pinned(pin) => {
                let same = match pin {
                    PinnedKey::Key(key) => key.key_data() == shown.key_data(),
                    PinnedKey::Fingerprint(print) => *print == shown.fingerprint(print.algorithm()),
                };
                return if same {
                    Ok(())
                } else {
                    changed(pin.to_string())
                };
            }
            Trust::Known { known, unknown } => (known, unknown),
        };
        match (known.find(shown), unknown) {
            (Finding::Same, _) => Ok(()),
            (Finding::Other(expected), _) => changed(expected),
            (Finding::Revoked(at), _) => Err(HostError::RevokedHostKey {
                address,
                algorithm,
                fingerprint,
                at,
            }),
            (Finding::Authority(at), _) => Err(HostError::HostKeyAuthority { address, at }),
            (Finding::Nothing, UnknownHost::Refuse) => Err(HostError::UnknownHostKey {
                address,
                algorithm,
                fingerprint,
            }),
            (Finding::Nothing, UnknownHost::Accept(file)) => {
                match known_hosts::record(file.clone(), known.name().to_owned(), shown.clone())
                    .await?
                {
                    None => Ok(()),
                    Some(expected) => changed(expected),
                }
            }
        }
    }
}

/// The kind of a key; the hash of RSA signatures is none of it.
pub(super) fn kind(algorithm: &Algorithm) -> String {
    match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ node1";
    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC99131P9qURPTODVY/62rvQb0U1wq9gOOk9HGvQTlxSKrJRC8y\
        KZybZ5xFwlhdJOjN8p09ud6Dogahs4/9pwSTqJsmj7YM6xnfuUw4IfINa/5zsx7/LZkQc6m9G2pt4HJW\
        TLJYErPB69Duj5Sr1c25EMIfP7B6xs0oDFuDYexf4s2Olly5vDNcfjgkZJCb+h/REcdrGHTxQ/1osBuv\
        D9FJUrRYtCIDO8z1KaACaKEcHB+Ul78pxCDci/KxfZGs7uEXRN9U6Tgn9goxWKlckZZXI/O0uGls0JiL\
        iQontPlbI8vTWkcmG0TcnSnldDPO6FP1PrtyeWs/G6u7bICWLdTn";

    #[test]
    fn a_pin_is_a_key_or_a_fingerprint() {
        let key: PinnedKey = ED25519.parse().unwrap();
        insta::assert_snapshot!(key, @"ssh-ed25519 SHA256:T7SvZ2cslqpPj6nKzitCBHHlpVF3r3MvLwmFL0fk0IE");
        let print: PinnedKey = key.to_string().split_once(' ').unwrap().1.parse().unwrap();
        assert!(matches!(print, PinnedKey::Fingerprint(_)));
        let error = "MD5:aa:bb".parse::<PinnedKey>().unwrap_err();
        insta::assert_snapshot!(error, @r#"not a host key: character encoding invalid; expected a line like "ssh-ed25519 AAAA..." or a fingerprint like "SHA256:...""#);
    }

    fn judge(pin: &str) -> Judge {
        let trust = Trust::Pinned(pin.parse().unwrap());
        Judge {
            address: "node1:22".to_owned(),
            trust,
            excluded: Vec::new(),
        }
    }

    #[test]
    fn the_pinned_kind_is_asked_for_first() {
        let sha512 = Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        };
        assert_eq!(judge(RSA).algorithms()[0], sha512);
        assert_eq!(judge(ED25519).algorithms()[0], Algorithm::Ed25519);
    }

    #[test]
    fn another_kind_is_tried_for_fingerprints_alone() {
        assert!(judge(ED25519).without(&Algorithm::Ed25519).is_none());
        let print = judge("SHA256:uNiVztksCsDhcc0u9e8BrzkNtdx4x1ZVW3M6NeHLR8s");
        let narrower = print.without(&Algorithm::Ed25519).unwrap();
        assert!(!narrower.algorithms().contains(&Algorithm::Ed25519));
        let narrower = narrower
            .without(&Algorithm::Rsa {
                hash: Some(HashAlg::Sha512),
            })
            .unwrap();
        assert!(!narrower.algorithms().iter().any(|a| kind(a) == "ssh-rsa"));
    }
}
