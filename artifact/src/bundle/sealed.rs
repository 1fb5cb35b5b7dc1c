use std::fs::File;
use std::io::{self, BufWriter, Write};

use camino::Utf8Path;

use crate::bundle::error::PackError;
use crate::bundle::packer::{Aside, Stored};
use crate::bundle::seal::Seal;

const WRITE_BUFFER: usize = 1 << 20;

/// The file that is written, with the seal noting each frame of it.
pub(super) struct Sealed<'a> {
    file: BufWriter<&'a mut File>,
    aside: &'a Aside,
    output: &'a Utf8Path,
    seal: Seal,
    size: u64,
}

impl<'a> Sealed<'a> {
    pub(super) fn new(file: &'a mut File, aside: &'a Aside, output: &'a Utf8Path) -> Self {
        let file = BufWriter::with_capacity(WRITE_BUFFER, file);
        Self {
            file,
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
                self.file.write_all(&bytes)?;
                (bytes.len() as u64, crc32fast::hash(&bytes))
            }
            Stored::Aside { at, checksum } => (
                io::copy(&mut self.aside.read(at), &mut self.file)?,
                checksum,
            ),
        };
        self.size += len;
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
