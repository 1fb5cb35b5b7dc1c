use camino::{Utf8Path, Utf8PathBuf};
use rcgen::KeyPair;
use secrecy::zeroize::Zeroizing;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;

use crate::local_file::{self, FileError};

/// Where a certificate and its key lie: `<stem>.crt` and `<stem>.key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPairFiles {
    stem: Utf8PathBuf,
}

impl KeyPairFiles {
    #[must_use]
    pub fn at(stem: impl Into<Utf8PathBuf>) -> Self {
        Self { stem: stem.into() }
    }

    #[must_use]
    pub fn certificate(&self) -> Utf8PathBuf {
        format!("{}.crt", self.stem).into()
    }

    #[must_use]
    pub fn key(&self) -> Utf8PathBuf {
        format!("{}.key", self.stem).into()
    }

    /// For sentences: what lies below `certs`, as in `etcd/node1/server`.
    pub(crate) fn title(&self) -> String {
        let mut parts: Vec<&str> = self
            .stem
            .iter()
            .rev()
            .take_while(|part| *part != "certs")
            .collect();
        parts.reverse();
        parts.join("/")
    }
}

pub(super) fn der(pem: &[u8]) -> Result<Vec<u8>, String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem).map_err(|_| "it is no whole PEM")?;
    let Pem { label, contents } = pem;
    if label != "CERTIFICATE" {
        return Err(format!("it holds a {label}"));
    }
    parse(&contents)?;
    Ok(contents)
}

pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    x509_parser::parse_x509_certificate(der)
        .map(|(_, certificate)| certificate)
        .map_err(|_| "what its PEM holds is no certificate".to_owned())
}

/// A certificate's public key, as it stands in it.
pub(crate) fn public_key(pem: &[u8]) -> Result<Vec<u8>, String> {
    Ok(parse(&der(pem)?)?.public_key().raw.to_vec())
}

/// What lies where a key belongs.
pub(crate) enum KeyFile {
    Missing,
    Unreadable,
    Key(Zeroizing<KeyPair>),
}

pub(crate) fn read_key(path: &Utf8Path) -> Result<KeyFile, FileError> {
    let Some(bytes) = local_file::read(path)?.map(Zeroizing::new) else {
        return Ok(KeyFile::Missing);
    };
    let key = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|pem| KeyPair::from_pem(pem).ok());
    Ok(key.map_or(KeyFile::Unreadable, |key| KeyFile::Key(Zeroizing::new(key))))
}

pub(crate) fn write_key(path: &Utf8Path, key: &KeyPair) -> Result<(), FileError> {
    let pem = Zeroizing::new(key.serialize_pem());
    local_file::write(path, 0o600, pem.as_bytes())
}
