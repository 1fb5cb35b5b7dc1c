//! A key that may sign: a primary key or a subkey, how long it lives, whether it was revoked.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use pgp::composed::{Deserializable, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{
    PublicKey, PublicSubkey, RevocationCode, Signature, SignatureType, SubpacketData,
};
use pgp::types::{KeyDetails, Tag};

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Why there is no keyring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    #[error("cannot read a public key: {why}")]
    Malformed { why: String },
    #[error("none of the keys may sign")]
    Empty,
}

/// One component of a certificate that may sign.
#[derive(Clone)]
pub(super) struct SigningKey {
    /// The long id, as every tool shows it.
    pub(super) id: String,
    pub(super) expires: Option<Timestamp>,
    revoked: Option<Revoked>,
    public: Public,
}

#[derive(Clone)]
enum Public {
    Primary(PublicKey),
    Sub(PublicSubkey),
}

#[derive(Clone, Copy)]
struct Revoked {
    at: Timestamp,
    reason: Reason,
}

/// A key that was only replaced or retired signed well until then; of any other, one cannot know what it signed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    OutOfUse,
    Untrustworthy,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl SigningKey {
    /// Whether the signature says that it is of this key.
    pub(super) fn made(&self, signature: &Signature) -> bool {
        let (id, fingerprint) = match &self.public {
            Public::Primary(key) => (key.legacy_key_id(), key.fingerprint()),
            Public::Sub(key) => (key.legacy_key_id(), key.fingerprint()),
        };
        signature.issuer_fingerprint().contains(&&fingerprint)
            || signature.issuer_key_id().contains(&&id)
    }

    pub(super) fn verify(&self, signature: &Signature, data: &[u8]) -> pgp::errors::Result<()> {
        match &self.public {
            Public::Primary(key) => signature.verify(key, data),
            Public::Sub(key) => signature.verify(key, data),
        }
    }

    /// When the key was revoked, if that speaks against what it signed at the given time.
    pub(super) fn revoked_for(&self, signed: Timestamp) -> Option<Timestamp> {
        self.revoked
            .filter(|revoked| revoked.reason == Reason::Untrustworthy || revoked.at <= signed)
            .map(|revoked| revoked.at)
    }
}

/// Reads all blocks of a text.
pub(super) fn read(text: &str) -> Result<Vec<SigningKey>, KeyringError> {
    let malformed = |error: pgp::errors::Error| KeyringError::Malformed {
        why: error.to_string(),
    };
    let starts: Vec<usize> = text.match_indices(BEGIN).map(|(at, _)| at).collect();
    if starts.is_empty() {
        return Err(KeyringError::Malformed {
            why: format!("there is no {BEGIN:?} in it"),
        });
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let mut keys = Vec::new();
    for (start, end) in starts.iter().copied().zip(ends) {
        let block = &text.as_bytes()[start..end];
        let (certificates, _) = SignedPublicKey::from_armor_many(block).map_err(malformed)?;
        for certificate in certificates {
            keys.extend(signing_keys(&certificate.map_err(malformed)?));
        }
    }
    Ok(keys)
}

/// Who says to have made a signature.
pub(super) fn issuer(signature: &Signature) -> String {
    if let Some(id) = signature.issuer_key_id().first() {
        hex::encode_upper(id)
    } else if let Some(fingerprint) = signature.issuer_fingerprint().first() {
        format!("{fingerprint:X}")
    } else {
        "a key that is not named".to_owned()
    }
}

pub(super) fn time(of: pgp::types::Timestamp) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::from(of.as_secs()))
}

/// The primary key and the subkeys of a certificate, as far as they may sign.
///
/// The text of a key comes with the program and is trusted as it is. What its own signatures are asked for is which
/// subkeys belong to it and how long all live; SHA-1 is good enough for that, and old keys have nothing else.
fn signing_keys(certificate: &SignedPublicKey) -> Vec<SigningKey> {
    let primary = &certificate.primary_key;
    let details = &certificate.details;
    let direct = details
        .direct_signatures
        .iter()
        .filter(|signature| signature.verify_key(primary).is_ok());
    let of_users = details.users.iter().flat_map(|user| {
        user.signatures.iter().filter(|signature| {
            signature.typ() != Some(SignatureType::CertRevocation)
                && signature
                    .verify_certification(primary, Tag::UserId, &user.id)
                    .is_ok()
        })
    });
    let newest = newest(direct.chain(of_users));
    let expires = newest.and_then(|signature| expiry(primary.created_at(), signature));
    let revoked = revocation(
        details
            .revocation_signatures
            .iter()
            .filter(|signature| signature.verify_key(primary).is_ok()),
    );

    let mut keys = Vec::new();
    if newest.is_none_or(|signature| signs(signature) != Some(false)) {
        keys.push(SigningKey {
            id: hex::encode_upper(primary.legacy_key_id()),
            expires,
            revoked,
            public: Public::Primary(primary.clone()),
        });
    }
    keys.extend(
        certificate
            .public_subkeys
            .iter()
            .filter_map(|subkey| signing_subkey(primary, expires, revoked, subkey)),
    );
    keys
}

fn signing_subkey(
    primary: &PublicKey,
    primary_expires: Option<Timestamp>,
    primary_revoked: Option<Revoked>,
    subkey: &SignedPublicSubKey,
) -> Option<SigningKey> {
    let bound = || {
        subkey.signatures.iter().filter(|signature| {
            signature
                .verify_subkey_binding(primary, &subkey.key)
                .is_ok()
        })
    };
    let of_type = |wanted| move |signature: &&Signature| signature.typ() == Some(wanted);
    let binding = newest(bound().filter(of_type(SignatureType::SubkeyBinding)))?;
    if signs(binding) != Some(true) {
        return None;
    }
    // Without the subkey's own word, a certificate could claim a subkey of somebody else, and with it what that signed.
    binding
        .embedded_signature()?
        .verify_primary_key_binding(&subkey.key, primary)
        .ok()?;
    let expires = expiry(subkey.key.created_at(), binding);
    Some(SigningKey {
        id: hex::encode_upper(subkey.key.legacy_key_id()),
        expires: [expires, primary_expires].into_iter().flatten().min(),
        revoked: revocation(bound().filter(of_type(SignatureType::SubkeyRevocation)))
            .or(primary_revoked),
        public: Public::Sub(subkey.key.clone()),
    })
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| signature.created())
}

fn expiry(created: pgp::types::Timestamp, signature: &Signature) -> Option<Timestamp> {
    let life = signature.key_expiration_time()?.as_secs();
    (life > 0).then(|| time(created) + SignedDuration::from_secs(i64::from(life)))
}

/// Whether the key may sign data; a signature need not say.
fn signs(signature: &Signature) -> Option<bool> {
    let flagged = signature
        .config()?
        .hashed_subpackets()
        .any(|packet| matches!(packet.data, SubpacketData::KeyFlags(_)));
    flagged.then(|| signature.key_flags().sign())
}

fn revocation<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<Revoked> {
    signatures
        .map(|signature| Revoked {
            at: signature.created().map_or(Timestamp::UNIX_EPOCH, time),
            reason: match signature.revocation_reason_code() {
                Some(RevocationCode::KeySuperseded | RevocationCode::KeyRetired) => {
                    Reason::OutOfUse
                }
                _ => Reason::Untrustworthy,
            },
        })
        .min_by_key(|revoked| (revoked.reason == Reason::OutOfUse, revoked.at))
}
