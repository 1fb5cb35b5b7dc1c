use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use camino::Utf8Path;
use event::Progress;

use crate::Cancel;
use crate::bundle::error::BundleError;
use crate::bundle::open::Bundle;
use crate::bundle::receive::{Target, receive};

/// One member, in memory.
struct One {
    wanted: usize,
    content: Mutex<Vec<u8>>,
}

impl Target for One {
    type Part = Vec<u8>;

    fn wants(&self, file: usize) -> bool {
        file == self.wanted
    }

    fn begin(&self, _: usize) -> Result<Vec<u8>, BundleError> {
        Ok(Vec::new())
    }

    fn write(&self, part: &mut Vec<u8>, bytes: &[u8]) -> Result<(), BundleError> {
        part.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&self, part: Vec<u8>) -> Result<(), BundleError> {
        *self.content.lock().unwrap_or_else(PoisonError::into_inner) = part;
        Ok(())
    }
}

impl Bundle {
    /// The content of one small member, verified; none if the bundle lists no such file. Only the frames that hold it
    /// are read, and nothing of a member that is larger than `most`.
    pub fn read(
        &self,
        path: &Utf8Path,
        most: u64,
        cancel: &Cancel,
    ) -> Result<Option<Vec<u8>>, BundleError> {
        let Some(wanted) = self
            .manifest()
            .files
            .iter()
            .position(|file| file.path == path)
        else {
            return Ok(None);
        };
        let size = self.manifest().files[wanted].size;
        if size > most {
            return Err(BundleError::LargeMember {
                path: self.path().to_owned(),
                member: path.to_owned(),
                size,
                most,
            });
        }
        let one = One {
            wanted,
            content: Mutex::default(),
        };
        receive(self, &one, NonZeroUsize::MIN, &Progress::unseen(), cancel)?;
        Ok(Some(
            one.content
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        ))
    }
}
