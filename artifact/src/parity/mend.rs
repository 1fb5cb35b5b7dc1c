//! Makes again what is not whole. Each file gets its name only when it is what the parity was made of.

use std::fs::{self, File};
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;
use reed_solomon_simd::ReedSolomonDecoder;
use sha2::Digest;

use super::cells;
use super::error::ParityError;
use super::head::Listed;
use super::look::Repair;
use crate::replace::begun;
use crate::{Cancel, Sha256, open_regular};

/// A file that was made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    pub path: Utf8PathBuf,
    pub size: u64,
    /// How many blocks came out of the parity.
    pub blocks: usize,
}

/// A file on its way.
struct New<'a> {
    listed: &'a Listed,
    number: usize,
    path: Utf8PathBuf,
    part: Utf8PathBuf,
    file: File,
}

impl Drop for New<'_> {
    fn drop(&mut self) {
        // Once it has its name there is nothing by this one.
        let _ = fs::remove_file(&self.part);
    }
}

impl Repair {
    /// Writes all files that are not whole into a directory.
    pub fn mend(
        &self,
        out: &Utf8Path,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Vec<Mended>, ParityError> {
        let (files, have) = (self.files(), self.spare());
        let missing: usize = files.iter().map(|file| file.missing).sum();
        if missing > have {
            let broken = files.iter().filter(|file| file.missing > 0);
            let each = broken
                .map(|file| format!("{}: {} of {} blocks", file.name, file.missing, file.blocks));
            return Err(ParityError::TooMuch {
                missing,
                have,
                block: self.head.block,
                each: each.collect::<Vec<_>>().join("\n  "),
            });
        }
        let broken = files
            .iter()
            .enumerate()
            .filter(|(_, file)| file.at.is_none());
        let news = broken
            .map(|(number, _)| self.begin(number, out))
            .collect::<Result<Vec<_>, _>>()?;
        for new in &news {
            self.copy(new, progress, cancel)?;
        }
        if missing > 0 {
            self.decode(&news, cancel)?;
        }
        news.into_iter()
            .map(|new| finish(&new, files[new.number].missing, cancel))
            .collect()
    }

    fn begin(&self, number: usize, out: &Utf8Path) -> Result<New<'_>, ParityError> {
        let listed = &self.head.files[number];
        let path = out.join(&listed.name);
        let is_ours = self.candidates.iter().any(|candidate| candidate.is(&path));
        if path.symlink_metadata().is_ok() && !is_ours {
            return Err(ParityError::There(path));
        }
        let (part, file) = begun(&path).map_err(|e| ParityError::write(&path, e))?;
        file.set_len(listed.size)
            .map_err(|e| ParityError::write(&part, e))?;
        Ok(New {
            listed,
            number,
            path,
            part,
            file,
        })
    }

    /// What is there.
    fn copy(&self, new: &New<'_>, progress: &Progress, cancel: &Cancel) -> Result<(), ParityError> {
        let mut slice = vec![0; cells::SLICE];
        for (index, from) in self.data[new.number].iter().enumerate() {
            if cancel.is_cancelled() {
                return Err(ParityError::Cancelled);
            }
            let (start, len) = self.place(new.number, index);
            progress.add(len);
            let Some(from) = from else { continue };
            let from = &self.candidates[*from];
            for at in cells::slices(len) {
                cells::read(&from.file, start, len, at, &mut slice)
                    .map_err(|e| ParityError::read(&from.path, e))?;
                cells::write(&new.file, start, len, at, &slice)
                    .map_err(|e| ParityError::write(&new.part, e))?;
            }
        }
        Ok(())
    }

    /// What is not there.
    fn decode(&self, news: &[New<'_>], cancel: &Cancel) -> Result<(), ParityError> {
        let (data, parity) = (self.head.data_blocks(), self.head.recovery.0.len());
        let mut decoder =
            ReedSolomonDecoder::new(data, parity, cells::SLICE).map_err(ParityError::Code)?;
        let blocks: Vec<(usize, usize, Option<usize>)> = self
            .data
            .iter()
            .enumerate()
            .flat_map(|(file, blocks)| {
                let blocks = blocks.iter().enumerate();
                blocks.map(move |(index, from)| (file, index, *from))
            })
            .collect();
        let missing = blocks.iter().filter(|(.., from)| from.is_none()).count();
        let mut slice = vec![0; cells::SLICE];
        for at in cells::slices(self.head.block) {
            if cancel.is_cancelled() {
                return Err(ParityError::Cancelled);
            }
            for (shard, (file, index, from)) in blocks.iter().enumerate() {
                let Some(from) = from else { continue };
                let (start, len) = self.place(*file, *index);
                let from = &self.candidates[*from];
                cells::read(&from.file, start, len, at, &mut slice)
                    .map_err(|e| ParityError::read(&from.path, e))?;
                decoder
                    .add_original_shard(shard, &slice)
                    .map_err(ParityError::Code)?;
            }
            let spare = self.parity.iter().enumerate();
            let spare = spare.filter_map(|(shard, from)| from.map(|from| (shard, from)));
            for (shard, (volume, start)) in spare.take(missing) {
                let volume = &self.volumes[volume];
                cells::read(&volume.file, start, self.head.block, at, &mut slice)
                    .map_err(|e| ParityError::read(&volume.path, e))?;
                decoder
                    .add_recovery_shard(shard, &slice)
                    .map_err(ParityError::Code)?;
            }
            let made = decoder.decode().map_err(ParityError::Code)?;
            for (shard, bytes) in made.restored_original_iter() {
                let (file, index, _) = blocks[shard];
                let (start, len) = self.place(file, index);
                let new = news.iter().find(|new| new.number == file);
                let new = new.expect("what lacks a block is not whole");
                cells::write(&new.file, start, len, at, bytes)
                    .map_err(|e| ParityError::write(&new.part, e))?;
            }
        }
        Ok(())
    }

    fn place(&self, file: usize, index: usize) -> (u64, u64) {
        let listed = &self.head.files[file];
        let block = self.head.block;
        (index as u64 * block, listed.len(index, block))
    }
}

fn finish(new: &New<'_>, blocks: usize, cancel: &Cancel) -> Result<Mended, ParityError> {
    let write = |e| ParityError::write(&new.path, e);
    new.file.sync_all().map_err(write)?;
    let mut hasher = sha2::Sha256::new();
    let mut reading = open_regular(&new.part).map_err(write)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        if cancel.is_cancelled() {
            return Err(ParityError::Cancelled);
        }
        match io::Read::read(&mut reading, &mut buffer).map_err(write)? {
            0 => break,
            len => hasher.update(&buffer[..len]),
        }
    }
    if Sha256::from(hasher) != new.listed.sha256 {
        return Err(ParityError::Unlike(new.path.clone()));
    }
    fs::rename(&new.part, &new.path).map_err(write)?;
    Ok(Mended {
        path: new.path.clone(),
        size: new.listed.size,
        blocks,
    })
}
