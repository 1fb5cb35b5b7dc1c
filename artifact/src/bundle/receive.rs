//! Reading a bundle, in parallel by frames, and comparing every byte with what it must be.
//!
//! Ordinary frames are decoded in memory by as many threads as there are. Of the large ones, whose windows take up to
//! 128 MiB, one is decoded at a time, as a stream. A member that spans frames goes on from one to the next with its
//! hash, on one thread.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use event::Progress;

use crate::Cancel;
use crate::bundle::decode::{Decoder, Undecoded};
use crate::bundle::error::BundleError;
use crate::bundle::explain::explain;
use crate::bundle::fault::Fault;
use crate::bundle::open::Bundle;
use crate::bundle::queue::{Job, Queue};
use crate::bundle::seal::Frame;
use crate::bundle::walk::{Receiving, Stop, Walk};

/// Each thread holds a frame twice over, stored and decoded; more would not stay within bounds.
const THREADS_MAX: usize = 10;

/// Where the contents of members go.
pub(super) trait Target: Sync {
    /// A member in the middle of being received. Dropped if the member turns out bad.
    type Part: Send;

    /// Whether the content of a member is to be received at all.
    fn wants(&self, member: usize) -> bool;
    fn begin(&self, member: usize) -> Result<Self::Part, BundleError>;
    fn write(&self, part: &mut Self::Part, bytes: &[u8]) -> Result<(), BundleError>;
    /// All of it came, and its digest is right.
    fn finish(&self, part: Self::Part) -> Result<(), BundleError>;
}

/// Brings every wanted member to the target. Frames that hold none of them are not read.
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
    let receiver = Receiver {
        bundle,
        target,
        progress,
        cancel,
        queue: Mutex::new(Queue::new(bundle, target)),
        faults: Mutex::default(),
        stop: OnceLock::new(),
    };
    thread::scope(|scope| {
        for _ in 0..jobs.get().min(THREADS_MAX) {
            scope.spawn(|| receiver.work());
        }
    });
    let faults = receiver.faults.into_inner();
    let faults = faults.unwrap_or_else(PoisonError::into_inner);
    match receiver.stop.into_inner() {
        Some(Stop::Failed(error)) => Err(error),
        Some(Stop::Odd) => Err(explain(bundle, cancel)),
        None if !faults.is_empty() => Err(BundleError::Faulty {
            path: bundle.path.clone(),
            faults: faults.into_iter().collect(),
        }),
        None if cancel.is_cancelled() => Err(BundleError::Cancelled),
        None => Ok(()),
    }
}

struct Receiver<'a, T: Target> {
    bundle: &'a Bundle,
    target: &'a T,
    progress: &'a Progress,
    cancel: &'a Cancel,
    queue: Mutex<Queue>,
    faults: Mutex<BTreeSet<Fault>>,
    /// Whoever sees it has nothing of its own to say.
    stop: OnceLock<Stop>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Target> Receiver<'_, T> {
    fn work(&self) {
        let mut decoder = Decoder::default();
        loop {
            let job = lock(&self.queue).next();
            let Some(Job::Large(row) | Job::Ordinary(row)) = &job else {
                return;
            };
            let mut receiving = None;
            for index in row.clone() {
                if self.stopped() {
                    return;
                }
                receiving = self.frame(index, receiving, &mut decoder);
            }
            if let Some(Job::Large(_)) = job {
                lock(&self.queue).large_is_done();
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.get().is_some() || self.cancel.is_cancelled()
    }

    /// Takes the member that goes on in this frame, and gives the one that goes on in the next.
    fn frame(
        &self,
        index: usize,
        receiving: Option<Receiving<T::Part>>,
        decoder: &mut Decoder,
    ) -> Option<Receiving<T::Part>> {
        let frame = &self.bundle.frames[index];
        let mut walk = Walk::new(
            self.bundle,
            self.target,
            self.progress,
            frame.content.start,
            receiving,
        );
        let outcome = decoder.decode(self.bundle, frame, |bytes| {
            if self.stopped() {
                return Err(Stop::Failed(BundleError::Cancelled));
            }
            walk.feed(bytes, |fault| {
                lock(&self.faults).insert(fault);
            })
        });
        match outcome {
            Ok(()) => return walk.hand_on(),
            Err(Undecoded::Damaged) => self.damaged(frame),
            Err(Undecoded::Odd(why)) => {
                let fault = Fault::Frame { number: index, why };
                lock(&self.faults).insert(fault);
            }
            Err(Undecoded::Stopped(stop)) => {
                self.stop.get_or_init(|| stop);
            }
        }
        None
    }

    fn damaged(&self, frame: &Frame) {
        let files = self.bundle.layout.files(&frame.content);
        let mut faults = lock(&self.faults);
        if files.is_empty() {
            faults.insert(Fault::End);
        }
        for file in files {
            let member = self.bundle.members[file].path.to_string();
            faults.insert(Fault::Damaged { member });
        }
    }
}
