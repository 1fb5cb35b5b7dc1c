//! Signatures of package archives: who may sign, and whether somebody did. Clear-signed text (`InRelease`) and detached
//! signatures (`Release.gpg`, `repomd.xml.asc`).
//!
//! A signature is judged by the time it was made: its key must have been alive then, must not have been revoked, and the
//! signature itself must not have run out since. An archive that is no longer signed anew, such as that of an old release,
//! stays usable after its key has expired; that it is not a stale copy is for its own dates to say (`Valid-Until`). That
//! is how apt judges since Debian 13, with sqv; gpgv before it refused whatever an expired key had ever signed.

mod key;

use jiff::{SignedDuration, Timestamp};
use pgp::armor::Dearmor;
use pgp::composed::CleartextSignedMessage;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Packet, PacketParser, Signature, SignatureType};

pub use key::KeyringError;
use key::SigningKey;

/// How far a signature may lie ahead of the given time: clocks differ.
const SKEW: SignedDuration = SignedDuration::from_mins(10);

/// The keys that may sign an archive.
#[derive(Clone, Debug)]
pub struct Keyring {
    keys: Vec<SigningKey>,
}

/// Why signed bytes are not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("this is no OpenPGP signature: {why}")]
    Malformed { why: String },
    #[error("the signature of key {key} does not fit: the text was changed after it was signed")]
    Bad { key: String },
    #[error("signed by {}, which is none of the known keys: {}", .signed_by.join(" and "), .known.join(", "))]
    UnknownKey {
        signed_by: Vec<String>,
        known: Vec<String>,
    },
    #[error("key {key} expired on {expired}, and signed this on {signed}")]
    ExpiredKey {
        key: String,
        expired: Timestamp,
        signed: Timestamp,
    },
    #[error("the signature of key {key} was good until {expired}")]
    ExpiredSignature { key: String, expired: Timestamp },
    #[error("the signature of key {key} is of {signed}, and it is {now}")]
    NotYet {
        key: String,
        signed: Timestamp,
        now: Timestamp,
    },
    #[error("key {key} was revoked on {revoked}")]
    RevokedKey { key: String, revoked: Timestamp },
    #[error("the signature of key {key} rests on {hash}, which no longer proves anything")]
    WeakHash { key: String, hash: String },
}

impl SignatureError {
    /// What a person can do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Bad { .. } => Some("a mirror or a proxy gives something else than the archive"),
            Self::UnknownKey { .. } => {
                Some("the archive may have changed its keys: a newer kubexm may know them")
            }
            Self::NotYet { .. } => Some("check this machine's clock"),
            _ => None,
        }
    }
}

impl Keyring {
    /// Reads armored public keys; a text may hold several blocks.
    pub fn from_armored<'a>(
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, KeyringError> {
        let mut keys = Vec::new();
        for text in texts {
            keys.extend(key::read(text)?);
        }
        if keys.is_empty() {
            return Err(KeyringError::Empty);
        }
        Ok(Self { keys })
    }

    /// The ids of the keys that may sign.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.id.clone()).collect()
    }

    /// The text of a clear-signed message, if a known key signed it.
    pub fn verify_cleartext(
        &self,
        message: &[u8],
        now: Timestamp,
    ) -> Result<String, SignatureError> {
        let (message, _) = CleartextSignedMessage::from_armor(message).map_err(malformed)?;
        let text = message.signed_text();
        self.judge(message.signatures(), text.as_bytes(), now)?;
        Ok(text.replace("\r\n", "\n"))
    }

    /// Whether a known key signed these bytes; the signature is armored or binary.
    pub fn verify_detached(
        &self,
        data: &[u8],
        signature: &[u8],
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        self.judge(&read_signatures(signature)?, data, now)
    }

    /// One good signature is enough: archives are signed with the keys of two releases while one follows the other. One
    /// that a known key should have made and did not spoils all, for then the text is not what was signed.
    fn judge(
        &self,
        signatures: &[Signature],
        data: &[u8],
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        let mut good = false;
        let mut unfit = None;
        let mut signed_by = Vec::new();
        for signature in signatures {
            let Some(key) = self.keys.iter().find(|key| key.made(signature)) else {
                signed_by.push(key::issuer(signature));
                continue;
            };
            match judge_one(key, signature, data, now) {
                Ok(()) => good = true,
                Err(bad @ SignatureError::Bad { .. }) => return Err(bad),
                Err(other) => unfit = unfit.or(Some(other)),
            }
        }
        match unfit {
            _ if good => Ok(()),
            Some(error) => Err(error),
            None if signed_by.is_empty() => Err(SignatureError::Malformed {
                why: "there is no signature in it".to_owned(),
            }),
            None => Err(SignatureError::UnknownKey {
                signed_by,
                known: self.ids(),
            }),
        }
    }
}

fn judge_one(
    key: &SigningKey,
    signature: &Signature,
    data: &[u8],
    now: Timestamp,
) -> Result<(), SignatureError> {
    let id = || key.id.clone();
    if !matches!(
        signature.typ(),
        Some(SignatureType::Binary | SignatureType::Text)
    ) {
        return Err(SignatureError::Malformed {
            why: "it is a signature over something else than a file".to_owned(),
        });
    }
    match signature.hash_alg() {
        Some(
            HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512,
        ) => {}
        other => {
            return Err(SignatureError::WeakHash {
                key: id(),
                hash: other.map_or_else(|| "an unknown hash".to_owned(), |hash| hash.to_string()),
            });
        }
    }
    key.verify(signature, data)
        .map_err(|_| SignatureError::Bad { key: id() })?;

    let Some(signed) = signature.created().map(key::time) else {
        return Err(SignatureError::Malformed {
            why: "it does not say when it was made".to_owned(),
        });
    };
    if signed > now + SKEW {
        return Err(SignatureError::NotYet {
            key: id(),
            signed,
            now,
        });
    }
    if let Some(revoked) = key.revoked_for(signed) {
        return Err(SignatureError::RevokedKey { key: id(), revoked });
    }
    if let Some(expired) = key.expires.filter(|expires| *expires <= signed) {
        return Err(SignatureError::ExpiredKey {
            key: id(),
            expired,
            signed,
        });
    }
    match signature
        .signature_expiration_time()
        .filter(|life| life.as_secs() > 0)
        .map(|life| signed + SignedDuration::from_secs(i64::from(life.as_secs())))
    {
        Some(expired) if expired <= now => {
            Err(SignatureError::ExpiredSignature { key: id(), expired })
        }
        _ => Ok(()),
    }
}

fn read_signatures(bytes: &[u8]) -> Result<Vec<Signature>, SignatureError> {
    // The first bit of every binary packet is set, and no letter of an armor has it.
    let packets: Vec<_> = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        PacketParser::new(bytes).collect()
    } else {
        let mut dearmor = Dearmor::new(bytes);
        dearmor.read_header().map_err(malformed)?;
        PacketParser::new(std::io::BufReader::new(dearmor)).collect()
    };
    packets
        .into_iter()
        .map(|packet| match packet {
            Ok(Packet::Signature(signature)) => Ok(signature),
            Ok(_) => Err(SignatureError::Malformed {
                why: "there is something else than signatures in it".to_owned(),
            }),
            Err(error) => Err(malformed(error)),
        })
        .collect()
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn malformed(error: pgp::errors::Error) -> SignatureError {
    SignatureError::Malformed {
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
