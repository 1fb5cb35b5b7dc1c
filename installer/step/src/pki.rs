//! Certificates and their keys, made and judged on the operator's machine.
//!
//! Keys are ECDSA P-256 in PKCS#8 PEM, which Go and OpenSSL read alike.

mod authority;
mod error;
mod files;
mod spec;

pub(crate) use authority::{Authority, Found};
pub(crate) use error::PkiError;
pub use files::KeyPairFiles;
pub(crate) use files::public_key;
pub(crate) use files::{KeyFile, read_key, write_key};
pub use spec::{CertificateSpec, Usage};
