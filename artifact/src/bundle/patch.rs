//! One file made from another: pieces of it, each compressed with the stretch of the other file before it that lies at
//! the same place. Where pieces and stretches lie follows from both sizes, so that a patch can say nothing of its own, and
//! memory is bounded whatever the sizes are.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use zstd::zstd_safe::{CCtx, CParameter, DCtx, compress_bound};

use crate::Cancel;
use crate::bundle::frame;

/// Of the file that is made.
const PIECE: u64 = 16 << 20;
/// Of the file that it is made from.
const STRETCH: u64 = 64 << 20;
/// What both together need.
const WINDOW_LOG: u32 = 27;
const LEVEL: i32 = 3;

/// A file, and how long it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sized<'a> {
    pub file: &'a File,
    pub size: u64,
}

/// Why a file could not be made from a patch.
#[derive(Debug)]
pub(super) enum Unmade<E> {
    /// The patch is none.
    Odd,
    Base(io::Error),
    Patch(io::Error),
    /// What waits on disk meanwhile.
    Scratch(io::Error),
    Sink(E),
}

impl<E> Unmade<Unmade<E>> {
    /// Of work within such work.
    pub(super) fn flatten(self) -> Unmade<E> {
        match self {
            Self::Odd => Unmade::Odd,
            Self::Base(error) | Self::Scratch(error) => Unmade::Scratch(error),
            Self::Patch(error) => Unmade::Patch(error),
            Self::Sink(error) => error,
        }
    }
}

/// The pieces of a file, each with the stretch of the base that goes before it.
fn pieces(base: u64, size: u64) -> impl Iterator<Item = (Range<u64>, usize)> {
    (0..size.div_ceil(PIECE)).map(move |number| {
        let (from, to) = (number * PIECE, ((number + 1) * PIECE).min(size));
        let middle = u128::from(from.midpoint(to)) * u128::from(base) / u128::from(size);
        let len = STRETCH.min(base);
        let start = u64::try_from(middle).unwrap_or(u64::MAX);
        let start = start.saturating_sub(len / 2).min(base - len);
        (start..start + len, to_usize(to - from))
    })
}

/// Writes the patch that makes `new` from `base`, and tells what `new` would take by itself, compressed in the same pieces;
/// none where it was cancelled.
pub(super) fn make(
    base: Sized<'_>,
    new: Sized<'_>,
    mut out: impl Write,
    cancel: &Cancel,
) -> io::Result<Option<u64>> {
    let mut alone = 0;
    let (mut stretch, mut piece) = (Vec::new(), Vec::new());
    let mut at = 0;
    for (range, len) in pieces(base.size, new.size) {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        read_at(base.file, range, &mut stretch)?;
        read_at(new.file, at..at + len as u64, &mut piece)?;
        at += len as u64;
        let stored = compress(&piece, Some(&stretch))?;
        alone += compress(&piece, None)?.len() as u64;
        let length = u32::try_from(stored.len()).map_err(io::Error::other)?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(&stored)?;
    }
    Ok(Some(alone))
}

/// Gives what the patch makes from `base`, piece by piece.
pub(super) fn apply<E>(
    base: Sized<'_>,
    size: u64,
    mut patch: impl Read,
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), Unmade<E>> {
    let (mut stretch, mut stored, mut piece) = (Vec::new(), Vec::new(), Vec::new());
    for (range, len) in pieces(base.size, size) {
        let mut length = [0; 4];
        fill(&mut patch, &mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > compress_bound(len) {
            return Err(Unmade::Odd);
        }
        stored.resize(length, 0);
        fill(&mut patch, &mut stored)?;
        if frame::refused(&stored).is_some() || !frame::is_one(&stored) {
            return Err(Unmade::Odd);
        }
        read_at(base.file, range, &mut stretch).map_err(Unmade::Base)?;
        piece.clear();
        piece.reserve_exact(len);
        let mut zstd = DCtx::try_create().ok_or(Unmade::Odd)?;
        zstd.ref_prefix(&stretch).map_err(|_| Unmade::Odd)?;
        match zstd.decompress(&mut piece, &stored) {
            Ok(made) if made == len => sink(&piece).map_err(Unmade::Sink)?,
            _ => return Err(Unmade::Odd),
        }
    }
    match patch.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Unmade::Odd),
        Err(error) => Err(Unmade::Patch(error)),
    }
}

fn compress(content: &[u8], before: Option<&[u8]>) -> io::Result<Vec<u8>> {
    let mut zstd = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
    let parameters = [
        CParameter::CompressionLevel(LEVEL),
        CParameter::ChecksumFlag(true),
        CParameter::WindowLog(WINDOW_LOG),
        CParameter::EnableLongDistanceMatching(true),
    ];
    for parameter in parameters {
        zstd.set_parameter(parameter).map_err(failed)?;
    }
    if let Some(before) = before {
        zstd.ref_prefix(before).map_err(failed)?;
    }
    let mut stored = Vec::with_capacity(compress_bound(content.len()));
    zstd.compress2(&mut stored, content).map_err(failed)?;
    Ok(stored)
}

fn failed(code: usize) -> io::Error {
    io::Error::other(zstd::zstd_safe::get_error_name(code))
}

fn read_at(file: &File, range: Range<u64>, into: &mut Vec<u8>) -> io::Result<()> {
    into.resize(to_usize(range.end - range.start), 0);
    file.read_exact_at(into, range.start)
}

/// Where the patch ends too early, it is none.
pub(super) fn fill<E>(patch: &mut impl Read, into: &mut [u8]) -> Result<(), Unmade<E>> {
    patch.read_exact(into).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Unmade::Odd,
        _ => Unmade::Patch(error),
    })
}

fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn patch(base: &[u8], new: &[u8]) -> (Vec<u8>, u64) {
        let (old, wanted) = (file(base), file(new));
        let sized = |file, content: &[u8]| Sized {
            file,
            size: content.len() as u64,
        };
        let mut out = Vec::new();
        let cancel = Cancel::default();
        let made = make(sized(&old, base), sized(&wanted, new), &mut out, &cancel);
        (out, made.unwrap().unwrap())
    }

    fn applied(base: &[u8], size: u64, patch: &[u8]) -> Option<Vec<u8>> {
        let old = file(base);
        let base = Sized {
            file: &old,
            size: base.len() as u64,
        };
        let mut made = Vec::new();
        let result = apply(base, size, patch, |bytes| {
            made.extend_from_slice(bytes);
            Ok::<_, Infallible>(())
        });
        result.is_ok().then_some(made)
    }

    #[test]
    fn what_is_alike_takes_nothing_however_large_it_is() {
        let mut base: Vec<u8> = (0_u64..5 << 20)
            .flat_map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (i << 7)).to_le_bytes())
            .collect();
        let before = base.clone();
        base.splice(9_000_000..9_000_100, b"another version".iter().copied());
        base.extend_from_slice(b"and more");
        let (bytes, alone) = patch(&before, &base);
        assert!(bytes.len() < 100_000, "{}", bytes.len());
        assert!(alone > 10_000_000, "{alone}");
        assert_eq!(applied(&before, base.len() as u64, &bytes), Some(base));
    }

    #[test]
    fn pieces_and_stretches_lie_within_both_files() {
        let sizes = [
            1,
            5,
            PIECE - 1,
            PIECE,
            PIECE + 1,
            STRETCH,
            9 * STRETCH + 7,
            1 << 50,
        ];
        for base in sizes {
            for size in sizes.into_iter().take(7) {
                let all: Vec<_> = pieces(base, size).collect();
                assert_eq!(all.iter().map(|(_, len)| *len as u64).sum::<u64>(), size);
                let fits = |range: &Range<u64>| range.end <= base && !range.is_empty();
                assert!(all.iter().all(|(range, _)| fits(range)), "{base} {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_file_is_made_from_any_other(
            base in proptest::collection::vec(any::<u8>(), 1..400),
            new in proptest::collection::vec(any::<u8>(), 1..400),
        ) {
            let (bytes, _) = patch(&base, &new);
            prop_assert_eq!(applied(&base, new.len() as u64, &bytes), Some(new));
        }

        #[test]
        fn no_bytes_make_it_fall(
            base in proptest::collection::vec(any::<u8>(), 1..50),
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            size in 1_u64..1 << 20,
        ) {
            prop_assert_eq!(applied(&base, size, &bytes), None);
        }

        #[test]
        fn a_patch_that_was_changed_makes_nothing_else(at in 0_usize..1000, bit in 0_u8..8, cut in 0_usize..1000) {
            let (base, new) = (b"an old program ".repeat(40), b"a new program ".repeat(40));
            let (bytes, _) = patch(&base, &new);
            let mut changed = bytes.clone();
            changed[at % bytes.len()] ^= 1 << bit;
            let made = applied(&base, new.len() as u64, &changed);
            prop_assert!(made.is_none_or(|made| made == new));
            let cut = cut % bytes.len();
            prop_assert_eq!(applied(&base, new.len() as u64, &bytes[..cut]), None);
        }
    }
}
