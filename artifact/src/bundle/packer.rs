//! How a frame is compressed, and where it stays until it is written.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use camino::Utf8Path;
use zstd::zstd_safe::CParameter;

use crate::bundle::cut::{Cut, Method};
use crate::bundle::error::PackError;
use crate::bundle::pack::folder;
use crate::bundle::pieces::PIECE;
use crate::bundle::source::{Links, Source};

const LEVEL: i32 = 3;
/// For what is compressed already: zstd finds nothing, and does so fast.
const WRAP_LEVEL: i32 = -5;
/// With long-distance matching, 426 MB of kubectl and the like came to 87.5 MB in 1.5 s at level 1, and to 84.1 MB in
/// 2.7 s at level 3; without, to 117.7 MB in 2.0 s at level 3. In zstd's own threads each level loses a sixth of that.
const LONG_LEVEL: i32 = 1;
/// Larger windows are refused by a plain `tar --zstd`.
const LONG_WINDOW_LOG: u32 = 27;

/// A frame as it will be written.
pub(super) enum Stored {
    Here(Vec<u8>),
    Aside { at: Range<u64>, checksum: u32 },
}

/// Compresses whole frames in memory.
pub(super) struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(zstd::bulk::Compressor::new(LEVEL)?))
    }

    pub(super) fn pack(&mut self, method: Method, content: &[u8]) -> io::Result<Stored> {
        let level = if method == Method::Wrap {
            WRAP_LEVEL
        } else {
            LEVEL
        };
        self.0.set_compression_level(level)?;
        self.0.set_parameter(CParameter::ChecksumFlag(true))?;
        self.0.compress(content).map(Stored::Here)
    }
}

/// A file without a name on the disk of the bundle, for frames that are too large to wait in memory.
pub(super) struct Aside(File);

impl Aside {
    pub(super) fn beside(output: &Utf8Path) -> io::Result<Self> {
        tempfile::tempfile_in(folder(output)).map(Self)
    }

    pub(super) fn read(&self, at: Range<u64>) -> impl Read {
        AsideRange { file: &self.0, at }
    }
}

struct AsideRange<'a> {
    file: &'a File,
    at: Range<u64>,
}

impl Read for AsideRange<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.at.end - self.at.start).unwrap_or(usize::MAX);
        let len = left.min(buffer.len());
        let read = self.file.read_at(&mut buffer[..len], self.at.start)?;
        self.at.start += read as u64;
        Ok(read)
    }
}

/// Compresses a long frame into the file aside.
pub(super) fn long_frame(
    source: &Source<'_>,
    cut: &Cut,
    links: Links,
    aside: &Aside,
    output: &Utf8Path,
) -> Result<Stored, PackError> {
    let write = |source| PackError::write(output, source);
    let mut file = &aside.0;
    let start = file.stream_position().map_err(write)?;
    let summed = Summed {
        file,
        checksum: crc32fast::Hasher::new(),
        end: start,
    };
    let mut encoder = long_encoder(summed, cut.len()).map_err(write)?;
    source.pour(cut.content.clone(), links, |bytes| {
        encoder.write_all(bytes).map_err(write)
    })?;
    let Summed { checksum, end, .. } = encoder.finish().map_err(write)?;
    Ok(Stored::Aside {
        at: start..end,
        checksum: checksum.finalize(),
    })
}

fn long_encoder<W: Write>(writer: W, len: u64) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(writer, LONG_LEVEL)?;
    encoder.long_distance_matching(true)?;
    encoder.window_log(LONG_WINDOW_LOG)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(len))?;
    Ok(encoder)
}

/// Sums what passes into the file.
struct Summed<'a> {
    file: &'a File,
    checksum: crc32fast::Hasher,
    end: u64,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(&bytes[..bytes.len().min(PIECE)])?;
        self.checksum.update(&bytes[..written]);
        self.end += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
