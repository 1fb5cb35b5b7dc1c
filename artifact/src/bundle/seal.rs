//! What follows the data of a bundle: the seal with a checksum of every frame as stored, then the seek table.
//!
//! The table is zeekstd's, in the zstd seekable format. The seal is ours: a zstd frame can be changed in places that
//! decode alike (unused bits, a larger window), so its stored bytes need a checksum of their own if every change of
//! a bundle is to be noticed.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use zeekstd::{BytesWrapper, SEEKABLE_MAGIC_NUMBER, SeekTable};

/// A skippable frame, of the sixteen numbers that zstd leaves to users.
const SEAL_MAGIC: u32 = 0x184D_2A5B;
const SEAL_NAME: &[u8; 7] = b"kubexm\0";
const SEAL_VERSION: u8 = 1;
const FOOT: u64 = 9;
const TABLE_FIXED: u64 = 8 + FOOT;
const TABLE_ENTRY: u64 = 8;
const SEAL_FIXED: u64 = 8 + 8 + 4 + 4 + 4;
/// Of the notes in a seal.
const NOTES_MAX: u64 = 1 << 20;
const NOTE_FIXED: usize = 6;
/// A note with this bit in its tag must be understood by whoever reads the bundle.
const CRITICAL: u16 = 1 << 15;
/// Some 4 TiB of data; a table that claims more is not read into memory.
pub(crate) const FRAMES_MAX: u32 = 1 << 20;
/// Frames cost memory and time by themselves, so that there may only be as many as the content is worth.
const FEW_FRAMES: u64 = 4096;
const CONTENT_PER_FRAME: u64 = 16 << 10;
/// What the seekable format allows for one frame.
pub(crate) const CONTENT_MAX: u64 = 1 << 30;

/// A data frame of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Where it lies in the file.
    pub stored: Range<u64>,
    /// What part of the tar stream it holds.
    pub content: Range<u64>,
    /// CRC-32 of its stored bytes.
    pub checksum: u32,
}

impl Frame {
    pub(crate) fn stored_len(&self) -> u64 {
        self.stored.end - self.stored.start
    }

    pub(crate) fn content_len(&self) -> u64 {
        self.content.end - self.content.start
    }
}

/// Why the end of a file is not that of a whole bundle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error("it does not end with a seek table: cut short, or something was appended")]
    NoTable,
    #[error("the seek table at its end has changed")]
    Table,
    #[error("the checksums at its end have changed")]
    Seal,
    #[error("it is a zstd file without the seal of kubexm")]
    Unsealed,
    /// Nothing changed since it was written, and yet it is nothing that kubexm writes.
    #[error("its seek table lists frames that no bundle has")]
    Impossible,
    #[error("its seal has version {0}")]
    Newer(u8),
    #[error("its seal has a note {0:#06x} that must be understood")]
    Requires(u16),
    #[error(transparent)]
    Read(io::Error),
}

/// Notes every frame that is written.
pub(crate) struct Seal {
    table: SeekTable,
    checksums: Vec<u32>,
}

impl Seal {
    pub(crate) fn new() -> Self {
        Self {
            table: SeekTable::new(),
            checksums: Vec::new(),
        }
    }

    pub(crate) fn log(&mut self, stored: u64, content: u64, checksum: u32) -> io::Result<()> {
        log(&mut self.table, stored, content)?;
        self.checksums.push(checksum);
        Ok(())
    }

    /// The seal and the seek table, as they follow the last frame.
    pub(crate) fn finish(mut self) -> io::Result<Vec<u8>> {
        let len = SEAL_FIXED + 4 * self.checksums.len() as u64;
        log(&mut self.table, len, 0)?;
        let mut table = Vec::new();
        io::copy(&mut self.table.into_serializer(), &mut table)?;

        let payload = u32::try_from(len - 8).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        bytes.extend(SEAL_MAGIC.to_le_bytes());
        bytes.extend(payload.to_le_bytes());
        bytes.extend(SEAL_NAME);
        bytes.push(SEAL_VERSION);
        bytes.extend(
            self.checksums
                .iter()
                .flat_map(|checksum| checksum.to_le_bytes()),
        );
        // No notes so far.
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(crc32fast::hash(&table).to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes.extend(table);
        Ok(bytes)
    }
}

fn log(table: &mut SeekTable, stored: u64, content: u64) -> io::Result<()> {
    let short = |len| u32::try_from(len).map_err(io::Error::other);
    table
        .log_frame(short(stored)?, short(content)?)
        .map_err(io::Error::other)
}

/// The data frames of a bundle of this length.
pub(crate) fn read(file: &File, len: u64) -> Result<Vec<Frame>, SealError> {
    let foot = read_at(file, len.checked_sub(FOOT).ok_or(SealError::NoTable)?, FOOT)?;
    if le32(&foot, 5) != SEEKABLE_MAGIC_NUMBER {
        return Err(SealError::NoTable);
    }
    let count = le32(&foot, 0);
    if foot[4] != 0 || count == 0 || count > FRAMES_MAX {
        return Err(SealError::Table);
    }
    let table_len = TABLE_FIXED + TABLE_ENTRY * u64::from(count);
    let table_at = len.checked_sub(table_len).ok_or(SealError::NoTable)?;
    let table_bytes = read_at(file, table_at, table_len)?;
    let table = SeekTable::from_seekable(&mut BytesWrapper::new(&table_bytes))
        .map_err(|_| SealError::Table)?;

    let last = range(&table, count - 1).ok_or(SealError::Table)?;
    if last.stored.end != table_at || !last.content.is_empty() {
        return Err(SealError::Table);
    }
    let checksums = read_seal(file, &last.stored, count - 1, &table_bytes)?;
    if u64::from(count) > FEW_FRAMES + last.content.end / CONTENT_PER_FRAME {
        return Err(SealError::Impossible);
    }
    (0..count - 1)
        .zip(checksums)
        .map(|(index, checksum)| {
            let frame = Frame {
                checksum,
                ..range(&table, index).ok_or(SealError::Impossible)?
            };
            plausible(&frame)
                .then_some(frame)
                .ok_or(SealError::Impossible)
        })
        .collect()
}

fn read_seal(
    file: &File,
    at: &Range<u64>,
    frames: u32,
    table: &[u8],
) -> Result<Vec<u32>, SealError> {
    let len = at.end - at.start;
    if len < SEAL_FIXED {
        return Err(SealError::Unsealed);
    }
    let start = read_at(file, at.start, 16)?;
    let payload = u64::from(le32(&start, 4));
    if le32(&start, 0) != SEAL_MAGIC || start[8..15] != *SEAL_NAME || payload != len - 8 {
        return Err(SealError::Unsealed);
    }
    match start[15] {
        SEAL_VERSION => {}
        0 => return Err(SealError::Unsealed),
        newer => return Err(SealError::Newer(newer)),
    }
    let bare = SEAL_FIXED + 4 * u64::from(frames);
    if !(bare..=bare + NOTES_MAX).contains(&len) {
        return Err(SealError::Seal);
    }
    let seal = read_at(file, at.start, len)?;
    let own = seal.len() - 4;
    if le32(&seal, own) != crc32fast::hash(&seal[..own]) {
        return Err(SealError::Seal);
    }
    if le32(&seal, own - 4) != crc32fast::hash(table) {
        return Err(SealError::Table);
    }
    let checksums_end = 16 + 4 * frames as usize;
    let notes = &seal[checksums_end + 4..own - 4];
    if le32(&seal, checksums_end) as usize != notes.len() {
        return Err(SealError::Seal);
    }
    read_notes(notes)?;
    Ok((0..frames as usize)
        .map(|index| le32(&seal, 16 + 4 * index))
        .collect())
}

/// None is known so far: those that may be passed over are.
fn read_notes(mut notes: &[u8]) -> Result<(), SealError> {
    while !notes.is_empty() {
        let (head, rest) = notes.split_at_checked(NOTE_FIXED).ok_or(SealError::Seal)?;
        let tag = u16::from_le_bytes([head[0], head[1]]);
        if tag & CRITICAL != 0 {
            return Err(SealError::Requires(tag));
        }
        let len = usize::try_from(le32(head, 2)).map_err(|_| SealError::Seal)?;
        notes = rest.split_at_checked(len).ok_or(SealError::Seal)?.1;
    }
    Ok(())
}

/// Bounds what reading a frame can cost: no frame is larger than incompressible data would make it.
fn plausible(frame: &Frame) -> bool {
    let content = frame.content_len();
    let bound = usize::try_from(content).map(zstd::zstd_safe::compress_bound);
    (1..=CONTENT_MAX).contains(&content)
        && bound.is_ok_and(|bound| frame.stored_len() <= bound as u64)
}

fn range(table: &SeekTable, index: u32) -> Option<Frame> {
    Some(Frame {
        stored: table.frame_start_comp(index).ok()?..table.frame_end_comp(index).ok()?,
        content: table.frame_start_decomp(index).ok()?..table.frame_end_decomp(index).ok()?,
        checksum: 0,
    })
}

fn read_at(file: &File, at: u64, len: u64) -> Result<Vec<u8>, SealError> {
    let mut bytes = vec![0; usize::try_from(len).map_err(|_| SealError::Table)?];
    file.read_exact_at(&mut bytes, at)
        .map_err(SealError::Read)?;
    Ok(bytes)
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
