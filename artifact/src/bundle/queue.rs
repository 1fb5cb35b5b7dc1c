//! In which order frames are read, and which of them by one thread.

use std::collections::VecDeque;
use std::ops::Range;

use crate::bundle::decode::LARGE;
use crate::bundle::open::Bundle;
use crate::bundle::receive::Target;

/// The frames to be read, in rows: frames that share a member are for one thread, because its hash has only one end.
/// Others would decode ahead of it and wait.
pub(super) struct Queue {
    /// At least one frame of the row is large.
    large: VecDeque<Range<usize>>,
    ordinary: VecDeque<Range<usize>>,
    large_in_work: bool,
}

pub(super) enum Job {
    Large(Range<usize>),
    Ordinary(Range<usize>),
}

impl Queue {
    pub(super) fn new<T: Target>(bundle: &Bundle, target: &T) -> Self {
        let mut rows: Vec<Range<usize>> = Vec::new();
        for (index, frame) in bundle.frames.iter().enumerate().skip(1) {
            let mut files = bundle.layout.files(&frame.content).peekable();
            if files.peek().is_some() && !files.any(|file| target.wants(file)) {
                continue;
            }
            // Nothing spans the head and what follows it.
            let across = bundle.layout.across(frame.content.start);
            let joined = index > 1 && across.is_some_and(|file| target.wants(file));
            match rows.last_mut() {
                Some(row) if joined => row.end = index + 1,
                _ => rows.push(index..index + 1),
            }
        }
        let is_large = |index: usize| bundle.frames[index].content_len() > LARGE;
        let (large, ordinary) = rows.into_iter().partition(|row| row.clone().any(is_large));
        Self {
            large,
            ordinary,
            large_in_work: false,
        }
    }

    /// Large ones first, since they take longest. None if there is nothing for one more thread: whoever has a large
    /// one goes on with the next.
    pub(super) fn next(&mut self) -> Option<Job> {
        if !self.large_in_work
            && let Some(row) = self.large.pop_front()
        {
            self.large_in_work = true;
            return Some(Job::Large(row));
        }
        self.ordinary.pop_front().map(Job::Ordinary)
    }

    pub(super) fn large_is_done(&mut self) {
        self.large_in_work = false;
    }
}
