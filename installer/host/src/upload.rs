use std::fmt;

use bytes::Bytes;
use camino::Utf8PathBuf;

/// Where the bytes of an upload come from.
#[derive(Clone)]
pub enum Source {
    /// A file of this machine.
    File(Utf8PathBuf),
    /// A rendered file. Never shown: it may hold a secret.
    Bytes(Bytes),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({path})"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
        }
    }
}

/// Who owns a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub user: String,
    pub group: String,
}

impl Owner {
    #[must_use]
    pub fn root() -> Self {
        Self {
            user: "root".to_owned(),
            group: "root".to_owned(),
        }
    }
}

/// How a file shall lie there. Parent directories are made with 0755 where they are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAttrs {
    pub mode: u32,
    pub owner: Owner,
}

impl FileAttrs {
    #[must_use]
    pub fn root(mode: u32) -> Self {
        Self {
            mode,
            owner: Owner::root(),
        }
    }
}
