//! The file that is written, with the seal noting each frame of it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;

use camino::Utf8Path;

use crate::bundle::compress::LEVEL;
use crate::bundle::cut::Cut;
use crate::bundle::error::PackError;
use crate::bundle::seal::Seal;
use crate::bundle::source::{Links, Source};

/// Larger windows are refused by a plain `tar --zstd`.
const LONG_WINDOW_LOG: u32 = 27;
/// More threads add memory to a long frame, and no speed.
const LONG_THREADS_MAX: u32 = 8;
const WRITE_BUFFER: usize = 1 << 20;

/// The file, and the seal that notes each frame written to it.
pub(super) struct Sealed<'a> {
    file: BufWriter<&'a mut File>,
    seal: Seal,
    size: u64,
    output: &'a Utf8Path,
    long_threads: u32,
}

impl<'a> Sealed<'a> {
    pub(super) fn new(file: &'a mut File, output: &'a Utf8Path, jobs: NonZeroUsize) -> Self {
        Self {
            file: BufWriter::with_capacity(WRITE_BUFFER, file),
            seal: Seal::new(),
            size: 0,
            output,
            long_threads: u32::try_from(jobs.get())
                .unwrap_or(u32::MAX)
                .min(LONG_THREADS_MAX),
        }
    }

    /// A frame that was compressed in memory.
    pub(super) fn frame(&mut self, stored: &[u8], content: u64) -> Result<(), PackError> {
        let len = stored.len() as u64;
        self.file
            .write_all(stored)
            .and_then(|()| self.seal.log(len, content, crc32fast::hash(stored)))
            .map_err(|source| PackError::write(self.output, source))?;
        self.size += len;
        Ok(())
    }

    /// A frame that is compressed straight into the file.
    pub(super) fn long_frame(
        &mut self,
        source: &Source<'_>,
        cut: &Cut,
        links: Links,
    ) -> Result<(), PackError> {
        let error = |source| PackError::write(self.output, source);
        let metered = Metered {
            file: &mut self.file,
            checksum: crc32fast::Hasher::new(),
            len: 0,
        };
        let mut encoder = long_encoder(metered, cut.len(), self.long_threads).map_err(error)?;
        source.pour(cut.content.clone(), links, |bytes| {
            encoder.write_all(bytes).map_err(error)
        })?;
        let Metered { checksum, len, .. } = encoder.finish().map_err(error)?;
        self.seal
            .log(len, cut.len(), checksum.finalize())
            .map_err(error)?;
        self.size += len;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<u64, PackError> {
        let error = |source| PackError::write(self.output, source);
        let end = self.seal.finish().map_err(error)?;
        self.file
            .write_all(&end)
            .and_then(|()| self.file.flush())
            .map_err(error)?;
        Ok(self.size + end.len() as u64)
    }
}

fn long_encoder<W: Write>(
    writer: W,
    len: u64,
    threads: u32,
) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(writer, LEVEL)?;
    encoder.long_distance_matching(true)?;
    encoder.window_log(LONG_WINDOW_LOG)?;
    // Always with zstd's own threads, were it one: what comes out depends on that, but not on how many.
    encoder.multithread(threads)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(len))?;
    Ok(encoder)
}

/// Counts and sums what passes into the file.
struct Metered<'a, 'f> {
    file: &'a mut BufWriter<&'f mut File>,
    checksum: crc32fast::Hasher,
    len: u64,
}

impl Write for Metered<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.checksum.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
