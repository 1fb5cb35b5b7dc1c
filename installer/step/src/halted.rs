use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// On which of the hosts that follow each other it went wrong. The same for the steps of all of them: who comes later is
/// left as it is.
#[derive(Clone, Debug, Default)]
pub struct Halted(Arc<Mutex<Option<String>>>);

impl Halted {
    /// The host on which it went wrong.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        self.place().clone()
    }

    /// The other host that this one has to wait for. What went wrong on this one itself is for it to try again.
    pub(crate) fn elsewhere(&self, host: &str) -> Option<String> {
        self.host().filter(|halted| halted != host)
    }

    /// It went wrong on this host. That counts until an attempt there goes well: nobody knows here which is the last.
    pub(crate) fn set(&self, host: &str) {
        self.place().get_or_insert_with(|| host.to_owned());
    }

    /// All is well on this host, whatever an attempt before came to.
    pub(crate) fn lift(&self, host: &str) {
        self.place().take_if(|halted| halted == host);
    }

    fn place(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
