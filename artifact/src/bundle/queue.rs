//! In which order frames are read, and how they hand members on.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, SyncSender};

use crate::bundle::decode::LARGE;
use crate::bundle::open::Bundle;
use crate::bundle::receive::Target;
use crate::bundle::walk::Receiving;

/// What one frame hands to the next: a wanted member that spans both.
pub(super) struct Link<P> {
    pub before: Option<Receiver<Receiving<P>>>,
    pub after: Option<SyncSender<Receiving<P>>>,
}

impl<P> Link<P> {
    const fn none() -> Self {
        Self {
            before: None,
            after: None,
        }
    }

    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::none())
    }
}

pub(super) fn links<T: Target>(bundle: &Bundle, target: &T) -> Vec<Link<T::Part>> {
    let mut links: Vec<_> = bundle.frames.iter().map(|_| Link::none()).collect();
    // Nothing spans the head and what follows it.
    for (index, frame) in bundle.frames.iter().enumerate().skip(2) {
        let across = bundle.layout.across(frame.content.start);
        if across.is_some_and(|file| target.wants(file)) {
            let (after, before) = mpsc::sync_channel(1);
            links[index - 1].after = Some(after);
            links[index].before = Some(before);
        }
    }
    links
}

/// The frames to be read, in rows: frames that share a member are for one thread, because its hash has only one end.
/// Others would decode ahead of it and wait.
pub(super) struct Queue {
    /// At least one frame of the row is large.
    large: VecDeque<Vec<usize>>,
    ordinary: VecDeque<Vec<usize>>,
    large_in_work: bool,
}

pub(super) enum Job {
    Large(Vec<usize>),
    Ordinary(Vec<usize>),
}

impl Queue {
    pub(super) fn new<T: Target>(bundle: &Bundle, target: &T, links: &[Link<T::Part>]) -> Self {
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
        let (large, ordinary) = rows.into_iter().partition(|row| row.iter().any(is_large));
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
