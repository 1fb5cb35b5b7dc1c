use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use camino::Utf8Path;
use event::Progress;

use crate::Cancel;
use crate::bundle::error::BundleError;
use crate::bundle::open::Bundle;
use crate::bundle::receive::{Target, receive};

/// Some members, in memory.
struct Chosen<'a> {
    wanted: &'a BTreeSet<usize>,
    contents: Mutex<HashMap<usize, Vec<u8>>>,
}

impl Target for Chosen<'_> {
    type Part = (usize, Vec<u8>);

    fn wants(&self, file: usize) -> bool {
        self.wanted.contains(&file)
    }

    fn begin(&self, file: usize) -> Result<Self::Part, BundleError> {
        Ok((file, Vec::new()))
    }

    fn write(&self, (_, content): &mut Self::Part, bytes: &[u8]) -> Result<(), BundleError> {
        content.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&self, (file, content): Self::Part) -> Result<(), BundleError> {
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        contents.insert(file, content);
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
            .contents()
            .files
            .iter()
            .position(|file| file.path == path)
        else {
            return Ok(None);
        };
        let size = self.contents().files[wanted].size;
        if size > most {
            return Err(BundleError::LargeMember {
                path: self.path().to_owned(),
                member: path.to_owned(),
                size,
                most,
            });
        }
        Ok(self
            .read_all(&BTreeSet::from([wanted]), cancel)?
            .remove(&wanted))
    }

    /// The contents of files by their places in `files`, verified. Each frame is read once, and the caller has seen to it
    /// that the sizes add up to little.
    pub(super) fn read_all(
        &self,
        wanted: &BTreeSet<usize>,
        cancel: &Cancel,
    ) -> Result<HashMap<usize, Vec<u8>>, BundleError> {
        let chosen = Chosen {
            wanted,
            contents: Mutex::default(),
        };
        receive(
            self,
            &chosen,
            NonZeroUsize::MIN,
            &Progress::unseen(),
            cancel,
        )?;
        Ok(chosen
            .contents
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner))
    }
}
