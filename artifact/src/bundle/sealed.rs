use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::mpsc::SyncSender;

use camino::Utf8Path;

use crate::bundle::error::PackError;
use crate::bundle::packer::{Aside, Stored};
use crate::bundle::pieces::{PIECE, write_pieces};
use crate::bundle::seal::Seal;

/// So much is brought to the disk at a time while what follows is compressed, lest all of it be waited for at the end.
const SYNC_EVERY: u64 = 64 << 20;

/// The file that is written, with the seal noting each frame of it.
pub(super) struct Sealed<'a> {
    file: BufWriter<&'a File>,
    /// Asks for what is written so far to be brought to the disk.
    sync: SyncSender<()>,
    unsynced: u64,
    aside: &'a Aside,
    output: &'a Utf8Path,
    seal: Seal,
    size: u64,
}

impl<'a> Sealed<'a> {
    pub(super) fn new(
        file: &'a File,
        sync: SyncSender<()>,
        aside: &'a Aside,
        output: &'a Utf8Path,
    ) -> Self {
        let file = BufWriter::with_capacity(PIECE, file);
        Self {
            file,
            sync,
            unsynced: 0,
            aside,
            output,
            seal: Seal::new(),
            size: 0,
        }
    }

    pub(super) fn frame(&mut self, stored: Stored, content: u64) -> Result<(), PackError> {
        self.put(stored, content)
            .map_err(|source| PackError::write(self.output, source))
    }

    fn put(&mut self, stored: Stored, content: u64) -> io::Result<()> {
        let (len, checksum) = match stored {
            Stored::Here(bytes) => {
                write_pieces(&mut self.file, &bytes)?;
                (bytes.len() as u64, crc32fast::hash(&bytes))
            }
            Stored::Aside { at, checksum } => (
                io::copy(&mut self.aside.read(at), &mut self.file)?,
                checksum,
            ),
        };
        self.size += len;
        self.unsynced += len;
        // While the last part is still on its way, this one can wait.
        if self.unsynced > SYNC_EVERY && self.sync.try_send(()).is_ok() {
            self.unsynced = 0;
        }
        self.seal.log(len, content, checksum)
    }

    /// Adds what follows the frames; gives the length of the whole.
    pub(super) fn finish(mut self) -> Result<u64, PackError> {
        let end = self.seal.finish().and_then(|end| {
            self.file.write_all(&end)?;
            self.file.flush()?;
            Ok(end.len() as u64)
        });
        Ok(self.size + end.map_err(|source| PackError::write(self.output, source))?)
    }
}
