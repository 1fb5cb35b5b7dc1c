use std::io::{self, Write};

/// For more in one go, recent kernels look for larger pages; where memory is full of cache, as it is on any machine that
/// has run for long, they make them by moving others. That took longer than all the rest of unpacking.
pub(super) const PIECE: usize = 32 << 10;

/// Writes all of it, a piece at a time.
pub(super) fn write_pieces(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
    bytes
        .chunks(PIECE)
        .try_for_each(|piece| to.write_all(piece))
}
