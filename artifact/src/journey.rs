//! The way of a medium: what leaves on it is read back from the medium itself and listed, and what arrives is compared with
//! that list, and receipted.

mod arrive;
mod book;
mod depart;
mod error;
mod listing;
mod medium;
mod past_cache;
mod receipt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use camino::Utf8PathBuf;

use crate::{Bundle, Carriage, Held, Sha256};

pub use arrive::{Arrived, arrive};
pub use book::Book;
pub use depart::{Departed, depart};
pub use error::{JourneyError, Wrong};
pub use listing::size as journey_size;
pub use medium::{FileSystem, Medium};
pub use past_cache::Past;
pub use receipt::{Arrival, Receipt, SignedBy, Trip};

/// The version of journeys that this kubexm writes, and the newest it reads.
pub const JOURNEY: u32 = 1;
/// The list on a medium. FAT can hold its name.
pub const JOURNEY_LIST: &str = "kubexm-journey.json";
/// The signature of that.
pub const JOURNEY_SIGNATURE: &str = "kubexm-journey.json.sig";
/// What receipts on a medium are called; the name of the cluster and `.json` follow.
pub const RECEIPT_PREFIX: &str = "kubexm-receipt.";

/// What has left on a medium: each file, as the medium gave it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journey {
    pub journey: u32,
    /// The version of kubexm that wrote it.
    pub kubexm: String,
    pub departed: Timestamp,
    /// Sorted by path.
    pub bundles: Vec<Cargo>,
    /// Sorted by path.
    pub files: Vec<Held>,
}

/// A bundle on a medium, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cargo {
    pub path: Utf8PathBuf,
    pub cluster: String,
    pub serial: u64,
    /// The digest of its `bundle.json`.
    pub bundle: Sha256,
    pub part: Part,
}

/// What of a bundle a file carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Whole,
    Delta,
    Segment { n: u32, of: usize },
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole => f.write_str("whole"),
            Self::Delta => f.write_str("delta"),
            Self::Segment { n, of } => write!(f, "segment {n} of {of}"),
        }
    }
}

impl Cargo {
    pub(crate) fn of(path: Utf8PathBuf, bundle: &Bundle) -> Self {
        let part = match bundle.carriage() {
            None => Part::Whole,
            Some(Carriage::Delta { .. }) => Part::Delta,
            Some(Carriage::Segment { n, first }) => Part::Segment {
                n: *n,
                of: first.len(),
            },
        };
        Self {
            path,
            cluster: bundle.contents().cluster.clone(),
            serial: bundle.contents().serial,
            bundle: bundle.digest(),
            part,
        }
    }
}

impl Journey {
    /// As it is written: JSON that people can read as well.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        as_json(self)
    }

    /// The bytes of all files.
    #[must_use]
    pub fn size(&self) -> u64 {
        let sizes = self.files.iter().map(|file| file.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// The segments that a set has and the medium has not, by the first file of the set.
    #[must_use]
    pub fn segments_elsewhere(&self) -> Vec<(Utf8PathBuf, Vec<u32>)> {
        let mut told: Vec<Sha256> = Vec::new();
        let mut elsewhere = Vec::new();
        for cargo in &self.bundles {
            let Part::Segment { of, .. } = cargo.part else {
                continue;
            };
            if told.contains(&cargo.bundle) {
                continue;
            }
            told.push(cargo.bundle);
            let same = self.bundles.iter().filter(|it| it.bundle == cargo.bundle);
            let here: Vec<u32> = same
                .filter_map(|it| match it.part {
                    Part::Segment { n, of: all } if all == of => Some(n),
                    _ => None,
                })
                .collect();
            let all = 1..=u32::try_from(of).unwrap_or(u32::MAX);
            let missing: Vec<u32> = all.filter(|n| !here.contains(n)).collect();
            if !missing.is_empty() {
                elsewhere.push((cargo.path.clone(), missing));
            }
        }
        elsewhere
    }
}

fn as_json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("lists of a journey are plain data");
    bytes.push(b'\n');
    bytes
}
