//! Signatures of several people over the same bytes: one armour after the other in one file.

use std::num::NonZeroUsize;

use jiff::Zoned;
use russh::keys::ssh_key::{PublicKey, SshSig};

use super::{
    ARMOUR, Principal, Purpose, SignatureError, Signer, Signers, fingerprint, verify_signature,
};

/// Whose signatures count, and how many of them it takes.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The text of an `allowed_signers` file.
    pub signers: &'a str,
    pub now: &'a Zoned,
    pub threshold: NonZeroUsize,
}

/// All of the signers who have signed, where these are enough. Somebody counts once, with however many keys, and so does a key.
pub fn verify_signatures(
    of: Purpose,
    bytes: &[u8],
    signatures: Option<&[u8]>,
    trust: Trust<'_>,
) -> Result<Vec<Principal>, SignatureError> {
    Signers::parse(trust.signers, trust.now)?;
    let signatures = signatures.ok_or(SignatureError::Unsigned(of))?;
    let mut good: Vec<Principal> = Vec::new();
    let mut first = None;
    for one in parted(signatures) {
        match verify_signature(of, bytes, Some(one), trust.signers, trust.now) {
            Ok(by) => {
                let is_known =
                    |it: &Principal| it.name == by.name || it.fingerprint == by.fingerprint;
                if !good.iter().any(is_known) {
                    good.push(by);
                }
            }
            Err(error) => first = first.or(Some(error)),
        }
    }
    let needed = trust.threshold.get();
    if good.len() >= needed {
        return Ok(good);
    }
    match first {
        Some(error) if good.is_empty() => Err(error),
        _ => Err(SignatureError::TooFew {
            of,
            needed,
            by: good.into_iter().map(|by| by.name).collect(),
        }),
    }
}

/// Each armour with what follows it; what does not begin with one stays whole, and is no signature.
fn parted(mut text: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while !text.is_empty() {
        let next = text.windows(ARMOUR.len()).skip(1);
        let next = next
            .enumerate()
            .find(|(_, here)| *here == ARMOUR.as_bytes());
        let (part, rest) = text.split_at(next.map_or(text.len(), |(at, _)| at + 1));
        parts.push(part);
        text = rest;
    }
    parts
}

/// Whether all these signatures are over these bytes, whoever has made them.
pub(crate) fn are_sound(of: Purpose, bytes: &[u8], signatures: &[u8]) -> bool {
    parted(signatures).into_iter().all(|one| {
        let Ok(signature) = SshSig::from_pem(one) else {
            return false;
        };
        let key = PublicKey::from(signature.public_key().clone());
        key.verify(of.namespace(), bytes, &signature).is_ok()
    })
}

/// Whether one of these is by this key.
pub(crate) fn by(signatures: &[u8], signer: &Signer) -> bool {
    parted(signatures).into_iter().any(|one| {
        SshSig::from_pem(one)
            .is_ok_and(|signature| fingerprint(signature.public_key()) == signer.fingerprint())
    })
}
