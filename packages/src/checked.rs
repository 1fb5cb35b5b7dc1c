//! Bytes that are counted and hashed while they are read.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// What a signed index says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    pub size: u64,
    /// In hex.
    pub sha256: String,
}

/// A reader that knows in the end what came through it.
pub struct Checked<R> {
    inner: R,
    size: u64,
    hash: Sha256,
}

impl<R: Read> Checked<R> {
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            size: 0,
            hash: Sha256::new(),
        }
    }

    /// Reads what is left, and says what all of it was.
    pub fn finish(mut self) -> io::Result<Checksum> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(Checksum {
            size: self.size,
            sha256: hex::encode(self.hash.finalize()),
        })
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.size += read as u64;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}
