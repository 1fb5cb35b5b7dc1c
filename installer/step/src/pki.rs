//! Certificates and their keys, made and judged on the operator's machine.
//!
//! Keys are ECDSA P-256 in PKCS#8 PEM, which Go and OpenSSL read alike.

mod authority;
mod authority_hash;
mod bundle;
mod certificate;
mod certificate_authority;
mod error;
mod files;
mod kubelet_client;
mod places;
mod prove_succession;
mod seen;
mod service_account_key;
mod spec;
mod split_kubeconfig;
mod succession;
mod trust;
mod write_kubeconfig;

pub(crate) use authority::{Authority, Found};
pub use authority_hash::authority_hash;
pub(crate) use bundle::{digest_of_trust, members, share, signer, signer_name};
pub use certificate::Certificate;
pub use certificate_authority::CertificateAuthority;
pub(crate) use error::PkiError;
pub use files::KeyPairFiles;
pub(crate) use files::public_key;
pub(crate) use files::{KeyFile, read_key, write_key};
pub use kubelet_client::{KubeletClient, MendKubeletClient};
pub use places::CertificatePlace;
pub use prove_succession::ProveSuccession;
pub(crate) use seen::certificates_of;
pub use seen::{CertificateSeen, CertificatesOf, LookAtCertificates};
pub use service_account_key::ServiceAccountKey;
pub use spec::{CertificateSpec, Usage};
pub use succession::{ForgetPredecessor, Move, PrepareSuccessor, Succeed, Succession};
pub use trust::TrustInKubeconfigs;
pub use write_kubeconfig::WriteKubeconfig;
