//! What there is of files and of their parity: names play no part.

use std::fs::File;
use std::os::unix::fs::FileExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::error::ParityError;
use super::head::Head;
use crate::{Cancel, open_regular};

/// All that is known of a set of files: which blocks are there, and where.
#[derive(Debug)]
pub struct Repair {
    pub(super) head: Head,
    pub(super) candidates: Vec<Candidate>,
    /// Of each block of each file, the candidate that has it.
    pub(super) data: Vec<Vec<Option<usize>>>,
    /// Of each parity block, the volume that has it and its place there.
    pub(super) parity: Vec<Option<(usize, u64)>>,
    pub(super) volumes: Vec<Candidate>,
}

#[derive(Debug)]
pub(super) struct Candidate {
    pub path: Utf8PathBuf,
    pub file: File,
    pub size: u64,
}

/// What there is of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    pub name: String,
    pub size: u64,
    pub blocks: usize,
    pub missing: usize,
    /// The one that is as it should be.
    pub at: Option<Utf8PathBuf>,
}

impl Repair {
    /// Reads all of these files, and of the files in these directories.
    pub fn look(named: &[Utf8PathBuf], cancel: &Cancel) -> Result<Self, ParityError> {
        let mut volumes: Vec<(Candidate, Head, u64)> = Vec::new();
        let mut candidates = Vec::new();
        for path in expanded(named)? {
            let read = |e| ParityError::read(&path, e);
            let file = open_regular(&path).map_err(read)?;
            let size = file.metadata().map_err(read)?.len();
            let head = Head::read(&file, &path)?;
            let candidate = Candidate { path, file, size };
            match head {
                Some((head, start)) => volumes.push((candidate, head, start)),
                None => candidates.push(candidate),
            }
        }
        let Some((one, head, _)) = volumes.first() else {
            let paths: Vec<&str> = named.iter().map(|path| path.as_str()).collect();
            return Err(ParityError::None(paths.join(", ")));
        };
        if let Some((other, ..)) = volumes.iter().find(|(_, other, _)| !other.is_of(head)) {
            return Err(ParityError::Several {
                one: one.path.clone(),
                other: other.path.clone(),
            });
        }
        let head = head.clone();
        let parity = parity(&head, &volumes, cancel)?;
        let mut data: Vec<Vec<Option<usize>>> = head
            .files
            .iter()
            .map(|file| vec![None; file.blocks.0.len()])
            .collect();
        for (number, candidate) in candidates.iter().enumerate() {
            compare(&head, candidate, number, &mut data, cancel)?;
        }
        Ok(Self {
            head,
            candidates,
            data,
            parity,
            volumes: volumes.into_iter().map(|(volume, ..)| volume).collect(),
        })
    }

    /// How many blocks can be made again.
    #[must_use]
    pub fn spare(&self) -> usize {
        self.parity.iter().flatten().count()
    }

    /// What there is of each file.
    #[must_use]
    pub fn files(&self) -> Vec<Whole> {
        let files = self.head.files.iter().zip(&self.data);
        let files = files.map(|(listed, blocks)| Whole {
            name: listed.name.clone(),
            size: listed.size,
            blocks: blocks.len(),
            missing: blocks.iter().filter(|block| block.is_none()).count(),
            at: self.whole(listed.size, blocks),
        });
        files.collect()
    }

    /// The bytes that are read and written to make again what is not whole.
    #[must_use]
    pub fn work(&self) -> u64 {
        let broken = self.files().into_iter().filter(|file| file.at.is_none());
        broken.map(|file| file.size).sum()
    }

    /// One candidate that has it all, and nothing more.
    fn whole(&self, size: u64, blocks: &[Option<usize>]) -> Option<Utf8PathBuf> {
        let first = (*blocks.first()?)?;
        let candidate = &self.candidates[first];
        let is_whole = blocks.iter().all(|block| *block == Some(first)) && candidate.size == size;
        is_whole.then(|| candidate.path.clone())
    }
}

fn expanded(named: &[Utf8PathBuf]) -> Result<Vec<Utf8PathBuf>, ParityError> {
    let mut paths = Vec::new();
    for path in named {
        if !path.is_dir() {
            paths.push(path.clone());
            continue;
        }
        let read = |e| ParityError::read(path, e);
        let mut below = Vec::new();
        for entry in path.read_dir_utf8().map_err(read)? {
            let entry = entry.map_err(read)?;
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && !entry.file_name().starts_with('.') {
                below.push(entry.into_path());
            }
        }
        below.sort();
        paths.extend(below);
    }
    Ok(paths)
}

fn parity(
    head: &Head,
    volumes: &[(Candidate, Head, u64)],
    cancel: &Cancel,
) -> Result<Vec<Option<(usize, u64)>>, ParityError> {
    let mut found = vec![None; head.recovery.0.len()];
    for (number, (volume, of_this, start)) in volumes.iter().enumerate() {
        for index in 0..of_this.count {
            if cancel.is_cancelled() {
                return Err(ParityError::Cancelled);
            }
            let place = start + index as u64 * head.block;
            let index = of_this.first + index;
            let is_good = block(&volume.file, place, head.block)
                .is_some_and(|bytes| crc32fast::hash(&bytes) == head.recovery.0[index]);
            if is_good {
                found[index] = Some((number, place));
            }
        }
    }
    Ok(found)
}

/// Enters the blocks that a candidate has.
fn compare(
    head: &Head,
    candidate: &Candidate,
    number: usize,
    data: &mut [Vec<Option<usize>>],
    cancel: &Cancel,
) -> Result<(), ParityError> {
    for index in 0..candidate.size.div_ceil(head.block) {
        if cancel.is_cancelled() {
            return Err(ParityError::Cancelled);
        }
        let place = index * head.block;
        let there = head.block.min(candidate.size - place);
        // A block that cannot be read is a damaged one.
        let Some(bytes) = block(&candidate.file, place, there) else {
            continue;
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        for (listed, blocks) in head.files.iter().zip(&mut *data) {
            let Some(slot @ None) = blocks.get_mut(index) else {
                continue;
            };
            let len = usize::try_from(listed.len(index, head.block)).unwrap_or(usize::MAX);
            let is_it = bytes
                .get(..len)
                .is_some_and(|bytes| crc32fast::hash(bytes) == listed.blocks.0[index]);
            if is_it {
                *slot = Some(number);
            }
        }
    }
    Ok(())
}

fn block(file: &File, place: u64, len: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    file.read_exact_at(&mut bytes, place).ok()?;
    Some(bytes)
}

impl Candidate {
    pub(super) fn is(&self, path: &Utf8Path) -> bool {
        self.path == path
            || std::fs::canonicalize(&self.path).ok() == std::fs::canonicalize(path).ok()
    }
}
