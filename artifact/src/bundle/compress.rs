//! Frames are compressed by many threads and written in order, in bounded memory whatever the size.
//!
//! Ordinary frames are small, and only so many are in work. A long frame's window alone takes 128 MiB, so one is in work
//! at a time, from the start on and into a file aside, while a pool does the others.

use std::collections::VecDeque;
use std::fs::File;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

use camino::Utf8Path;

use crate::bundle::cut::{Cut, FRAME, Method};
use crate::bundle::error::PackError;
use crate::bundle::packer::{Aside, Packer, Stored, long_frame};
use crate::bundle::sealed::Sealed;
use crate::bundle::source::{Links, Source};
use crate::bundle::stream::Layout;

/// Contents of ordinary frames in work at once; each takes as much again for its compressed form.
const IN_WORK: u64 = 80 << 20;
/// The same beside a long frame.
const IN_WORK_BESIDE_LONG: u64 = 24 << 20;

/// A frame to be compressed.
struct Task<'a> {
    cut: &'a Cut,
    links: Links,
    done: SyncSender<Result<Stored, PackError>>,
}

/// Writes the head, all frames and what follows them; gives the length.
pub(super) fn compress(
    head: &[u8],
    cuts: &[Cut],
    source: &Source<'_>,
    jobs: NonZeroUsize,
    file: &File,
    output: &Utf8Path,
) -> Result<u64, PackError> {
    let write = |source| PackError::write(output, source);
    let (long, line) = line_up(cuts, source.layout);
    let budget = if long.is_empty() {
        IN_WORK
    } else {
        IN_WORK_BESIDE_LONG
    };
    let threads = usize::try_from(budget / FRAME)
        .unwrap_or(usize::MAX)
        .min(jobs.get() - usize::from(!long.is_empty()));
    let aside = Aside::beside(output).map_err(write)?;
    let (tasks, queue) = mpsc::channel();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(source, output, &queue));
        }
        if !long.is_empty() {
            // With a core of its own: nothing takes longer. Then it joins the pool.
            scope.spawn(|| {
                work_long(source, output, &aside, long);
                work(source, output, &queue);
            });
        }
        let (sync, due) = mpsc::sync_channel(1);
        let synced = scope.spawn(move || due.into_iter().try_for_each(|()| file.sync_data()));
        let mut sealed = Sealed::new(file, sync, &aside, output);
        let written = Packer::new()
            .and_then(|mut packer| packer.pack(Method::Compress, head))
            .map_err(write)
            .and_then(|first| sealed.frame(first, head.len() as u64))
            .and_then(|()| line.write(&tasks, budget, &mut sealed))
            .and_then(|()| sealed.finish());
        if written.is_err() {
            source.abandon();
        }
        // The pool ends with what it has.
        drop(tasks);
        let size = written?;
        // An error of the disk is told once, to whoever syncs first.
        match synced.join() {
            Ok(synced) => synced.map_err(write).map(|()| size),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// The frames in their order, and of those the ordinary ones that are not in work yet.
struct Line<'a> {
    results: Vec<(&'a Cut, Receiver<Result<Stored, PackError>>)>,
    ordinary: VecDeque<Task<'a>>,
}

/// Also the long ones, which do not wait for their turn.
fn line_up<'a>(cuts: &'a [Cut], layout: &Layout) -> (Vec<Task<'a>>, Line<'a>) {
    let mut long = Vec::new();
    let mut line = Line {
        results: Vec::new(),
        ordinary: VecDeque::new(),
    };
    for (cut, links) in cuts.iter().zip(links(cuts, layout)) {
        let (done, result) = mpsc::sync_channel(1);
        let task = Task { cut, links, done };
        match cut.method {
            Method::Long => long.push(task),
            Method::Compress | Method::Wrap => line.ordinary.push_back(task),
        }
        line.results.push((cut, result));
    }
    (long, line)
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

impl<'a> Line<'a> {
    /// Writes each frame when its turn comes, and keeps as many in work as the budget allows.
    fn write(
        mut self,
        tasks: &Sender<Task<'a>>,
        budget: u64,
        sealed: &mut Sealed<'_>,
    ) -> Result<(), PackError> {
        let mut in_work = 0;
        for (cut, result) in self.results {
            while let Some(task) = self
                .ordinary
                .pop_front_if(|task| in_work == 0 || in_work + task.cut.len() <= budget)
            {
                in_work += task.cut.len();
                // Were the pool gone, the receiver would tell.
                let _ = tasks.send(task);
            }
            let stored = result.recv().map_err(|_| PackError::Cancelled)??;
            sealed.frame(stored, cut.len())?;
            if cut.method != Method::Long {
                in_work -= cut.len();
            }
        }
        Ok(())
    }
}

/// A thread of the pool.
fn work(source: &Source<'_>, output: &Utf8Path, queue: &Mutex<Receiver<Task<'_>>>) {
    let write = |source| PackError::write(output, source);
    let mut packer = Packer::new();
    let mut content = Vec::new();
    loop {
        let task = queue.lock().map(|queue| queue.recv());
        let Ok(Ok(Task { cut, links, done })) = task else {
            return;
        };
        content.clear();
        let poured = source.pour(cut.content.clone(), links, |bytes| {
            content.extend_from_slice(bytes);
            Ok(())
        });
        let result = poured.and_then(|()| match &mut packer {
            Ok(packer) => packer.pack(cut.method, &content).map_err(write),
            Err(error) => Err(write(error.kind().into())),
        });
        // The writer is gone only after a failure that it has reported.
        let _ = done.send(result);
    }
}

/// The thread for long frames.
fn work_long(source: &Source<'_>, output: &Utf8Path, aside: &Aside, tasks: Vec<Task<'_>>) {
    for Task { cut, links, done } in tasks {
        let packed = long_frame(source, cut, links, aside, output);
        let _ = done.send(packed);
    }
}
