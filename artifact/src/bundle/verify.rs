use std::num::NonZeroUsize;

use event::Progress;

use crate::Cancel;
use crate::bundle::error::BundleError;
use crate::bundle::images;
use crate::bundle::open::Bundle;
use crate::bundle::receive::{Target, receive};

/// Takes everything and keeps nothing.
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
    /// was packed, and all of each image is there. All that is wrong is named at once, in [`BundleError::Faulty`].
    ///
    /// `progress` counts the bytes of the files; [`crate::Contents::content_size`] is the total.
    pub fn verify(
        &self,
        jobs: NonZeroUsize,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<(), BundleError> {
        receive(self, &Nowhere, jobs, progress, cancel)?;
        images::prove(self, cancel)
    }
}
