//! What a tree holds in truth: written where bundles arrive, and read where they are made.

use std::num::NonZeroUsize;

use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;
use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, BundleError};
use crate::contents::{Clean, HEAD_MAX};
use crate::text::too_many_commas;
use crate::{Contents, FileEntry, Sha256, open_regular_or_pipe};

/// The version of inventories that this kubexm writes, and the newest it reads.
pub const INVENTORY: u32 = 1;

/// What was there when it was asked: each file with the digest of its content, read anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    pub inventory: u32,
    pub cluster: String,
    /// The version of kubexm that wrote it.
    pub kubexm: String,
    /// The bundle that the tree is, where all of it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Sha256>,
    pub files: Vec<Held>,
}

/// A file that somebody has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub path: Utf8PathBuf,
    pub size: u64,
    pub sha256: Sha256,
}

impl From<&FileEntry> for Held {
    fn from(file: &FileEntry) -> Self {
        Self {
            path: file.path.clone(),
            size: file.size,
            sha256: file.sha256,
        }
    }
}

impl Inventory {
    /// As it is written: JSON that people can read as well.
    #[must_use]
    #[allow(clippy::missing_panics_doc)] // never: there is no map key or number in it that JSON lacks
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("an inventory is plain data");
        bytes.push(b'\n');
        bytes
    }
}

/// What the receiver of a delta has, as somebody who makes one knows it.
#[derive(Debug)]
pub struct Base {
    digest: Sha256,
    held: Vec<Held>,
    /// Where its bytes are.
    bundle: Option<Bundle>,
}

/// Why a file does not tell what somebody has.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("cannot read {path}: {source}")]
    Read {
        path: Utf8PathBuf,
        source: std::io::Error,
    },
    #[error("{path} tells nothing of what the receiver has: {why}")]
    Unknown { path: Utf8PathBuf, why: String },
}

impl BaseError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Bundle(error) => error.hint(),
            Self::Read { .. } => None,
            Self::Unknown { .. } => Some(
                "name what `kubexm get inventory` has written in the site, or the bundle that the site has unpacked last"
                    .into(),
            ),
        }
    }
}

impl Base {
    /// Of a bundle, an inventory, or the `bundle.json` of a tree.
    pub fn open(path: &Utf8Path) -> Result<Self, BaseError> {
        use std::io::Read;
        let read = |source| BaseError::Read {
            path: path.to_owned(),
            source,
        };
        let mut file = open_regular_or_pipe(path).map_err(read)?;
        let mut bytes = vec![0; 1];
        if file.read(&mut bytes).map_err(read)? == 0 || bytes[0] != b'{' {
            let bundle = Bundle::open(path)?;
            let base = Self::of(bundle.contents(), bundle.digest());
            return Ok(Self {
                bundle: Some(bundle),
                ..base
            });
        }
        let mut rest = file.take(HEAD_MAX);
        rest.read_to_end(&mut bytes).map_err(read)?;
        Self::read(&bytes).map_err(|why| BaseError::Unknown {
            path: path.to_owned(),
            why,
        })
    }

    /// Whoever has unpacked a bundle with these contents.
    #[must_use]
    pub fn of(contents: &Contents, digest: Sha256) -> Self {
        let files = contents.files.iter();
        Self {
            digest,
            held: files.map(Held::from).collect(),
            bundle: None,
        }
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Which {
            inventory: Option<u32>,
            format: Option<u32>,
        }
        if bytes.len() as u64 > HEAD_MAX || too_many_commas(bytes) {
            return Err("it is larger than any that is read".into());
        }
        let unlike = |error: serde_json::Error| format!("it cannot be understood: {error}");
        serde_json::from_slice::<Clean>(bytes).map_err(unlike)?;
        let which: Which = serde_json::from_slice(bytes).map_err(unlike)?;
        match which {
            Which {
                inventory: Some(INVENTORY),
                ..
            } => {
                let inventory: Inventory = serde_json::from_slice(bytes).map_err(unlike)?;
                Ok(Self {
                    digest: inventory.bundle.unwrap_or_else(|| Sha256::of(bytes)),
                    held: inventory.files,
                    bundle: None,
                })
            }
            Which {
                inventory: Some(newer),
                ..
            } => Err(format!(
                "it is an inventory of version {newer}, and this kubexm reads version {INVENTORY}"
            )),
            Which {
                format: Some(_), ..
            } => {
                let contents = Contents::read(bytes).map_err(|error| error.to_string())?;
                Ok(Self::of(&contents, Sha256::of(bytes)))
            }
            Which { .. } => Err("it is neither an inventory nor a bundle.json".into()),
        }
    }

    /// What identifies it: the digest of a `bundle.json` where all of that is there, or else of the inventory.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// Where its bytes are, if that is known.
    pub(crate) fn bundle(&self) -> Option<&Bundle> {
        self.bundle.as_ref()
    }

    #[must_use]
    pub fn held(&self) -> &[Held] {
        &self.held
    }
}

/// How to take an inventory: on so many threads, told and stopped like this.
#[derive(Clone, Copy, Debug)]
pub struct Taking<'a> {
    pub jobs: NonZeroUsize,
    pub progress: &'a Progress,
    pub cancel: &'a crate::Cancel,
}
