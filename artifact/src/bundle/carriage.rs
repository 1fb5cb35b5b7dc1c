//! `carry.json`: what a file carries of the contents that its `bundle.json` names, where that is not all of them. A whole
//! bundle has none.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::contents::{Clean, HEAD_MAX};
use crate::text::too_many_commas;
use crate::{Contents, Sha256};

/// A file that carries a part of its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// What is not in it is in the tree of whoever receives it.
    Delta {
        /// What it was made against: digests of a `bundle.json` or an inventory.
        base: Vec<Sha256>,
    },
    /// What is not in it is in the others of its set.
    Segment {
        n: u32,
        /// Of each segment, the place in `files` of the first file that is in it.
        first: Vec<usize>,
    },
}

impl Carriage {
    /// The files of each segment of the set, by their places among so many; of a delta nothing.
    pub(crate) fn segments(&self, files: usize) -> Vec<Range<usize>> {
        let Self::Segment { first, .. } = self else {
            return Vec::new();
        };
        let next = first.iter().skip(1).copied().chain([files]);
        first.iter().zip(next).map(|(from, to)| *from..to).collect()
    }

    fn files_of_segment(&self, files: usize) -> Option<Range<usize>> {
        let Self::Segment { n, .. } = self else {
            return None;
        };
        let place = usize::try_from(*n).ok()?.checked_sub(1)?;
        self.segments(files).into_iter().nth(place)
    }
}

impl fmt::Display for Carriage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delta { base } => match base.as_slice() {
                [] => f.write_str("a delta against nothing"),
                [base] => write!(f, "a delta against {}", base.oci()),
                [base, more @ ..] => {
                    write!(f, "a delta against {} and {} more", base.oci(), more.len())
                }
            },
            Self::Segment { n, first } => {
                write!(f, "segment {n} of {} of a bundle", first.len())
            }
        }
    }
}

/// A file that is made from one that the receiver has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    pub method: PatchMethod,
    /// The file that it is made from.
    pub base: Sha256,
    pub base_size: u64,
    /// Of the patch itself.
    pub size: u64,
    pub sha256: Sha256,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchMethod {
    /// Piece by piece.
    Zstd,
    /// What is inside of a gzip'd file, and notes about the gzip around it: those of preflate-rs 0.7.
    Layer,
}

impl PatchMethod {
    const ALL: [Self; 2] = [Self::Zstd, Self::Layer];

    fn word(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Layer => "preflate-0.7",
        }
    }
}

/// A file of the contents that is there, whole or as a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    /// Its place in `files`.
    pub index: usize,
    pub patch: Option<Patch>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carry {
    pub contents: Sha256,
    pub carriage: Carriage,
    pub members: Vec<Carried>,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    contents: Sha256,
    #[serde(flatten)]
    kind: Kind,
    members: Vec<Listed>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Kind {
    Delta { base: Vec<Sha256> },
    Segment { segment: Segment },
}

#[derive(Serialize, Deserialize)]
struct Segment {
    n: u32,
    of: u32,
    first: Vec<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Listed {
    Whole(usize),
    Patched {
        index: usize,
        patch: String,
        base: Sha256,
        base_size: u64,
        size: u64,
        sha256: Sha256,
    },
}

/// Why a `carry.json` is not one of this bundle.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    #[error("carry.json cannot be understood: {0}")]
    Json(#[from] serde_json::Error),
    #[error("carry.json: {0}")]
    Wrong(&'static str),
    #[error("carry.json has patches of kind {0:?}, which this kubexm does not know")]
    Newer(String),
}

impl CarryError {
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Newer(_) => "it was made by a newer kubexm: use the one that came with it",
            Self::Json(_) | Self::Wrong(_) => "a bundle is what `kubexm bundle` writes",
        }
    }
}

impl Carry {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let written = Written {
            contents: self.contents,
            kind: match &self.carriage {
                Carriage::Delta { base } => Kind::Delta { base: base.clone() },
                Carriage::Segment { n, first } => Kind::Segment {
                    segment: Segment {
                        n: *n,
                        of: u32::try_from(first.len()).unwrap_or(u32::MAX),
                        first: first.clone(),
                    },
                },
            },
            members: self.members.iter().cloned().map(Listed::from).collect(),
        };
        let mut bytes = serde_json::to_vec(&written).expect("a carriage is plain data");
        bytes.push(b'\n');
        bytes
    }

    /// Reads it back, and holds it to the contents that it is about.
    pub(crate) fn read(
        bytes: &[u8],
        digest: Sha256,
        contents: &Contents,
    ) -> Result<Self, CarryError> {
        let wrong = |why| Err(CarryError::Wrong(why));
        if bytes.len() as u64 > HEAD_MAX || too_many_commas(bytes) {
            return wrong("it is larger than any that is read");
        }
        serde_json::from_slice::<Clean>(bytes)?;
        let written: Written = serde_json::from_slice(bytes)?;
        if written.contents != digest {
            return wrong("it is about another bundle.json");
        }
        let carriage = match written.kind {
            Kind::Delta { base } => Carriage::Delta { base },
            Kind::Segment {
                segment: Segment { n, of, first },
            } => {
                if n == 0 || n > of || first.len() as u64 != u64::from(of) {
                    return wrong("there is no such segment");
                }
                if first[0] != 0 || !first.is_sorted_by(|a, b| a < b) {
                    return wrong(
                        "its segments are not sorted, or do not begin with the first file",
                    );
                }
                Carriage::Segment { n, first }
            }
        };
        let members = written.members.into_iter().map(Carried::try_from);
        let members: Vec<Carried> = members.collect::<Result<_, _>>()?;
        if let Some(files) = carriage.files_of_segment(contents.files.len())
            && !members.iter().map(|member| member.index).eq(files)
        {
            return wrong("its members are not the files of its segment");
        }
        if !members.is_sorted_by(|a, b| a.index < b.index) {
            return wrong("its members are not sorted, or one is there twice");
        }
        let mut total: u64 = 0;
        for member in &members {
            let Some(file) = contents.files.get(member.index) else {
                return wrong("it names a file that bundle.json does not list");
            };
            let Some(patch) = &member.patch else { continue };
            if matches!(carriage, Carriage::Segment { .. }) {
                return wrong("a segment holds no patches");
            }
            if patch.base_size == 0 || file.size == 0 {
                return wrong("nothing is patched from or into an empty file");
            }
            total = match total.checked_add(patch.size.max(patch.base_size)) {
                Some(sum) if sum < u64::MAX / 4 => sum,
                _ => return wrong("its sizes add up to more than a file can hold"),
            };
        }
        Ok(Self {
            contents: digest,
            carriage,
            members,
        })
    }
}

impl From<Carried> for Listed {
    fn from(Carried { index, patch }: Carried) -> Self {
        match patch {
            None => Self::Whole(index),
            Some(patch) => Self::Patched {
                index,
                patch: patch.method.word().to_owned(),
                base: patch.base,
                base_size: patch.base_size,
                size: patch.size,
                sha256: patch.sha256,
            },
        }
    }
}

impl TryFrom<Listed> for Carried {
    type Error = CarryError;

    fn try_from(listed: Listed) -> Result<Self, CarryError> {
        match listed {
            Listed::Whole(index) => Ok(Self { index, patch: None }),
            Listed::Patched {
                index,
                patch,
                base,
                base_size,
                size,
                sha256,
            } => {
                let mut known = PatchMethod::ALL.into_iter();
                let method = known.find(|method| method.word() == patch);
                Ok(Self {
                    index,
                    patch: Some(Patch {
                        method: method.ok_or(CarryError::Newer(patch))?,
                        base,
                        base_size,
                        size,
                        sha256,
                    }),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
