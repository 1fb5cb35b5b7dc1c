//! A bundle in several files, each no larger than its medium: whole frames are copied, and each file gets a head of its own
//! and an end of its own.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::ops::Range;

use camino::{Utf8Path, Utf8PathBuf};

use crate::Cancel;
use crate::bundle::carriage::{Carriage, Carried, Carry};
use crate::bundle::cut::Method;
use crate::bundle::decode::Stored as StoredRange;
use crate::bundle::error::PackError;
use crate::bundle::open::Bundle;
use crate::bundle::pack::Partial;
use crate::bundle::packer::{Packer, Stored};
use crate::bundle::pieces::PIECE;
use crate::bundle::seal::{Frame, Seal};
use crate::bundle::stream::{Head, TRAILER, ZEROS};

/// No medium is smaller, and each segment repeats the list of contents.
pub const SEGMENT_MIN: u64 = 16 << 20;
/// Seal and table beside their entries, and the frame that ends the tar.
const END: u64 = 256;
const PER_FRAME: u64 = 12;

/// A file of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub path: Utf8PathBuf,
    pub size: u64,
    /// How many files are in it.
    pub files: usize,
}

/// Frames that cannot be parted, since files go on from one to the next.
struct Row {
    frames: Range<usize>,
    files: Range<usize>,
    stored: u64,
}

/// Writes the segments of a whole bundle beside each other, `name` giving each its path by its number and how many there
/// are. They appear when all are complete and on disk, and not before.
pub fn split(
    bundle: &Bundle,
    size: u64,
    name: impl Fn(u32, u32) -> Utf8PathBuf,
    cancel: &Cancel,
) -> Result<Vec<Segment>, PackError> {
    let segments = share_out(bundle, size)?;
    let of = u32::try_from(segments.len()).map_err(|_| PackError::Excess("too many segments"))?;
    let first: Vec<usize> = segments.iter().map(|rows| rows.files.start).collect();
    let paths: Vec<Utf8PathBuf> = (1..=of).map(|n| name(n, of)).collect();
    let mut written = Vec::new();
    for ((n, row), path) in (1..).zip(&segments).zip(&paths) {
        let carriage = Carriage::Segment {
            n,
            first: first.clone(),
        };
        written.push(write(bundle, row, carriage, path, cancel)?);
    }
    let mut done = Vec::new();
    for ((row, path), (partial, size)) in segments.iter().zip(&paths).zip(written) {
        partial
            .publish()
            .map_err(|source| PackError::write(path, source))?;
        done.push(Segment {
            path: path.clone(),
            size,
            files: row.files.len(),
        });
    }
    Ok(done)
}

/// Which frames go into which segment: as many as fit, in their order.
fn share_out(bundle: &Bundle, size: u64) -> Result<Vec<Row>, PackError> {
    // The list of all members is at most as long as that of the longest segment.
    let carry = carry(
        bundle,
        Carriage::Segment {
            n: 1,
            first: vec![0; bundle.members.len().min(1 << 10)],
        },
        0..bundle.members.len(),
    );
    let head = zstd::zstd_safe::compress_bound(head(bundle, carry).len()) as u64;
    let mut segments: Vec<Row> = Vec::new();
    for row in rows(bundle) {
        let cost = |row: &Row| row.stored + PER_FRAME * row.frames.len() as u64;
        if head + END + cost(&row) > size {
            let files = &bundle.contents().files;
            let file = row.files.clone().max_by_key(|file| files[*file].size);
            return Err(PackError::Segment {
                path: file.map_or_else(Utf8PathBuf::new, |file| files[file].path.clone()),
                need: head + END + cost(&row),
                size,
            });
        }
        match segments.last_mut() {
            Some(last) if head + END + cost(last) + cost(&row) <= size => {
                last.frames.end = row.frames.end;
                last.files.end = row.files.end;
                last.stored += row.stored;
            }
            _ => segments.push(row),
        }
    }
    Ok(segments)
}

fn rows(bundle: &Bundle) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (index, frame) in bundle.frames.iter().enumerate().skip(1) {
        let files = bundle.layout.files(&frame.content);
        let joined = index > 1 && bundle.layout.across(frame.content.start).is_some();
        match rows.last_mut() {
            // What holds no file only ends the tar.
            Some(row) if joined || files.is_empty() => {
                row.frames.end = index + 1;
                row.files.end = row.files.end.max(files.end);
                row.stored += frame.stored_len();
            }
            _ => rows.push(Row {
                frames: index..index + 1,
                files,
                stored: frame.stored_len(),
            }),
        }
    }
    rows
}

fn carry(bundle: &Bundle, carriage: Carriage, files: Range<usize>) -> Vec<u8> {
    Carry {
        contents: bundle.digest(),
        carriage,
        members: files.map(|index| Carried { index, patch: None }).collect(),
    }
    .to_bytes()
}

fn head(bundle: &Bundle, carriage: Vec<u8>) -> Vec<u8> {
    Head {
        contents: bundle.contents_bytes().to_vec(),
        carriage: Some(carriage),
        signature: bundle.signature().map(<[u8]>::to_vec),
    }
    .to_bytes()
}

fn write<'a>(
    bundle: &Bundle,
    row: &Row,
    carriage: Carriage,
    path: &'a Utf8Path,
    cancel: &Cancel,
) -> Result<(Partial<'a>, u64), PackError> {
    let failed = |source| PackError::write(path, source);
    let partial = Partial::beside(path).map_err(failed)?;
    let mut to = Copy {
        out: BufWriter::new(&partial.file),
        seal: Seal::new(),
        size: 0,
    };
    let head = head(bundle, carry(bundle, carriage, row.files.clone()));
    to.made(&head).map_err(failed)?;
    for frame in &bundle.frames[row.frames.clone()] {
        if cancel.is_cancelled() {
            return Err(PackError::Cancelled);
        }
        let from = StoredRange::new(bundle, frame.stored.clone());
        to.copied(frame, from).map_err(failed)?;
    }
    if row.frames.end < bundle.frames.len() {
        let trailer = usize::try_from(TRAILER).unwrap_or_default();
        to.made(&ZEROS[..trailer]).map_err(failed)?;
    }
    let size = to.finish().map_err(failed)?;
    Ok((partial, size))
}

/// A file that frames are copied into.
struct Copy<'a> {
    out: BufWriter<&'a File>,
    seal: Seal,
    size: u64,
}

impl Copy<'_> {
    fn made(&mut self, content: &[u8]) -> io::Result<()> {
        let Stored::Here(bytes) = Packer::new()?.pack(Method::Compress, content)? else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        self.out.write_all(&bytes)?;
        self.size += bytes.len() as u64;
        let checksum = crc32fast::hash(&bytes);
        self.seal
            .log(bytes.len() as u64, content.len() as u64, checksum)
    }

    /// What is copied is what was packed, or nothing is.
    fn copied(&mut self, frame: &Frame, mut from: impl Read) -> io::Result<()> {
        let mut checksum = crc32fast::Hasher::new();
        let mut chunk = vec![0; PIECE];
        loop {
            let len = from.read(&mut chunk)?;
            if len == 0 {
                break;
            }
            checksum.update(&chunk[..len]);
            self.out.write_all(&chunk[..len])?;
        }
        if checksum.finalize() != frame.checksum {
            return Err(io::Error::other("what was packed reads back otherwise"));
        }
        self.size += frame.stored_len();
        self.seal
            .log(frame.stored_len(), frame.content_len(), frame.checksum)
    }

    fn finish(mut self) -> io::Result<u64> {
        let end = self.seal.finish()?;
        self.out.write_all(&end)?;
        self.out.flush()?;
        Ok(self.size + end.len() as u64)
    }
}
