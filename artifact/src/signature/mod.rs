//! Signatures over `bundle.json`, and over what is written of journeys: SSHSIG, so that stock `ssh-keygen -Y sign` and `-Y verify` work with them.

mod purpose;
mod several;
mod signers;

use jiff::{Timestamp, Zoned};
use russh::keys::ssh_key::{self, HashAlg, LineEnding, PrivateKey, SshSig};
use secrecy::{ExposeSecret, SecretString};

pub use self::purpose::Purpose;
pub use self::several::{Trust, verify_signatures};
pub(crate) use self::several::{are_sound, by};
use self::signers::Signers;
pub use self::signers::{Refusal, SignersError};

/// The SSHSIG namespace of bundles: a signature made for another purpose is worth nothing here.
pub const NAMESPACE: &str = "kubexm-bundle";

/// What an armoured signature begins with.
const ARMOUR: &str = "-----BEGIN SSH SIGNATURE-----";

/// A key that signs.
pub struct Signer(PrivateKey);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Signer")
            .field(&fingerprint(self.0.public_key().key_data()))
            .finish()
    }
}

/// Why a key cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("this is not an OpenSSH private key")]
    Key(#[source] ssh_key::Error),
    #[error("the signing key is protected by a passphrase, and none was given")]
    Locked,
    #[error("the passphrase of the signing key is wrong")]
    Passphrase,
    #[error("{0} keys cannot sign a bundle")]
    Algorithm(String),
    #[error("the key does not sign: {0}")]
    Failed(ssh_key::Error),
}

impl SignError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Key(_) => Some(
                "give the private key (not the .pub file) in OpenSSH format; `ssh-keygen -p -f KEY` converts a PEM key"
                    .into(),
            ),
            Self::Algorithm(_) => Some("make one with `ssh-keygen -t ed25519`".into()),
            Self::Locked | Self::Passphrase | Self::Failed(_) => None,
        }
    }
}

impl Signer {
    /// Reads a private key as `ssh-keygen` writes it.
    pub fn from_openssh_key(
        text: &str,
        passphrase: Option<&SecretString>,
    ) -> Result<Self, SignError> {
        let key = PrivateKey::from_openssh(text).map_err(SignError::Key)?;
        let algorithm = key.algorithm();
        if !matches!(
            algorithm,
            ssh_key::Algorithm::Ed25519 | ssh_key::Algorithm::Ecdsa { .. }
        ) {
            return Err(SignError::Algorithm(algorithm.to_string()));
        }
        if !key.is_encrypted() {
            return Ok(Self(key));
        }
        let passphrase = passphrase.ok_or(SignError::Locked)?;
        key.decrypt(passphrase.expose_secret())
            .map(Self)
            .map_err(|_| SignError::Passphrase)
    }

    /// The key, as people compare it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(self.0.public_key().key_data())
    }

    /// The armoured signature of some bytes.
    pub fn sign(&self, purpose: Purpose, bytes: &[u8]) -> Result<String, SignError> {
        self.0
            .sign(purpose.namespace(), HashAlg::Sha512, bytes)
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(SignError::Failed)
    }
}

/// Who signed something: the principals of the line in the signers file, and the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub name: String,
    pub fingerprint: String,
    /// When its line in the signers file ends.
    pub until: Option<Timestamp>,
}

/// Why something does not count as signed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("the {} is not signed", .0.what())]
    Unsigned(Purpose),
    #[error("{}.sig is not an armoured SSH signature", .of.file())]
    Unreadable { of: Purpose, source: ssh_key::Error },
    /// ssh-keygen takes none either that does not begin with it.
    #[error("{}.sig does not begin with '{ARMOUR}'", .0.file())]
    Unarmoured(Purpose),
    #[error("the {} is signed by an unknown key, {fingerprint}", .of.what())]
    UnknownSigner { of: Purpose, fingerprint: String },
    #[error("{name} may not sign {}s: {why}", .of.what())]
    NotAllowed {
        of: Purpose,
        name: String,
        why: Refusal,
    },
    #[error("the signature was made for '{found}', not for '{}'", .of.namespace())]
    Namespace { of: Purpose, found: String },
    #[error("the signature does not fit {}: one of them was changed", .0.file())]
    Bad(Purpose),
    #[error("the signature's key type {0} is not supported")]
    Algorithm(String),
    #[error("the {} is signed by {} of {needed} that it takes: {}", .of.what(), .by.len(), .by.join(", "))]
    TooFew {
        of: Purpose,
        needed: usize,
        by: Vec<String>,
    },
    #[error("signers file: {0}")]
    Signers(#[from] SignersError),
}

impl SignatureError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unsigned(of) => Some(format!(
                "sign it when it is made: `kubexm {} --sign KEY`",
                of.verb()
            )),
            Self::UnknownSigner { of, .. } => Some(format!(
                "if you trust that key, add a line `NAME namespaces=\"{}\" KEYTYPE KEY` to the signers file",
                of.namespace()
            )),
            Self::Namespace { of, .. } => Some(format!(
                "sign with `kubexm {} --sign KEY` or `ssh-keygen -Y sign -n {}`",
                of.verb(),
                of.namespace()
            )),
            Self::Bad(of) | Self::Unreadable { of, .. } | Self::Unarmoured(of) => Some(format!(
                "do not use this {}; ask its maker for a new copy",
                of.what()
            )),
            Self::TooFew { of, .. } => Some(format!(
                "another of the signers has to look at it and sign: `kubexm {} --sign KEY`",
                of.verb()
            )),
            Self::Algorithm(_) => Some("sign with an ed25519 or ECDSA key".into()),
            Self::NotAllowed { .. } | Self::Signers(_) => None,
        }
    }
}

/// Checks a signature of some bytes against a signers file (`allowed_signers` of OpenSSH), as of `now`.
pub fn verify_signature(
    of: Purpose,
    bytes: &[u8],
    signature: Option<&[u8]>,
    allowed_signers: &str,
    now: &Zoned,
) -> Result<Principal, SignatureError> {
    let signers = Signers::parse(allowed_signers, now)?;
    let signature = signature.ok_or(SignatureError::Unsigned(of))?;
    if !signature.starts_with(ARMOUR.as_bytes()) {
        return Err(SignatureError::Unarmoured(of));
    }
    let signature =
        SshSig::from_pem(signature).map_err(|source| SignatureError::Unreadable { of, source })?;
    let key = signature.public_key();
    if !matches!(
        key.algorithm(),
        ssh_key::Algorithm::Ed25519
            | ssh_key::Algorithm::Ecdsa { .. }
            | ssh_key::Algorithm::SkEd25519
            | ssh_key::Algorithm::SkEcdsaSha2NistP256
    ) {
        return Err(SignatureError::Algorithm(key.algorithm().to_string()));
    }
    if signature.namespace() != of.namespace() {
        return Err(SignatureError::Namespace {
            of,
            found: signature.namespace().to_owned(),
        });
    }
    let principal = signers.find(key, of, now)?;
    ssh_key::PublicKey::from(key.clone())
        .verify(of.namespace(), bytes, &signature)
        .map_err(|_| SignatureError::Bad(of))?;
    Ok(principal)
}

fn fingerprint(key: &ssh_key::public::KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}
