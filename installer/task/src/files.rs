//! What belongs to root, as most of what a host gets.

use std::sync::Arc;

use camino::Utf8PathBuf;
use engine::Step;
use step::{Content, FileAttrs, KeyPairFiles, MakeDirectory, Owner, UploadFile, UploadKeyPair};

use crate::kube::PKI;

/// A directory that everybody may look into.
pub(crate) fn directory(path: impl Into<Utf8PathBuf>) -> Arc<dyn Step> {
    Arc::new(MakeDirectory {
        path: path.into(),
        attrs: FileAttrs::root(0o755),
    })
}

pub(crate) fn upload(path: impl Into<Utf8PathBuf>, content: Content, mode: u32) -> Arc<dyn Step> {
    Arc::new(UploadFile {
        path: path.into(),
        content,
        attrs: FileAttrs::root(mode),
    })
}

/// A text that everybody may read.
pub(crate) fn text(path: impl Into<Utf8PathBuf>, text: String) -> Arc<dyn Step> {
    upload(path, Content::Text(text), 0o644)
}

/// A certificate of Kubernetes and its key, by the name without its suffix.
pub(crate) fn key_pair(from: KeyPairFiles, name: &str) -> Arc<dyn Step> {
    Arc::new(UploadKeyPair {
        from,
        to: format!("{PKI}/{name}").into(),
        owner: Owner::root(),
    })
}
