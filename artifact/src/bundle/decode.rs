//! One frame: its stored bytes are checked against the seal before anything is decoded from them.

use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use crate::bundle::cut::FRAME;
use crate::bundle::error::BundleError;
use crate::bundle::open::Bundle;
use crate::bundle::seal::Frame;
use crate::bundle::stream::TRAILER;
use crate::bundle::walk::Stop;

/// Frames with more content are decoded as a stream.
pub(super) const LARGE: u64 = FRAME + TRAILER;
const WINDOW_LOG_MAX: u32 = 27;
const CHUNK: usize = 1 << 20;

/// Why a frame gave nothing, or not all.
pub(super) enum Undecoded {
    Damaged,
    Stopped(Stop),
}

impl From<Stop> for Undecoded {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

/// Keeps its buffers from frame to frame.
#[derive(Default)]
pub(super) struct Decoder {
    stored: Vec<u8>,
    content: Vec<u8>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Decoder {
    /// Gives the content of a frame, in one or many parts.
    pub(super) fn decode(
        &mut self,
        bundle: &Bundle,
        frame: &Frame,
        feed: impl FnMut(&[u8]) -> Result<(), Stop>,
    ) -> Result<(), Undecoded> {
        if frame.content_len() > LARGE {
            self.large(bundle, frame, feed)
        } else {
            self.ordinary(bundle, frame, feed)
        }
    }

    fn ordinary(
        &mut self,
        bundle: &Bundle,
        frame: &Frame,
        mut feed: impl FnMut(&[u8]) -> Result<(), Stop>,
    ) -> Result<(), Undecoded> {
        let Self {
            stored,
            content,
            zstd,
        } = self;
        stored.resize(to_usize(frame.stored_len()), 0);
        read_at(bundle, stored, frame.stored.start)?;
        if crc32fast::hash(stored) != frame.checksum {
            return Err(Undecoded::Damaged);
        }
        let zstd = match zstd {
            Some(zstd) => zstd,
            None => zstd.insert(zstd::bulk::Decompressor::new().map_err(|_| Undecoded::Damaged)?),
        };
        content.clear();
        content.reserve_exact(to_usize(frame.content_len()));
        let len = zstd.decompress_to_buffer(stored, content);
        if !len.is_ok_and(|len| len as u64 == frame.content_len()) {
            return Err(Undecoded::Damaged);
        }
        Ok(feed(content)?)
    }

    fn large(
        &mut self,
        bundle: &Bundle,
        frame: &Frame,
        mut feed: impl FnMut(&[u8]) -> Result<(), Stop>,
    ) -> Result<(), Undecoded> {
        self.content.resize(CHUNK, 0);
        let chunk = &mut self.content;
        if checksum(bundle, frame, chunk)? != frame.checksum {
            return Err(Undecoded::Damaged);
        }
        let stored = Stored {
            bundle,
            at: frame.stored.start,
            end: frame.stored.end,
        };
        let mut decoder = zstd::Decoder::new(stored).map_err(|_| Undecoded::Damaged)?;
        decoder
            .window_log_max(WINDOW_LOG_MAX)
            .map_err(|_| Undecoded::Damaged)?;
        let mut left = frame.content_len();
        loop {
            let len = decoder.read(chunk).map_err(|_| Undecoded::Damaged)?;
            if len == 0 && left == 0 {
                return Ok(());
            }
            left = match left.checked_sub(len as u64) {
                Some(left) if len > 0 => left,
                _ => return Err(Undecoded::Damaged),
            };
            feed(&chunk[..len])?;
        }
    }
}

fn checksum(bundle: &Bundle, frame: &Frame, chunk: &mut [u8]) -> Result<u32, Stop> {
    let mut checksum = crc32fast::Hasher::new();
    let mut at = frame.stored.start;
    while at < frame.stored.end {
        let len = to_usize(frame.stored.end - at).min(chunk.len());
        read_at(bundle, &mut chunk[..len], at)?;
        checksum.update(&chunk[..len]);
        at += len as u64;
    }
    Ok(checksum.finalize())
}

fn read_at(bundle: &Bundle, bytes: &mut [u8], at: u64) -> Result<(), Stop> {
    bundle.file.read_exact_at(bytes, at).map_err(|source| {
        Stop::Failed(BundleError::Read {
            path: bundle.path.clone(),
            source,
        })
    })
}

/// The stored bytes of a frame.
struct Stored<'a> {
    bundle: &'a Bundle,
    at: u64,
    end: u64,
}

impl Read for Stored<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = to_usize(self.end - self.at).min(buffer.len());
        let read = self.bundle.file.read_at(&mut buffer[..len], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
