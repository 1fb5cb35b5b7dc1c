//! What a parity file says of itself and of the files that it is for. It is there twice, so that a damaged beginning or end
//! does no harm.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use camino::{Utf8Component, Utf8Path};
use serde::{Deserialize, Serialize};

use super::error::ParityError;
use super::{PARITY, PARITY_ENDING};
use crate::Sha256;
use crate::contents::{Clean, HEAD_MAX};
use crate::text::unprintable;

pub(super) const MAGIC: [u8; 8] = *b"kxparity";
/// Magic and length before the text, and its checksum behind.
const AROUND: u64 = 8 + 4 + 4;
/// Where the second head begins, and magic.
pub(super) const TAIL: u64 = 16;
/// Data blocks of a set, and parity blocks: what of them is in memory at a time stays small.
pub(super) const BLOCKS_MAX: usize = 4096;
/// Blocks are a multiple of this; what is worked on at a time is a part of it.
pub(super) const UNIT: u64 = 64 << 10;
const BLOCK_MAX: u64 = 1 << 30;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub parity: u32,
    pub kubexm: String,
    pub block: u64,
    /// In the order in which their blocks are counted.
    pub files: Vec<Listed>,
    /// Of all parity blocks of the set.
    pub recovery: Sums,
    /// The first parity block in this file.
    pub first: usize,
    /// How many there are.
    pub count: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub name: String,
    pub size: u64,
    pub sha256: Sha256,
    pub blocks: Sums,
}

/// CRC-32 of blocks, eight hex digits each: a text whose length is known before its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Sums(pub Vec<u32>);

impl TryFrom<String> for Sums {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "checksums are eight hex digits each";
        let (words, []) = text.as_bytes().as_chunks::<8>() else {
            return Err(WRONG);
        };
        let sums = words.iter().map(|word| {
            let word = std::str::from_utf8(word).ok();
            word.and_then(|word| u32::from_str_radix(word, 16).ok())
        });
        sums.collect::<Option<_>>().map(Self).ok_or(WRONG)
    }
}

impl From<Sums> for String {
    fn from(sums: Sums) -> Self {
        let bytes: Vec<u8> = sums.0.iter().flat_map(|sum| sum.to_be_bytes()).collect();
        hex::encode(bytes)
    }
}

impl Listed {
    /// The bytes of one of its blocks; only the last may be short.
    pub(super) fn len(&self, index: usize, block: u64) -> u64 {
        (self.size - index as u64 * block).min(block)
    }
}

impl Head {
    /// Of all files.
    pub(super) fn data_blocks(&self) -> usize {
        self.files.iter().map(|file| file.blocks.0.len()).sum()
    }

    /// Which files it is for, however it is parted.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        (self.block, &self.files, &self.recovery) == (other.block, &other.files, &other.recovery)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let text = serde_json::to_vec(self).expect("a head is plain data");
        let length = u32::try_from(text.len()).expect("there are few blocks");
        let mut bytes = [&MAGIC[..], &length.to_le_bytes(), &text].concat();
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// Whichever of both is good. None where this is no parity file, or nothing is left of them.
    pub(super) fn read(file: &File, path: &Utf8Path) -> Result<Option<(Self, u64)>, ParityError> {
        let size = file
            .metadata()
            .map_err(|e| ParityError::read(path, e))?
            .len();
        let tail = size.checked_sub(TAIL).and_then(|at| {
            let tail: [u8; 16] = exact(file, at, TAIL).ok()?.try_into().ok()?;
            let (place, magic) = tail.split_at(8);
            (magic == MAGIC).then(|| u64::from_le_bytes(place.try_into().expect("eight bytes")))
        });
        for place in [Some(0), tail].into_iter().flatten() {
            if let Some(bytes) = text(file, place) {
                return Self::parse(&bytes, path).map(|head| {
                    let length = bytes.len() as u64 + AROUND;
                    head.map(|head| (head, length))
                });
            }
        }
        Ok(None)
    }

    fn parse(bytes: &[u8], path: &Utf8Path) -> Result<Option<Self>, ParityError> {
        #[derive(Deserialize)]
        struct Version {
            parity: u32,
        }
        if serde_json::from_slice::<Clean>(bytes).is_err() {
            return Ok(None);
        }
        let Ok(Version { parity: found }) = serde_json::from_slice(bytes) else {
            return Ok(None);
        };
        if found > PARITY {
            return Err(ParityError::Newer {
                path: path.to_owned(),
                found,
            });
        }
        let head: Option<Self> = serde_json::from_slice(bytes).ok();
        Ok(head.filter(Self::is_sound))
    }

    /// It comes from a medium, and may say anything.
    fn is_sound(&self) -> bool {
        let data: usize = self.files.iter().map(|file| file.blocks.0.len()).sum();
        let parity = self.recovery.0.len();
        let end = self.first.checked_add(self.count);
        let names = self.files.iter().map(|file| file.name.to_lowercase());
        let mut names: Vec<String> = names.collect();
        names.sort();
        self.block >= UNIT
            && self.block <= BLOCK_MAX
            && self.block.is_multiple_of(UNIT)
            && (1..=BLOCKS_MAX).contains(&data)
            && (1..=BLOCKS_MAX).contains(&parity)
            && end.is_some_and(|end| end <= parity)
            && names.is_sorted_by(|a, b| a < b)
            && self.files.iter().all(|file| {
                is_plain(&file.name)
                    && file.size > 0
                    && file.size.div_ceil(self.block) == file.blocks.0.len() as u64
            })
    }
}

fn is_plain(name: &str) -> bool {
    let mut parts = Utf8Path::new(name).components();
    let is_one = matches!(parts.next(), Some(Utf8Component::Normal(one)) if one == name);
    is_one
        && parts.next().is_none()
        && !name.starts_with('.')
        && !name.ends_with(PARITY_ENDING)
        && name.len() <= 255
        && !name.chars().any(unprintable)
}

fn text(file: &File, place: u64) -> Option<Vec<u8>> {
    let begin = exact(file, place, 12).ok()?;
    if begin[..8] != MAGIC {
        return None;
    }
    let length = u64::from(u32::from_le_bytes(
        begin[8..].try_into().expect("four bytes"),
    ));
    if length > HEAD_MAX {
        return None;
    }
    let bytes = exact(file, place, AROUND + length).ok()?;
    let (told, sum) = bytes.split_at(bytes.len() - 4);
    (crc32fast::hash(told).to_le_bytes() == sum).then(|| told[12..].to_vec())
}

/// What is asked for comes from a medium: it must be there before it is made room for.
fn exact(file: &File, place: u64, length: u64) -> io::Result<Vec<u8>> {
    let end = place.checked_add(length);
    if end.is_none_or(|end| file.metadata().is_ok_and(|meta| meta.len() < end)) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?];
    file.read_exact_at(&mut bytes, place)?;
    Ok(bytes)
}
