//! Members that go to places of somebody's choice, beside no tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;
use tempfile::NamedTempFile;

use crate::Cancel;
use crate::bundle::error::BundleError;
use crate::bundle::members::Member;
use crate::bundle::open::Bundle;
use crate::bundle::pieces::write_pieces;
use crate::bundle::receive::{Target, receive};

struct Places<'a> {
    bundle: &'a Bundle,
    wanted: BTreeSet<usize>,
    at: &'a BTreeMap<&'a Utf8Path, Utf8PathBuf>,
}

struct Placed<'a> {
    file: NamedTempFile,
    to: &'a Utf8Path,
    mode: u32,
}

impl<'a> Target for Places<'a> {
    type Part = Placed<'a>;

    fn wants(&self, member: usize) -> bool {
        self.wanted.contains(&member)
    }

    fn begin(&self, member: usize) -> Result<Self::Part, BundleError> {
        let member = &self.bundle.members[member];
        let to = &self.at[member.path.as_path()];
        let dir = to.parent().filter(|dir| !dir.as_str().is_empty());
        let file = tempfile::Builder::new()
            .prefix(&format!(".{}.", to.file_name().unwrap_or_default()))
            .suffix(".part")
            .tempfile_in(dir.unwrap_or(Utf8Path::new(".")))
            .map_err(|source| BundleError::write(to, source))?;
        let mode = member.mode;
        Ok(Placed { file, to, mode })
    }

    fn write(
        &self,
        Placed { file, to, .. }: &mut Self::Part,
        bytes: &[u8],
    ) -> Result<(), BundleError> {
        write_pieces(file.as_file_mut(), bytes).map_err(|source| BundleError::write(to, source))
    }

    fn finish(&self, Placed { file, to, mode }: Self::Part) -> Result<(), BundleError> {
        let write = |source| BundleError::write(to, source);
        let made = file.as_file();
        match made.set_permissions(Permissions::from_mode(mode)) {
            // FAT and its kin keep no modes.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                return Err(write(error));
            }
            _ => {}
        }
        made.sync_all().map_err(write)?;
        let kept = file.persist_noclobber(to);
        kept.map(drop).map_err(|error| write(error.error))
    }
}

impl Bundle {
    /// Whether a file of the contents is in this one as it is.
    #[must_use]
    pub fn carries(&self, path: &Utf8Path) -> bool {
        self.members
            .iter()
            .any(|member| is_whole(member) && member.path == path)
    }

    /// Writes files that it carries to these places, each verified before it has its name. What is there is not replaced.
    pub(crate) fn put(
        &self,
        places: &BTreeMap<&Utf8Path, Utf8PathBuf>,
        jobs: NonZeroUsize,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<(), BundleError> {
        let members = self.members.iter().enumerate();
        let wanted: BTreeSet<usize> = members
            .filter(|(_, member)| is_whole(member) && places.contains_key(member.path.as_path()))
            .map(|(place, _)| place)
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let target = Places {
            bundle: self,
            wanted,
            at: places,
        };
        receive(self, &target, jobs, progress, cancel)
    }
}

fn is_whole(member: &Member) -> bool {
    member.patch.is_none()
}
