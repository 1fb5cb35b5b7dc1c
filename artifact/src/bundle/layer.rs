//! A gzip'd layer made from another: what is inside of both is compared, and the gzip around it is made again, bit by bit,
//! from notes about how its writer went about it.
//!
//! Layers of two versions are alike inside, and nowhere outside: a byte that differs changes all that gzip writes after it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use flate2::read::MultiGzDecoder;
use preflate_rs::{PreflateConfig, PreflateStreamProcessor, RecreateStreamProcessor};

use crate::Cancel;
use crate::bundle::patch::{self, Sized, Unmade};

/// Of the stored stream, taken apart at a time. How its writer went about it is guessed by the first: at 4 MiB the guess was
/// wrong for three of seven programs of Kubernetes, at 8 MiB for one, and each takes memory.
const CHUNK: usize = 8 << 20;
/// What a chunk may hold inside; what is packed tighter travels whole.
const PLAIN_CHUNK_MAX: usize = 64 << 20;
const NOTES_CHUNK_MAX: usize = 16 << 20;
/// Positions inside a stream are counted in 31 bits.
const PLAIN_MAX: u64 = 1 << 30;
const HEADER_MAX: usize = 64 << 10;
/// Of a stream that cannot be made again to its end, the rest is kept as it is.
const TRAILER_MAX: usize = 64 << 20;
const CHUNKS_MAX: u32 = 1 << 16;

/// Why there is no patch: then the layer travels whole.
pub(super) enum Untaken {
    /// It is no single gzip stream, or one that cannot be made again.
    Unfit,
    Cancelled,
    Io(io::Error),
}

impl From<io::Error> for Untaken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A layer, taken apart.
struct Apart {
    header: Vec<u8>,
    trailer: Vec<u8>,
    /// Of each chunk, how long it is inside, and what there is to note about how it was compressed.
    notes: Vec<(u32, Vec<u8>)>,
    plain: File,
    plain_size: u64,
}

/// Writes the patch that makes `new` from `base`, without proof that it does.
pub(super) fn make(
    base: Sized<'_>,
    new: Sized<'_>,
    scratch: impl Fn() -> io::Result<File>,
    out: &mut impl Write,
    cancel: &Cancel,
) -> Result<(), Untaken> {
    let apart = take_apart(new, scratch()?, cancel)?;
    let old = scratch()?;
    let old_size = inflate(base.file, &old, PLAIN_MAX, cancel)?;
    if old_size == 0 || apart.plain_size == 0 {
        return Err(Untaken::Unfit);
    }
    let long = |len: u64| len.to_le_bytes();
    let short = |len: usize| u32::try_from(len).map(u32::to_le_bytes);
    let short = |len| short(len).map_err(|_| Untaken::Unfit);
    out.write_all(&long(old_size))?;
    out.write_all(&long(apart.plain_size))?;
    for part in [&apart.header, &apart.trailer] {
        out.write_all(&short(part.len())?)?;
        out.write_all(part)?;
    }
    out.write_all(&short(apart.notes.len())?)?;
    for (plain, note) in &apart.notes {
        out.write_all(&plain.to_le_bytes())?;
        out.write_all(&short(note.len())?)?;
        out.write_all(note)?;
    }
    let (old, plain) = (
        Sized {
            file: &old,
            size: old_size,
        },
        Sized {
            file: &apart.plain,
            size: apart.plain_size,
        },
    );
    match patch::make(old, plain, out, cancel)? {
        Some(_) => Ok(()),
        None => Err(Untaken::Cancelled),
    }
}

/// Gives the layer that the patch makes from `base`, piece by piece.
pub(super) fn apply<E>(
    base: Sized<'_>,
    scratch: impl Fn() -> io::Result<File>,
    mut patch: impl Read,
    cancel: &Cancel,
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), Unmade<E>> {
    let old_size = u64::from_le_bytes(take(&mut patch)?);
    let plain_size = u64::from_le_bytes(take(&mut patch)?);
    if !(1..=PLAIN_MAX).contains(&old_size) || !(1..=PLAIN_MAX).contains(&plain_size) {
        return Err(Unmade::Odd);
    }
    let header = part(&mut patch, HEADER_MAX)?;
    let trailer = part(&mut patch, TRAILER_MAX)?;
    let count = u32::from_le_bytes(take(&mut patch)?);
    if count > CHUNKS_MAX {
        return Err(Unmade::Odd);
    }
    // The notes come before what they are about: they wait in a file, however many there are.
    let mut notes = scratch().map_err(Unmade::Scratch)?;
    {
        let mut waiting = BufWriter::new(&notes);
        for _ in 0..count {
            let plain: [u8; 4] = take(&mut patch)?;
            let note = part(&mut patch, NOTES_CHUNK_MAX)?;
            let len = u32::try_from(note.len()).unwrap_or(u32::MAX).to_le_bytes();
            [&plain[..], &len, &note]
                .into_iter()
                .try_for_each(|bytes| waiting.write_all(bytes))
                .map_err(Unmade::Scratch)?;
        }
        waiting.flush().map_err(Unmade::Scratch)?;
    }
    notes.rewind().map_err(Unmade::Scratch)?;
    let old = scratch().map_err(Unmade::Scratch)?;
    match inflate(base.file, &old, old_size, cancel) {
        Ok(size) if size == old_size => {}
        Ok(_) | Err(Untaken::Unfit | Untaken::Cancelled) => return Err(Unmade::Odd),
        Err(Untaken::Io(error)) => return Err(Unmade::Scratch(error)),
    }
    sink(&header).map_err(Unmade::Sink)?;
    let mut again = Again {
        notes: BufReader::new(notes),
        left: count,
        next: None,
        pending: Vec::new(),
        stream: RecreateStreamProcessor::new(),
    };
    let old = Sized {
        file: &old,
        size: old_size,
    };
    patch::apply(old, plain_size, patch, |bytes| again.feed(bytes, &mut sink))
        .map_err(Unmade::flatten)?;
    again.end()?;
    sink(&trailer).map_err(Unmade::Sink)
}

/// Makes the stream again from what is inside of it.
struct Again {
    notes: BufReader<File>,
    left: u32,
    /// Of the chunk that is being collected.
    next: Option<(usize, Vec<u8>)>,
    pending: Vec<u8>,
    stream: RecreateStreamProcessor,
}

impl Again {
    fn feed<E>(
        &mut self,
        mut bytes: &[u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), Unmade<E>> {
        loop {
            let Some((wanted, _)) = &self.next else {
                if self.left == 0 {
                    return if bytes.is_empty() {
                        Ok(())
                    } else {
                        Err(Unmade::Odd)
                    };
                }
                self.left -= 1;
                let plain = u32::from_le_bytes(take(&mut self.notes)?) as usize;
                let note = part(&mut self.notes, NOTES_CHUNK_MAX)?;
                if plain > PLAIN_CHUNK_MAX {
                    return Err(Unmade::Odd);
                }
                self.next = Some((plain, note));
                continue;
            };
            let (here, rest) = bytes.split_at(bytes.len().min(wanted - self.pending.len()));
            self.pending.extend_from_slice(here);
            bytes = rest;
            if self.pending.len() < *wanted {
                return Ok(());
            }
            if let Some((_, note)) = self.next.take() {
                self.chunk(&note, sink)?;
            }
        }
    }

    fn chunk<E>(
        &mut self,
        note: &[u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), Unmade<E>> {
        let made = caught(|| self.stream.recompress(&mut self.pending.as_slice(), note));
        let (stored, _) = made.ok_or(Unmade::Odd)?;
        self.pending.clear();
        sink(&stored).map_err(Unmade::Sink)
    }

    fn end<E>(&mut self) -> Result<(), Unmade<E>> {
        if self.left == 0 && self.next.is_none() {
            Ok(())
        } else {
            Err(Unmade::Odd)
        }
    }
}

/// The library has no unsafe code, and yet a stream that nobody writes may let it fall.
fn caught<T>(work: impl FnOnce() -> preflate_rs::Result<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()?.ok()
}

fn take_apart(layer: Sized<'_>, plain: File, cancel: &Cancel) -> Result<Apart, Untaken> {
    let mut window = vec![0; HEADER_MAX.min(to_usize(layer.size))];
    layer.file.read_exact_at(&mut window, 0)?;
    let start = header_len(&window).ok_or(Untaken::Unfit)?;
    window.truncate(start);
    let header = window;
    let mut stream = PreflateStreamProcessor::new(&PreflateConfig {
        plain_text_limit: PLAIN_CHUNK_MAX,
        verify_compression: false,
        ..PreflateConfig::default()
    });
    let mut at = start as u64;
    let (mut notes, mut plain_size) = (Vec::new(), 0);
    let mut chunk = Vec::new();
    let mut to = BufWriter::new(&plain);
    while !stream.is_done() {
        if cancel.is_cancelled() {
            return Err(Untaken::Cancelled);
        }
        chunk.resize(CHUNK.min(to_usize(layer.size - at)), 0);
        layer.file.read_exact_at(&mut chunk, at)?;
        let Some(taken) = caught(|| stream.decompress(&chunk)) else {
            break;
        };
        let inside = stream.plain_text().text();
        plain_size += inside.len() as u64;
        let fits = u32::try_from(inside.len()).ok();
        let fits = fits.filter(|_| {
            plain_size <= PLAIN_MAX
                && taken.corrections.len() <= NOTES_CHUNK_MAX
                && notes.len() < CHUNKS_MAX as usize
                && (taken.compressed_size > 0 || stream.is_done())
        });
        to.write_all(inside)?;
        notes.push((fits.ok_or(Untaken::Unfit)?, taken.corrections));
        at += taken.compressed_size as u64;
        stream.shrink_to_dictionary();
    }
    to.flush()?;
    drop(to);
    let rest = layer.size.checked_sub(at).map(to_usize);
    let rest = rest.filter(|rest| *rest <= TRAILER_MAX);
    let mut trailer = vec![0; rest.ok_or(Untaken::Unfit)?];
    layer.file.read_exact_at(&mut trailer, at)?;
    Ok(Apart {
        header,
        trailer,
        notes,
        plain,
        plain_size,
    })
}

/// What is inside of a gzip'd file, no more than so much of it.
fn inflate(from: &File, to: &File, most: u64, cancel: &Cancel) -> Result<u64, Untaken> {
    let mut from = from;
    from.rewind()?;
    let mut inside = MultiGzDecoder::new(BufReader::new(from)).take(most + 1);
    let mut to = BufWriter::new(to);
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        // What cannot be inflated is no layer of this kind.
        let len = inside.read(&mut buffer).map_err(|_| Untaken::Unfit)?;
        if len == 0 {
            break;
        }
        if cancel.is_cancelled() {
            return Err(Untaken::Cancelled);
        }
        size += len as u64;
        if size > most {
            return Err(Untaken::Unfit);
        }
        to.write_all(&buffer[..len])?;
    }
    to.flush()?;
    Ok(size)
}

/// How long the header of a gzip stream is.
fn header_len(bytes: &[u8]) -> Option<usize> {
    const FIXED: usize = 10;
    const CHECKED: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    if !bytes.starts_with(&[0x1f, 0x8b, 8]) {
        return None;
    }
    let flags = *bytes.get(3)?;
    let mut at = FIXED;
    if flags & EXTRA != 0 {
        let len = bytes.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([len[0], len[1]]));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            at += bytes.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    if flags & CHECKED != 0 {
        at += 2;
    }
    (at <= bytes.len()).then_some(at)
}

fn take<const N: usize, E>(from: &mut impl Read) -> Result<[u8; N], Unmade<E>> {
    let mut bytes = [0; N];
    patch::fill(from, &mut bytes)?;
    Ok(bytes)
}

fn part<E>(from: &mut impl Read, most: usize) -> Result<Vec<u8>, Unmade<E>> {
    let len = u32::from_le_bytes(take(from)?) as usize;
    if len > most {
        return Err(Unmade::Odd);
    }
    let mut bytes = vec![0; len];
    patch::fill(from, &mut bytes)?;
    Ok(bytes)
}

fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
