//! Writing a bundle: frames are compressed by many threads and written in order.
//!
//! Memory is bounded whatever the size. Ordinary frames are small and only so many are in work; a long frame, whose
//! window alone takes 128 MiB, is compressed straight into the file when its turn comes, by zstd's own threads.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

use camino::Utf8Path;
use zstd::zstd_safe::CParameter;

use crate::bundle::cut::{Cut, FRAME, Method};
use crate::bundle::error::PackError;
use crate::bundle::sealed::Sealed;
use crate::bundle::source::{Links, Source};
use crate::bundle::stream::Layout;

pub(super) const LEVEL: i32 = 3;
/// For what is compressed already: zstd finds nothing, and does so fast.
const WRAP_LEVEL: i32 = -5;
/// Contents of ordinary frames in work at once; each takes as much again for its compressed form.
const IN_WORK: u64 = 80 << 20;
/// The same beside a long frame.
const IN_WORK_BESIDE_LONG: u64 = 24 << 20;

/// An ordinary frame for the pool.
struct Task<'a> {
    cut: &'a Cut,
    links: Links,
    done: SyncSender<Result<Vec<u8>, PackError>>,
}

/// Writes the head, all frames and what follows them; gives the length.
pub(super) fn compress(
    head: &[u8],
    cuts: &[Cut],
    source: &Source<'_>,
    jobs: NonZeroUsize,
    file: &mut File,
    output: &Utf8Path,
) -> Result<u64, PackError> {
    let any_long = cuts.iter().any(|cut| cut.method == Method::Long);
    let budget = if any_long {
        IN_WORK_BESIDE_LONG
    } else {
        IN_WORK
    };
    let pool = usize::try_from(budget / FRAME)
        .unwrap_or(usize::MAX)
        .min(jobs.get());
    let (tasks, queue) = mpsc::channel();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        for _ in 0..pool {
            scope.spawn(|| work(source, output, &queue));
        }
        let mut sealed = Sealed::new(file, output, jobs);
        let first = Packer::new().and_then(|mut packer| packer.pack(Method::Compress, head));
        let first = first.map_err(|source| PackError::write(output, source))?;
        sealed.frame(&first, head.len() as u64)?;
        let to_start = cuts.iter().zip(links(cuts, source.layout)).collect();
        let started = VecDeque::new();
        Line {
            to_start,
            started,
            tasks,
            budget,
            in_work: 0,
        }
        .run(source, &mut sealed)?;
        sealed.finish()
    })
}

/// A link wherever a file goes on from one frame into the next.
fn links(cuts: &[Cut], layout: &Layout) -> Vec<Links> {
    let mut links: Vec<Links> = cuts.iter().map(|_| Links::default()).collect();
    for (index, cut) in cuts.iter().enumerate().skip(1) {
        if layout.across(cut.content.start).is_some() {
            let (after, before) = mpsc::sync_channel(1);
            links[index - 1].after = Some(after);
            links[index].before = Some(before);
        }
    }
    links
}

/// A thread of the pool.
fn work(source: &Source<'_>, output: &Utf8Path, queue: &Mutex<Receiver<Task<'_>>>) {
    let mut packer = Packer::new();
    let mut content = Vec::new();
    loop {
        let task = queue.lock().map(|queue| queue.recv());
        let Ok(Ok(Task { cut, links, done })) = task else {
            return;
        };
        content.clear();
        let result = source
            .pour(cut.content.clone(), links, |bytes| {
                content.extend_from_slice(bytes);
                Ok(())
            })
            .and_then(|()| {
                let packer = packer
                    .as_mut()
                    .map_err(|error| io::Error::from(error.kind()));
                packer
                    .and_then(|packer| packer.pack(cut.method, &content))
                    .map_err(|source| PackError::write(output, source))
            });
        // The writer is gone only after a failure that it has reported.
        let _ = done.send(result);
    }
}

/// Compresses whole frames in memory.
struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    fn new() -> io::Result<Self> {
        Ok(Self(zstd::bulk::Compressor::new(LEVEL)?))
    }

    fn pack(&mut self, method: Method, content: &[u8]) -> io::Result<Vec<u8>> {
        let level = if method == Method::Wrap {
            WRAP_LEVEL
        } else {
            LEVEL
        };
        self.0.set_compression_level(level)?;
        self.0.set_parameter(CParameter::ChecksumFlag(true))?;
        self.0.compress(content)
    }
}

/// A frame whose turn to be written will come.
enum Started {
    /// In the pool.
    Ordinary(Receiver<Result<Vec<u8>, PackError>>),
    Long(Links),
}

/// The frames in their order: those to be written, and behind them those to be started.
struct Line<'a> {
    to_start: VecDeque<(&'a Cut, Links)>,
    started: VecDeque<(&'a Cut, Started)>,
    tasks: Sender<Task<'a>>,
    budget: u64,
    in_work: u64,
}

impl<'a> Line<'a> {
    fn run(mut self, source: &Source<'_>, sealed: &mut Sealed<'_>) -> Result<(), PackError> {
        loop {
            self.start();
            let Some((cut, started)) = self.started.pop_front() else {
                return Ok(());
            };
            match started {
                Started::Long(links) => sealed.long_frame(source, cut, links)?,
                Started::Ordinary(result) => {
                    let stored = result.recv().map_err(|_| PackError::Cancelled)??;
                    sealed.frame(&stored, cut.len())?;
                }
            }
            self.in_work -= cost(cut);
        }
    }

    /// As many frames as may be in work.
    fn start(&mut self) {
        while let Some((cut, links)) = self.to_start.pop_front() {
            if !self.started.is_empty() && self.in_work + cost(cut) > self.budget {
                self.to_start.push_front((cut, links));
                return;
            }
            self.in_work += cost(cut);
            let started = self.start_one(cut, links);
            self.started.push_back((cut, started));
        }
    }

    fn start_one(&self, cut: &'a Cut, links: Links) -> Started {
        if cut.method == Method::Long {
            return Started::Long(links);
        }
        let (done, result) = mpsc::sync_channel(1);
        // Were the pool gone, the receiver would tell.
        let _ = self.tasks.send(Task { cut, links, done });
        Started::Ordinary(result)
    }
}

/// What a frame takes of the budget for those in work.
fn cost(cut: &Cut) -> u64 {
    if cut.method == Method::Long {
        0
    } else {
        cut.len()
    }
}
