use std::collections::{BTreeMap, BTreeSet};

use crate::KeyPath;
use crate::tree::Span;

/// Where everything stands in the text, by its path in the typed config.
#[derive(Clone, Default)]
pub(crate) struct Places {
    by_path: BTreeMap<KeyPath, Place>,
    /// What was refused and is in the typed config only by its default.
    broken: BTreeSet<KeyPath>,
    /// Lists of which an item was refused as a whole.
    cut: BTreeSet<KeyPath>,
}

#[derive(Clone)]
pub(crate) struct Place {
    /// The key; for an item of a list, the item.
    pub key: Span,
    pub value: Span,
    /// The path as it was written: refused items of a list count as well.
    pub shown: KeyPath,
    /// Whether anything is written there but `""`, `[]` or `{}`.
    pub filled: bool,
}

impl Places {
    pub fn put(&mut self, path: &KeyPath, place: Place) {
        self.by_path.insert(path.clone(), place);
    }

    pub fn get(&self, path: &KeyPath) -> Option<&Place> {
        self.by_path.get(path)
    }

    /// The place of the path, or of the nearest thing around it that is written.
    pub fn nearest(&self, path: &KeyPath) -> Option<&Place> {
        let mut path = path.clone();
        loop {
            if let Some(place) = self.by_path.get(&path) {
                return Some(place);
            }
            path = path.parent()?;
        }
    }

    pub fn mark_broken(&mut self, path: &KeyPath) {
        self.broken.insert(path.clone());
    }

    /// Whether the path, or anything in it or around it, was refused.
    pub fn is_broken(&self, path: &KeyPath) -> bool {
        let refused = self
            .broken
            .iter()
            .any(|broken| broken.is_within(path) || path.is_within(broken));
        refused || self.cut.iter().any(|list| list.is_within(path))
    }

    /// Drops what was noted about an item that is not in the typed config.
    pub fn cut(&mut self, list: &KeyPath, item: &KeyPath) {
        self.by_path.retain(|at, _| !at.is_within(item));
        self.broken.retain(|at| !at.is_within(item));
        self.cut.insert(list.clone());
    }

    /// Whether an item of the list was refused as a whole.
    pub fn is_cut(&self, list: &KeyPath) -> bool {
        self.cut.contains(list)
    }

    /// Every path that was written, as it was written.
    pub fn shown(&self) -> impl Iterator<Item = &KeyPath> {
        self.by_path.values().map(|place| &place.shown)
    }
}
