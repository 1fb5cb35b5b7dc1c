//! Keys that people sign with.

use std::env;

use artifact::{SignError, Signer};
use camino::Utf8Path;
use secrecy::SecretString;

use crate::error::Failure;
use crate::{home, input};

/// A private key of OpenSSH; its passphrase is in the environment.
pub fn signer(key: &Utf8Path) -> Result<Signer, Failure> {
    let text = input::read_to_string(&home::expand(key))?;
    let passphrase = env::var("KUBEXM_SIGN_PASSPHRASE")
        .ok()
        .map(SecretString::from);
    Signer::from_openssh_key(&text, passphrase.as_ref()).map_err(|source| failed(key, source))
}

fn failed(key: &Utf8Path, source: SignError) -> Failure {
    Failure::Sign {
        path: key.to_owned(),
        source,
    }
}
