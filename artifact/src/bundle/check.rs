//! Reading a whole bundle, in parallel by frames, and comparing every byte with what it must be.
//!
//! Ordinary frames are decoded in memory by as many threads as there are. Of the large ones, whose windows take up to
//! 128 MiB, one is decoded at a time, as a stream. A member that spans frames is handed on from one to the next with
//! its hash.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use event::Progress;
use sha2::Digest;

use crate::bundle::cut::FRAME;
use crate::bundle::error::{BundleError, Fault};
use crate::bundle::explain::explain;
use crate::bundle::open::Bundle;
use crate::bundle::seal::Frame;
use crate::bundle::stream::{Part, TRAILER, ZEROS, header, span};
use crate::{Cancel, Sha256};

/// Frames above this are decoded as a stream.
const LARGE: u64 = FRAME + TRAILER;
const LARGE_WINDOW_LOG: u32 = 27;
const CHUNK: usize = 1 << 20;
/// Each thread holds a frame twice; more would not stay within bounds.
const THREADS_MAX: usize = 12;

/// Where the contents of members go.
pub(super) trait Target: Sync {
    /// A member in the middle of being received. Dropped if the member turns out bad.
    type Part: Send;

    /// Whether the content of a file is to be received at all.
    fn wants(&self, file: usize) -> bool;
    fn begin(&self, file: usize) -> Result<Self::Part, BundleError>;
    fn write(&self, part: &mut Self::Part, bytes: &[u8]) -> Result<(), BundleError>;
    /// All of it came, and its digest is right.
    fn finish(&self, part: Self::Part) -> Result<(), BundleError>;
}

/// For looking only.
struct Nowhere;

impl Target for Nowhere {
    type Part = ();

    fn wants(&self, _: usize) -> bool {
        true
    }

    fn begin(&self, _: usize) -> Result<(), BundleError> {
        Ok(())
    }

    fn write(&self, (): &mut (), _: &[u8]) -> Result<(), BundleError> {
        Ok(())
    }

    fn finish(&self, (): ()) -> Result<(), BundleError> {
        Ok(())
    }
}

impl Bundle {
    /// Reads everything and writes nothing. Every byte of the file counts: a bundle that passes is, bit for bit, what
    /// was packed. All that is wrong is named at once, in [`BundleError::Faulty`].
    ///
    /// `progress` counts the bytes of the files; [`crate::Manifest::content_size`] is the total.
    pub fn verify(
        &self,
        jobs: NonZeroUsize,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<(), BundleError> {
        receive(self, &Nowhere, jobs, progress, cancel)
    }
}

/// Brings every wanted member to the target.
pub(super) fn receive<T: Target>(
    bundle: &Bundle,
    target: &T,
    jobs: NonZeroUsize,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<(), BundleError> {
    if bundle.frames.last().map(|frame| frame.content.end) != Some(bundle.layout.end()) {
        return Err(explain(bundle, cancel));
    }
    let links = links(bundle, target);
    let check = Check {
        bundle,
        target,
        progress,
        cancel,
        queue: Mutex::new(Queue::new(bundle, target, &links)),
        links: links.into_iter().map(Mutex::new).collect(),
        findings: Mutex::default(),
        stop: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        for _ in 0..jobs.get().min(THREADS_MAX) {
            scope.spawn(|| check.work());
        }
    });
    let findings = check
        .findings
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match findings {
        Findings {
            stopped: Some(Stop::Failed(error)),
            ..
        } => Err(error),
        Findings {
            stopped: Some(Stop::Odd),
            ..
        } => Err(explain(bundle, cancel)),
        Findings { faults, .. } if !faults.is_empty() => Err(BundleError::Faulty {
            path: bundle.path.clone(),
            faults: faults.into_iter().collect(),
        }),
        Findings { .. } if cancel.is_cancelled() => Err(BundleError::Cancelled),
        Findings { .. } => Ok(()),
    }
}

/// What one frame hands to the next.
struct Link<P> {
    before: Option<Receiver<Receiving<P>>>,
    after: Option<SyncSender<Receiving<P>>>,
}

/// A member on its way to the target.
struct Receiving<P> {
    part: P,
    hasher: sha2::Sha256,
}

fn links<T: Target>(bundle: &Bundle, target: &T) -> Vec<Link<T::Part>> {
    let mut links: Vec<_> = bundle
        .frames
        .iter()
        .map(|_| Link {
            before: None,
            after: None,
        })
        .collect();
    for (index, frame) in bundle.frames.iter().enumerate().skip(2) {
        if bundle
            .layout
            .across(frame.content.start)
            .is_some_and(|file| target.wants(file))
        {
            let (after, before) = mpsc::sync_channel(1);
            links[index - 1].after = Some(after);
            links[index].before = Some(before);
        }
    }
    links
}

/// The frames to be read. Frames that wait for the one before them come after it, so that nobody waits in vain.
struct Queue {
    /// Frames in a row that hang together, one of them large.
    large: VecDeque<Vec<usize>>,
    ordinary: VecDeque<usize>,
    large_in_work: bool,
}

enum Job {
    Large(Vec<usize>),
    Ordinary(usize),
}

impl Queue {
    fn new<T: Target>(bundle: &Bundle, target: &T, links: &[Link<T::Part>]) -> Self {
        let mut rows: Vec<Vec<usize>> = Vec::new();
        for (index, frame) in bundle.frames.iter().enumerate().skip(1) {
            let mut files = bundle.layout.files(&frame.content).peekable();
            if files.peek().is_some() && !files.any(|file| target.wants(file)) {
                continue;
            }
            match rows.last_mut() {
                Some(row) if links[index].before.is_some() => row.push(index),
                _ => rows.push(vec![index]),
            }
        }
        let is_large = |index: &usize| bundle.frames[*index].content_len() > LARGE;
        let (large, ordinary): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.iter().any(is_large));
        Self {
            large: large.into(),
            ordinary: ordinary.into_iter().flatten().collect(),
            large_in_work: false,
        }
    }

    fn next(&mut self) -> Option<Job> {
        if !self.large_in_work
            && let Some(row) = self.large.pop_front()
        {
            self.large_in_work = true;
            return Some(Job::Large(row));
        }
        // Whoever has the large one goes on with the next large.
        self.ordinary.pop_front().map(Job::Ordinary)
    }
}

#[derive(Default)]
struct Findings {
    faults: BTreeSet<Fault>,
    stopped: Option<Stop>,
}

/// Why reading on makes no sense.
enum Stop {
    /// Something stands where bundle.json says something else does.
    Odd,
    Failed(BundleError),
}

impl From<BundleError> for Stop {
    fn from(error: BundleError) -> Self {
        Self::Failed(error)
    }
}

/// Why a frame gave nothing.
enum Unread {
    Damaged,
    Stop(Stop),
}

impl<E: Into<Stop>> From<E> for Unread {
    fn from(stop: E) -> Self {
        Self::Stop(stop.into())
    }
}

struct Check<'a, T: Target> {
    bundle: &'a Bundle,
    target: &'a T,
    progress: &'a Progress,
    cancel: &'a Cancel,
    queue: Mutex<Queue>,
    links: Vec<Mutex<Link<T::Part>>>,
    findings: Mutex<Findings>,
    stop: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Target> Check<'_, T> {
    fn work(&self) {
        let mut buffers = Buffers::default();
        loop {
            let job = lock(&self.queue).next();
            match job {
                None => return,
                Some(Job::Ordinary(index)) => self.frame(index, &mut buffers),
                Some(Job::Large(row)) => {
                    for index in row {
                        self.frame(index, &mut buffers);
                    }
                    lock(&self.queue).large_in_work = false;
                }
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.cancel.is_cancelled()
    }

    fn frame(&self, index: usize, buffers: &mut Buffers) {
        // Taken even if nothing is done: whoever waits for this frame must learn that nothing comes.
        let Link { before, after } = {
            let mut link = lock(&self.links[index]);
            Link {
                before: link.before.take(),
                after: link.after.take(),
            }
        };
        if self.stopped() {
            return;
        }
        let frame = &self.bundle.frames[index];
        let read = if frame.content_len() > LARGE {
            self.large(frame, before, buffers)
        } else {
            self.ordinary(frame, before, buffers)
        };
        match read {
            Ok(Some(receiving)) => {
                if let Some(after) = after {
                    // Nobody takes it when the next frame was given up already.
                    let _ = after.send(receiving);
                }
            }
            Ok(None) => {}
            Err(Unread::Damaged) => self.damaged(frame),
            Err(Unread::Stop(stop)) => {
                self.stop.store(true, Ordering::Relaxed);
                lock(&self.findings).stopped.get_or_insert(stop);
            }
        }
    }

    fn damaged(&self, frame: &Frame) {
        let files = self.bundle.layout.files(&frame.content);
        let faults = &mut lock(&self.findings).faults;
        if files.is_empty() {
            faults.insert(Fault::End);
        }
        for file in files {
            let member = self.bundle.manifest().files[file].path.to_string();
            faults.insert(Fault::Damaged { member });
        }
    }

    fn ordinary(
        &self,
        frame: &Frame,
        before: Option<Receiver<Receiving<T::Part>>>,
        buffers: &mut Buffers,
    ) -> Result<Option<Receiving<T::Part>>, Unread> {
        let Buffers {
            stored,
            content,
            decoder,
        } = buffers;
        stored.resize(to_usize(frame.stored_len()), 0);
        self.read_at(stored, frame.stored.start)?;
        if crc32fast::hash(stored) != frame.checksum {
            return Err(Unread::Damaged);
        }
        let decoder = match decoder {
            Some(decoder) => decoder,
            None => decoder.insert(zstd::bulk::Decompressor::new().map_err(|_| Unread::Damaged)?),
        };
        content.clear();
        content.reserve_exact(to_usize(frame.content_len()));
        let decoded = decoder.decompress_to_buffer(stored, content);
        if !decoded.is_ok_and(|len| len as u64 == frame.content_len()) {
            return Err(Unread::Damaged);
        }
        let mut walk = self.walk(frame, before);
        walk.feed(content)?;
        Ok(walk.receiving)
    }

    fn large(
        &self,
        frame: &Frame,
        before: Option<Receiver<Receiving<T::Part>>>,
        buffers: &mut Buffers,
    ) -> Result<Option<Receiving<T::Part>>, Unread> {
        let chunk = &mut buffers.content;
        chunk.resize(CHUNK, 0);
        let mut checksum = crc32fast::Hasher::new();
        let mut at = frame.stored.start;
        while at < frame.stored.end {
            if self.stopped() {
                return Ok(None);
            }
            let chunk = &mut chunk[..to_usize(frame.stored.end - at).min(CHUNK)];
            self.read_at(chunk, at)?;
            checksum.update(chunk);
            at += chunk.len() as u64;
        }
        if checksum.finalize() != frame.checksum {
            return Err(Unread::Damaged);
        }
        let stored = Stored {
            bundle: self.bundle,
            at: frame.stored.start,
            end: frame.stored.end,
        };
        let mut decoder = zstd::Decoder::new(stored).map_err(|_| Unread::Damaged)?;
        decoder
            .window_log_max(LARGE_WINDOW_LOG)
            .map_err(|_| Unread::Damaged)?;
        let mut walk = self.walk(frame, before);
        loop {
            let len = decoder.read(chunk).map_err(|_| Unread::Damaged)?;
            let left = frame.content.end - walk.at;
            if len == 0 && left == 0 {
                return Ok(walk.receiving);
            }
            if len == 0 || len as u64 > left {
                return Err(Unread::Damaged);
            }
            if self.stopped() {
                return Ok(None);
            }
            walk.feed(&chunk[..len])?;
        }
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> Result<(), Stop> {
        self.bundle.file.read_exact_at(bytes, at).map_err(|source| {
            Stop::Failed(BundleError::Read {
                path: self.bundle.path.clone(),
                source,
            })
        })
    }

    fn walk(&self, frame: &Frame, before: Option<Receiver<Receiving<T::Part>>>) -> Walk<'_, T> {
        Walk {
            check: self,
            at: frame.content.start,
            // Nothing comes where the frame before is damaged: the member is named there.
            receiving: before.and_then(|before| before.recv().ok()),
        }
    }
}

#[derive(Default)]
struct Buffers {
    stored: Vec<u8>,
    content: Vec<u8>,
    decoder: Option<zstd::bulk::Decompressor<'static>>,
}

/// A frame's content, as it is compared and handed to the target.
struct Walk<'a, T: Target> {
    check: &'a Check<'a, T>,
    at: u64,
    receiving: Option<Receiving<T::Part>>,
}

impl<T: Target> Walk<'_, T> {
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Stop> {
        let Check {
            bundle,
            target,
            progress,
            ..
        } = self.check;
        let files = &bundle.manifest().files;
        let end = self.at + bytes.len() as u64;
        let mut received = 0;
        for piece in bundle.layout.pieces(self.at..end) {
            let (here, rest) = bytes.split_at(to_usize(piece.len));
            bytes = rest;
            match piece.part {
                Part::Header { file, from } => {
                    let entry = &files[file];
                    let expected = header(entry.path.as_str(), entry.size, entry.mode);
                    if here != &expected[span(from, piece.len)] {
                        return Err(Stop::Odd);
                    }
                    if piece.first && target.wants(file) {
                        let part = target.begin(file)?;
                        self.receiving = Some(Receiving {
                            part,
                            hasher: sha2::Sha256::new(),
                        });
                    }
                }
                Part::Content { .. } => {
                    if let Some(receiving) = &mut self.receiving {
                        receiving.hasher.update(here);
                        target.write(&mut receiving.part, here)?;
                        received += piece.len;
                    }
                }
                Part::Padding { .. } | Part::Trailer => {
                    if here
                        .chunks(ZEROS.len())
                        .any(|zeros| zeros != &ZEROS[..zeros.len()])
                    {
                        return Err(Stop::Odd);
                    }
                }
            }
            if let Some(file) = piece.completes()
                && let Some(Receiving { part, hasher }) = self.receiving.take()
            {
                if Sha256::from(hasher) == files[file].sha256 {
                    target.finish(part)?;
                } else {
                    let member = files[file].path.to_string();
                    lock(&self.check.findings)
                        .faults
                        .insert(Fault::Content { member });
                }
            }
        }
        self.at = end;
        progress.add(received);
        Ok(())
    }
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
