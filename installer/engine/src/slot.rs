use std::fmt;
use std::sync::{Arc, OnceLock};

/// Data that only exists at run time, on its way from the step that fills it to those that take it. Taking is a
/// dependency: the graph lets no taker start before the filler is done.
pub struct Slot<T> {
    name: Arc<str>,
    cell: Arc<OnceLock<T>>,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            cell: self.cell.clone(),
        }
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({})", self.name)
    }
}

impl<T: Send + Sync + 'static> Slot<T> {
    /// An empty slot; the name is for messages.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            cell: Arc::default(),
        }
    }

    /// The first value stays.
    pub fn fill(&self, value: T) {
        let _ = self.cell.set(value);
    }

    /// What was filled in; none if the filler failed or never ran.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        self.cell.get()
    }

    #[must_use]
    pub fn id(&self) -> SlotId {
        let cell = self.cell.clone();
        SlotId {
            name: self.name.clone(),
            full: Arc::new(move || cell.get().is_some()),
            key: self.key(),
        }
    }

    fn key(&self) -> usize {
        Arc::as_ptr(&self.cell).addr()
    }
}

/// A slot without its type, for the graph.
#[derive(Clone)]
pub struct SlotId {
    name: Arc<str>,
    full: Arc<dyn Fn() -> bool + Send + Sync>,
    key: usize,
}

impl SlotId {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_full(&self) -> bool {
        (self.full)()
    }

    pub(crate) fn key(&self) -> usize {
        self.key
    }
}

impl fmt::Debug for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotId({})", self.name)
    }
}
