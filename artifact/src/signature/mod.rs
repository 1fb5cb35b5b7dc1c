//! Signatures over `bundle.json`: SSHSIG, so that stock `ssh-keygen -Y sign` and `-Y verify` work with them.

mod signers;

use jiff::Zoned;
use russh::keys::ssh_key::{self, HashAlg, LineEnding, PrivateKey, SshSig};
use secrecy::{ExposeSecret, SecretString};

use self::signers::Signers;
pub use self::signers::{Refusal, SignersError};

/// The SSHSIG namespace of bundles: a signature made for another purpose is worth nothing here.
pub const NAMESPACE: &str = "kubexm-bundle";

/// What an armoured signature begins with.
const ARMOUR: &str = "-----BEGIN SSH SIGNATURE-----";

/// A key that signs bundles.
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

    /// The armoured signature of the contents.
    pub fn sign(&self, contents: &[u8]) -> Result<String, SignError> {
        self.0
            .sign(NAMESPACE, HashAlg::Sha512, contents)
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(SignError::Failed)
    }
}

/// Who signed a bundle: the principals of the line in the signers file, and the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub name: String,
    pub fingerprint: String,
}

/// Why a bundle does not count as signed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("the bundle is not signed")]
    Unsigned,
    #[error("bundle.json.sig is not an armoured SSH signature")]
    Unreadable(#[source] ssh_key::Error),
    /// ssh-keygen takes none either that does not begin with it.
    #[error("bundle.json.sig does not begin with '{ARMOUR}'")]
    Unarmoured,
    #[error("the bundle is signed by an unknown key, {fingerprint}")]
    UnknownSigner { fingerprint: String },
    #[error("{name} may not sign bundles: {why}")]
    NotAllowed { name: String, why: Refusal },
    #[error("the signature was made for '{found}', not for '{NAMESPACE}'")]
    Namespace { found: String },
    #[error("the signature does not fit bundle.json: one of them was changed")]
    Bad,
    #[error("the signature's key type {0} is not supported")]
    Algorithm(String),
    #[error("signers file: {0}")]
    Signers(#[from] SignersError),
}

impl SignatureError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unsigned => Some(
                "sign it when it is made: `kubexm bundle --sign KEY`".into(),
            ),
            Self::UnknownSigner { .. } => Some(
                "if you trust that key, add a line `NAME namespaces=\"kubexm-bundle\" KEYTYPE KEY` to the signers file"
                    .into(),
            ),
            Self::Namespace { .. } => {
                Some(format!("sign with `kubexm bundle --sign KEY` or `ssh-keygen -Y sign -n {NAMESPACE}`"))
            }
            Self::Bad | Self::Unreadable(_) | Self::Unarmoured => {
                Some("do not use this bundle; ask its maker for a new copy".into())
            }
            Self::Algorithm(_) => Some("sign with an ed25519 or ECDSA key".into()),
            Self::NotAllowed { .. } | Self::Signers(_) => None,
        }
    }
}

/// Checks the signature of a bundle's contents against a signers file (`allowed_signers` of OpenSSH), as of `now`.
pub fn verify_signature(
    contents: &[u8],
    signature: Option<&[u8]>,
    allowed_signers: &str,
    now: &Zoned,
) -> Result<Principal, SignatureError> {
    let signers = Signers::parse(allowed_signers, now)?;
    let signature = signature.ok_or(SignatureError::Unsigned)?;
    if !signature.starts_with(ARMOUR.as_bytes()) {
        return Err(SignatureError::Unarmoured);
    }
    let signature = SshSig::from_pem(signature).map_err(SignatureError::Unreadable)?;
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
    if signature.namespace() != NAMESPACE {
        return Err(SignatureError::Namespace {
            found: signature.namespace().to_owned(),
        });
    }
    let principal = signers.find(key, NAMESPACE, now)?;
    ssh_key::PublicKey::from(key.clone())
        .verify(NAMESPACE, contents, &signature)
        .map_err(|_| SignatureError::Bad)?;
    Ok(principal)
}

fn fingerprint(key: &ssh_key::public::KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}
