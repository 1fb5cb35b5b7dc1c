//! Blocks are too large to have all of them in memory: they are worked on in slices, as if each slice were a block.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Of each block so much at a time; 4096 blocks of data and as many of parity are 256 MiB then.
pub(super) const SLICE: usize = 32 << 10;

/// The offsets of slices within a block.
pub(super) fn slices(block: u64) -> impl Iterator<Item = u64> {
    (0..block).step_by(SLICE)
}

/// A slice of a block that has `len` bytes and is zeros from there on.
pub(super) fn read(file: &File, start: u64, len: u64, at: u64, into: &mut [u8]) -> io::Result<()> {
    let there = usize::try_from(len.saturating_sub(at)).unwrap_or(usize::MAX);
    let (content, rest) = into.split_at_mut(there.min(SLICE));
    rest.fill(0);
    file.read_exact_at(content, start + at)
}

/// Writes of a slice what belongs to a block of `len` bytes.
pub(super) fn write(file: &File, start: u64, len: u64, at: u64, slice: &[u8]) -> io::Result<()> {
    let there = usize::try_from(len.saturating_sub(at)).unwrap_or(usize::MAX);
    file.write_all_at(&slice[..there.min(slice.len())], start + at)
}
