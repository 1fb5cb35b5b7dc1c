//! Makes parity of files that are as they should be.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use camino::{Utf8Path, Utf8PathBuf};
use reed_solomon_simd::ReedSolomonEncoder;
use sha2::Digest;

use super::error::ParityError;
use super::head::{BLOCKS_MAX, Head, Listed, MAGIC, Sums, TAIL, UNIT};
use super::{PARITY, ParityFile, cells};
use crate::replace::begun;
use crate::{Cancel, Sha256, open_regular};

/// How much parity there is, of what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(u8);

impl Percent {
    /// From 1 to 100.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        match number {
            1..=100 => Some(Self(number)),
            _ => None,
        }
    }

    /// Of so many, rounded up.
    #[must_use]
    pub const fn of(self, whole: u64) -> u64 {
        (whole.saturating_mul(self.0 as u64)).div_ceil(100)
    }
}

/// What parity is made of, and how.
#[derive(Clone, Copy, Debug)]
pub struct Sparing<'a> {
    pub files: &'a [Utf8PathBuf],
    pub share: Percent,
    /// What no file may be larger than.
    pub largest: u64,
    pub kubexm: &'a str,
    pub cancel: &'a Cancel,
}

/// Writes parity files, as many as it takes. `name` says what the n-th of so many is called.
pub fn make_parity(
    of: &Sparing<'_>,
    name: impl Fn(u32, u32) -> Utf8PathBuf,
) -> Result<Vec<ParityFile>, ParityError> {
    let mut files = Vec::new();
    for path in of.files {
        let file = open_regular(path).map_err(|e| ParityError::read(path, e))?;
        let size = file
            .metadata()
            .map_err(|e| ParityError::read(path, e))?
            .len();
        files.push((path.as_path(), file, size));
    }
    files.sort_by_key(|(path, ..)| path.file_name().unwrap_or_default().to_lowercase());
    let sizes: Vec<u64> = files.iter().map(|(_, _, size)| *size).collect();
    let block = block_size(&sizes);
    let listed = files
        .iter()
        .map(|(path, file, size)| listed(path, file, (*size, block), of.cancel))
        .collect::<Result<Vec<_>, _>>()?;
    let mut head = Head {
        parity: PARITY,
        kubexm: of.kubexm.to_owned(),
        block,
        files: listed,
        recovery: Sums(Vec::new()),
        first: 0,
        count: 0,
    };
    let number = of.share.of(head.data_blocks() as u64);
    let number = usize::try_from(number)
        .unwrap_or(BLOCKS_MAX)
        .clamp(1, BLOCKS_MAX);
    head.recovery.0 = vec![0; number];
    let mut volumes = Volume::of(&head, of.largest, name)?;
    let written =
        encode(&mut head, &files, &volumes, of.cancel).and_then(|()| finish(&head, &mut volumes));
    if written.is_err() {
        for volume in &volumes {
            // Its name counts for nothing, and the next run replaces it.
            let _ = std::fs::remove_file(&volume.part);
        }
    }
    written
}

/// The smallest with which there are not too many.
fn block_size(sizes: &[u64]) -> u64 {
    let blocks = |block: u64| sizes.iter().map(|size| size.div_ceil(block)).sum::<u64>();
    let all = sizes
        .iter()
        .fold(0_u64, |sum, size| sum.saturating_add(*size));
    let mut block = (all / BLOCKS_MAX as u64).next_multiple_of(UNIT).max(UNIT);
    while blocks(block) > BLOCKS_MAX as u64 {
        block += UNIT;
    }
    block
}

fn listed(
    path: &Utf8Path,
    file: &File,
    (size, block): (u64, u64),
    cancel: &Cancel,
) -> Result<Listed, ParityError> {
    let mut whole = sha2::Sha256::new();
    let mut sums = Vec::new();
    let mut rest = file;
    loop {
        if cancel.is_cancelled() {
            return Err(ParityError::Cancelled);
        }
        let mut bytes = Vec::new();
        let mut one = Read::take(&mut rest, block);
        one.read_to_end(&mut bytes)
            .map_err(|e| ParityError::read(path, e))?;
        if bytes.is_empty() {
            break;
        }
        whole.update(&bytes);
        sums.push(crc32fast::hash(&bytes));
    }
    Ok(Listed {
        name: path.file_name().unwrap_or_default().to_owned(),
        size,
        sha256: Sha256::from(whole),
        blocks: Sums(sums),
    })
}

/// A parity file while it is made.
struct Volume {
    path: Utf8PathBuf,
    part: Utf8PathBuf,
    file: File,
    first: usize,
    count: usize,
    /// Where its blocks begin.
    start: u64,
}

impl Volume {
    fn of(
        head: &Head,
        largest: u64,
        name: impl Fn(u32, u32) -> Utf8PathBuf,
    ) -> Result<Vec<Self>, ParityError> {
        let all = head.recovery.0.len();
        // The numbers in it take some digits more or less.
        let around = 2 * (head.to_bytes().len() as u64 + 16) + TAIL;
        let fit = largest.saturating_sub(around) / head.block;
        let fit = usize::try_from(fit).unwrap_or(usize::MAX).min(all);
        if fit == 0 {
            return Err(ParityError::Small {
                limit: largest,
                block: head.block,
            });
        }
        let of = u32::try_from(all.div_ceil(fit)).expect("there are few blocks");
        let volumes = (1..=of).zip((0..all).step_by(fit)).map(|(n, first)| {
            let path = name(n, of);
            let count = fit.min(all - first);
            let of_this = Head {
                first,
                count,
                ..head.clone()
            };
            let (part, file) = begun(&path).map_err(|e| ParityError::write(&path, e))?;
            Ok(Self {
                path,
                part,
                file,
                first,
                count,
                start: of_this.to_bytes().len() as u64,
            })
        });
        volumes.collect()
    }
}

fn encode(
    head: &mut Head,
    files: &[(&Utf8Path, File, u64)],
    volumes: &[Volume],
    cancel: &Cancel,
) -> Result<(), ParityError> {
    let (data, parity) = (head.data_blocks(), head.recovery.0.len());
    let mut encoder =
        ReedSolomonEncoder::new(data, parity, cells::SLICE).map_err(ParityError::Code)?;
    let mut sums = vec![crc32fast::Hasher::new(); parity];
    let mut slice = vec![0; cells::SLICE];
    for at in cells::slices(head.block) {
        if cancel.is_cancelled() {
            return Err(ParityError::Cancelled);
        }
        for ((path, file, _), listed) in files.iter().zip(&head.files) {
            for index in 0..listed.blocks.0.len() {
                let (start, len) = (index as u64 * head.block, listed.len(index, head.block));
                cells::read(file, start, len, at, &mut slice)
                    .map_err(|e| ParityError::read(path, e))?;
                encoder
                    .add_original_shard(&slice)
                    .map_err(ParityError::Code)?;
            }
        }
        let made = encoder.encode().map_err(ParityError::Code)?;
        for (index, (made, sum)) in made.recovery_iter().zip(&mut sums).enumerate() {
            sum.update(made);
            let holds = |volume: &&Volume| volume.first + volume.count > index;
            let volume = volumes.iter().find(holds).expect("each block has a file");
            let start = volume.start + (index - volume.first) as u64 * head.block;
            volume
                .file
                .write_all_at(made, start + at)
                .map_err(|e| ParityError::write(&volume.part, e))?;
        }
    }
    head.recovery.0 = sums.into_iter().map(crc32fast::Hasher::finalize).collect();
    Ok(())
}

fn finish(head: &Head, volumes: &mut [Volume]) -> Result<Vec<ParityFile>, ParityError> {
    let mut made = Vec::new();
    for volume in volumes {
        let bytes = Head {
            first: volume.first,
            count: volume.count,
            ..head.clone()
        }
        .to_bytes();
        let second = volume.start + volume.count as u64 * head.block;
        let tail = [&second.to_le_bytes()[..], &MAGIC].concat();
        let write = |e| ParityError::write(&volume.path, e);
        volume.file.write_all_at(&bytes, 0).map_err(write)?;
        volume.file.write_all_at(&bytes, second).map_err(write)?;
        let end = second + bytes.len() as u64;
        volume.file.write_all_at(&tail, end).map_err(write)?;
        volume.file.sync_all().map_err(write)?;
        std::fs::rename(&volume.part, &volume.path).map_err(write)?;
        made.push(ParityFile {
            path: volume.path.clone(),
            size: end + TAIL,
            blocks: volume.count,
        });
    }
    Ok(made)
}
