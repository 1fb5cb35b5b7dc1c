use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;

use crate::bundle::error::BundleError;
use crate::bundle::members::Member;
use crate::bundle::open::Bundle;
use crate::bundle::pieces::write_pieces;
use crate::bundle::receive::{Target, receive};
use crate::{Cancel, Sha256};

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

/// Some members, in files.
struct Aside<'a, P> {
    bundle: &'a Bundle,
    wanted: BTreeSet<usize>,
    to: P,
}

impl<P: Fn(Sha256) -> Utf8PathBuf + Sync> Target for Aside<'_, P> {
    type Part = (File, Utf8PathBuf);

    fn wants(&self, member: usize) -> bool {
        self.wanted.contains(&member)
    }

    fn begin(&self, member: usize) -> Result<Self::Part, BundleError> {
        let path = (self.to)(self.bundle.members[member].sha256);
        let file = File::create(&path).map_err(|source| BundleError::write(&path, source))?;
        Ok((file, path))
    }

    fn write(&self, (file, path): &mut Self::Part, bytes: &[u8]) -> Result<(), BundleError> {
        write_pieces(file, bytes).map_err(|source| BundleError::write(path, source))
    }

    fn finish(&self, _: Self::Part) -> Result<(), BundleError> {
        Ok(())
    }
}

impl Bundle {
    /// Writes those files of the bundle that have these digests, verified, and tells which there were.
    pub(super) fn put_aside(
        &self,
        digests: &HashSet<Sha256>,
        to: impl Fn(Sha256) -> Utf8PathBuf + Sync,
        cancel: &Cancel,
    ) -> Result<BTreeSet<Sha256>, BundleError> {
        let mut found = BTreeSet::new();
        let members = self.members.iter().enumerate();
        let wanted: BTreeSet<usize> = members
            .filter(|(_, member)| member.patch.is_none() && digests.contains(&member.sha256))
            .filter(|(_, member)| found.insert(member.sha256))
            .map(|(place, _)| place)
            .collect();
        if !wanted.is_empty() {
            let aside = Aside {
                bundle: self,
                wanted,
                to,
            };
            let unseen = Progress::unseen();
            receive(self, &aside, NonZeroUsize::MIN, &unseen, cancel)?;
        }
        Ok(found)
    }

    /// The content of one small member, verified; none if there is no such file in it. Only the frames that hold it
    /// are read, and nothing of a member that is larger than `most`.
    pub fn read(
        &self,
        path: &Utf8Path,
        most: u64,
        cancel: &Cancel,
    ) -> Result<Option<Vec<u8>>, BundleError> {
        let whole = |member: &Member| member.patch.is_none() && member.path == path;
        let Some(wanted) = self.members.iter().position(whole) else {
            return Ok(None);
        };
        let size = self.members[wanted].size;
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

    /// The contents of members by their places, verified. Each frame is read once, and the caller has seen to it
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
