//! A bundle in several files: packed whole in the tree, where files may be of any size, and cut onto the medium.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;

use artifact::{Bundle, PackError, Packed, Packing, Segment, Tree, split};
use camino::{Utf8Path, Utf8PathBuf};

const ENDING: &str = ".tar.zst";

/// Where the whole is before it is cut.
pub(super) fn whole_of(tree: &Tree) -> Utf8PathBuf {
    tree.state().join("whole.tar.zst")
}

/// Packs, and cuts what is too large for one file.
pub(super) fn pack(
    packing: &Packing<'_>,
    whole: &Utf8Path,
    size: u64,
) -> Result<(Packed, Vec<Segment>), PackError> {
    let (out, cancel) = (packing.output, packing.cancel);
    let whole = Whole(whole.to_owned());
    let packed = artifact::pack(&Packing {
        output: &whole.0,
        ..*packing
    })?;
    if packed.size <= size {
        give(&whole.0, out).map_err(|source| PackError::Write {
            path: out.to_owned(),
            source,
        })?;
        return Ok((packed, Vec::new()));
    }
    let bundle = Bundle::open(&whole.0)?;
    let segments = split(&bundle, size, |n, of| named(out, n, of), cancel)?;
    let size = segments.iter().map(|segment| segment.size).sum();
    Ok((Packed { size, ..packed }, segments))
}

/// What is cut, and goes then.
struct Whole(Utf8PathBuf);

impl Drop for Whole {
    fn drop(&mut self) {
        // Its name counts for nothing, and the next run replaces it.
        let _ = fs::remove_file(&self.0);
    }
}

/// Moves a file, to another file system as well. There it has its name when all of it is on disk.
fn give(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
        done => return done,
    }
    let mode = fs::metadata(from)?.permissions().mode();
    artifact::replace(to, mode, |file| {
        io::copy(&mut File::open(from)?, file).map(drop)
    })
}

/// `site.2-of-3.tar.zst`
fn named(out: &Utf8Path, n: u32, of: u32) -> Utf8PathBuf {
    let name = out.file_name().unwrap_or_default();
    let (stem, ending) = match name.strip_suffix(ENDING) {
        Some(stem) => (stem, ENDING),
        None => (name, ""),
    };
    out.with_file_name(format!("{stem}.{n}-of-{of}{ending}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_named_by_their_number() {
        let name = |out: &str| named(out.into(), 2, 3);
        assert_eq!(name("/media/site.tar.zst"), "/media/site.2-of-3.tar.zst");
        assert_eq!(name("site-v1.36"), "site-v1.36.2-of-3");
    }

    #[test]
    fn a_file_goes_to_another_file_system_whole_or_not_at_all() {
        let (here, there) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir_in("/dev/shm").unwrap(),
        );
        let from = Utf8Path::from_path(here.path()).unwrap().join("whole");
        let there = Utf8Path::from_path(there.path()).unwrap();
        fs::write(&from, "all of it").unwrap();
        assert!(give(&from, &there.join("absent/site.tar.zst")).is_err());
        give(&from, &there.join("site.tar.zst")).unwrap();
        let names: Vec<String> = there
            .read_dir_utf8()
            .unwrap()
            .map(|it| it.unwrap().file_name().to_owned())
            .collect();
        assert_eq!(names, ["site.tar.zst"]);
        assert_eq!(
            fs::read_to_string(there.join("site.tar.zst")).unwrap(),
            "all of it"
        );
    }
}
