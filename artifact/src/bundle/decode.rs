//! One frame: its stored bytes are checked against the seal before anything is decoded from them.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::bundle::cut::FRAME;
use crate::bundle::error::BundleError;
use crate::bundle::frame::{self, HEADER_MAX, WINDOW_LOG_MAX};
use crate::bundle::open::Bundle;
use crate::bundle::seal::Frame;
use crate::bundle::stream::TRAILER;
use crate::bundle::walk::Stop;

/// Frames with more content are decoded as a stream.
pub(super) const LARGE: u64 = FRAME + TRAILER;
const CHUNK: usize = 1 << 20;

/// Why a frame gave nothing, or not all.
pub(super) enum Undecoded {
    /// It changed since it was written.
    Damaged,
    /// It was written so, against the format.
    Odd(&'static str),
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
        if let Some(why) = frame::refused(stored) {
            return Err(Undecoded::Odd(why));
        }
        if !frame::is_one(stored) {
            return Err(Undecoded::Odd(frame::NOT_ALONE));
        }
        let undecodable = |_| Undecoded::Odd(frame::CONTENT);
        let zstd = match zstd {
            Some(zstd) => zstd,
            None => zstd.insert(zstd::bulk::Decompressor::new().map_err(undecodable)?),
        };
        content.clear();
        content.reserve_exact(to_usize(frame.content_len()));
        let len = zstd.decompress_to_buffer(stored, content);
        if !len.is_ok_and(|len| len as u64 == frame.content_len()) {
            return Err(Undecoded::Odd(frame::CONTENT));
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
        let start = &mut chunk[..to_usize(frame.stored_len()).min(HEADER_MAX)];
        read_at(bundle, start, frame.stored.start)?;
        if let Some(why) = frame::refused(start) {
            return Err(Undecoded::Odd(why));
        }
        let undecodable = |_| Undecoded::Odd(frame::CONTENT);
        let stored = Stored::new(bundle, frame.stored.clone());
        let mut decoder = zstd::Decoder::new(stored)
            .map_err(undecodable)?
            .single_frame();
        decoder
            .window_log_max(WINDOW_LOG_MAX)
            .map_err(undecodable)?;
        let mut left = frame.content_len();
        loop {
            let len = decoder.read(chunk).map_err(undecodable)?;
            if len == 0 && left == 0 {
                break;
            }
            left = match left.checked_sub(len as u64) {
                Some(left) if len > 0 => left,
                _ => return Err(Undecoded::Odd(frame::CONTENT)),
            };
            feed(&chunk[..len])?;
        }
        let rest = decoder.finish();
        if rest.buffer().is_empty() && rest.get_ref().is_empty() {
            Ok(())
        } else {
            Err(Undecoded::Odd(frame::NOT_ALONE))
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
    bundle
        .file
        .read_exact_at(bytes, at)
        .map_err(|source| Stop::Failed(BundleError::read(&bundle.path, source)))
}

/// A range of the file.
pub(super) struct Stored<'a> {
    file: &'a File,
    at: Range<u64>,
}

impl<'a> Stored<'a> {
    pub(super) fn new(bundle: &'a Bundle, at: Range<u64>) -> Self {
        Self {
            file: &bundle.file,
            at,
        }
    }

    fn is_empty(&self) -> bool {
        self.at.is_empty()
    }
}

impl Read for Stored<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = to_usize(self.at.end - self.at.start).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..len], self.at.start)?;
        self.at.start += read as u64;
        Ok(read)
    }
}

fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
