//! The tree as a stream: any range of it, read from the files and checked against their entries on the way.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use camino::Utf8PathBuf;
use event::Progress;
use sha2::Digest;

use crate::bundle::error::{Change, PackError};

use crate::bundle::members::Member;
use crate::bundle::patches::Patches;
use crate::bundle::stream::{Layout, Part, ZEROS, header, span};
use crate::{Cancel, Sha256, Tree};

const CHUNK: usize = 256 << 10;

/// Where packing reads from.
pub(crate) struct Source<'a> {
    pub tree: &'a Tree,
    pub members: &'a [Member],
    pub patches: Option<&'a Patches>,
    pub layout: &'a Layout,
    pub progress: &'a Progress,
    pub cancel: &'a Cancel,
    /// Nobody waits for what is poured any more.
    pub abandoned: AtomicBool,
}

/// A file in the middle of being read.
pub(crate) struct Reading {
    file: File,
    hasher: sha2::Sha256,
}

/// Hands a file that spans frames from one frame to the next.
#[derive(Default)]
pub(crate) struct Links {
    pub before: Option<Receiver<Reading>>,
    pub after: Option<SyncSender<Reading>>,
}

impl Source<'_> {
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Puts a range of the stream into `sink`.
    pub(crate) fn pour(
        &self,
        range: Range<u64>,
        links: Links,
        mut sink: impl FnMut(&[u8]) -> Result<(), PackError>,
    ) -> Result<(), PackError> {
        let mut reading = match links.before {
            // The frame before this one failed, and says why.
            Some(before) => Some(before.recv().map_err(|_| PackError::Cancelled)?),
            None => None,
        };
        let mut buffer = vec![0; CHUNK];
        for piece in self.layout.pieces(range) {
            match piece.part {
                Part::Header { file, from } => {
                    let entry = &self.members[file];
                    if piece.first {
                        reading = Some(self.open(entry)?);
                    }
                    let header = header(entry.path.as_str(), entry.size, entry.mode);
                    sink(&header[span(from, piece.len)])?;
                }
                Part::Content { file } => {
                    let Some(reading) = &mut reading else {
                        return Err(PackError::Cancelled);
                    };
                    self.read(
                        &self.members[file],
                        reading,
                        piece.len,
                        &mut buffer,
                        &mut sink,
                    )?;
                }
                Part::Padding { .. } | Part::Trailer => sink(&ZEROS[span(0, piece.len)])?,
            }
            if let Some(file) = piece.completes()
                && let Some(done) = reading.take()
            {
                compare(&self.members[file], done)?;
            }
        }
        if let (Some(reading), Some(after)) = (reading, links.after) {
            // Nobody takes it when the next frame was given up already.
            let _ = after.send(reading);
        }
        Ok(())
    }

    fn at(&self, member: &Member) -> Utf8PathBuf {
        match self.patches {
            Some(patches) if member.patch.is_some() => patches.at(member.file),
            _ => self.tree.path(&member.path),
        }
    }

    fn open(&self, entry: &Member) -> Result<Reading, PackError> {
        let path = self.at(entry);
        let read = |source| PackError::Read {
            path: path.clone(),
            source,
        };
        let meta = std::fs::symlink_metadata(&path).map_err(read)?;
        if !meta.is_file() {
            return Err(changed(entry, Change::Kind));
        }
        if meta.len() != entry.size {
            return Err(changed(
                entry,
                Change::Size {
                    listed: entry.size,
                    found: meta.len(),
                },
            ));
        }
        Ok(Reading {
            file: File::open(&path).map_err(read)?,
            hasher: sha2::Sha256::new(),
        })
    }

    fn read(
        &self,
        entry: &Member,
        reading: &mut Reading,
        len: u64,
        buffer: &mut [u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), PackError>,
    ) -> Result<(), PackError> {
        let mut left = len;
        while left > 0 {
            if self.cancel.is_cancelled() || self.abandoned.load(Ordering::Relaxed) {
                return Err(PackError::Cancelled);
            }
            let chunk = &mut buffer[..usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)];
            reading
                .file
                .read_exact(chunk)
                .map_err(|source| match source.kind() {
                    io::ErrorKind::UnexpectedEof => changed(entry, Change::Content),
                    _ => PackError::Read {
                        path: self.at(entry),
                        source,
                    },
                })?;
            reading.hasher.update(&chunk);
            sink(chunk)?;
            left -= chunk.len() as u64;
            if entry.patch.is_none() {
                self.progress.add(chunk.len() as u64);
            }
        }
        Ok(())
    }
}

fn compare(entry: &Member, done: Reading) -> Result<(), PackError> {
    if Sha256::from(done.hasher) == entry.sha256 {
        Ok(())
    } else {
        Err(changed(entry, Change::Content))
    }
}

fn changed(entry: &Member, how: Change) -> PackError {
    PackError::Changed {
        path: entry.path.clone(),
        how,
    }
}
