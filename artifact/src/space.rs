//! Whether there is room for what is about to be written.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{Contents, ProgramFile, Tree};

/// Bytes that will be written below a directory. It need not be there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceNeed {
    pub dir: Utf8PathBuf,
    pub need: u64,
    /// How large a single file of it is at least.
    pub largest: u64,
}

impl SpaceNeed {
    /// What unpacking will write: the files of the bundle that the tree does not hold yet, and the programs of its archives
    /// once more, ready to be uploaded.
    #[must_use]
    pub fn to_unpack(contents: &Contents, tree: &Tree) -> Self {
        let files = contents.files.iter();
        let files = files.map(|file| (tree.path(&file.path), file.size));
        let programs = contents.files.iter().flat_map(|file| {
            let packed = file.programs.iter();
            let packed = packed.filter(|program| program.member.is_some());
            packed.map(|program| {
                let at = tree.program(ProgramFile { program, file });
                (at, program.size)
            })
        });
        let absent = files.chain(programs).filter(|(path, size)| {
            let found = std::fs::symlink_metadata(path);
            !found.is_ok_and(|found| found.len() == *size)
        });
        Self {
            dir: tree.root().to_owned(),
            need: absent.fold(0, |sum, (_, size)| sum.saturating_add(size)),
            largest: contents
                .files
                .iter()
                .map(|file| file.size)
                .max()
                .unwrap_or(0),
        }
    }

    fn fits(&self, largest_file: Option<u64>) -> Result<(), SpaceError> {
        match largest_file {
            Some(most) if self.largest > most => Err(SpaceError::FileTooLarge {
                dir: self.dir.clone(),
                need: self.largest,
                most,
            }),
            _ => Ok(()),
        }
    }
}

/// There is not enough room.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    #[error("not enough space below {dir}: {} needed, {} free", human(*.need), human(*.have))]
    Short {
        dir: Utf8PathBuf,
        need: u64,
        have: u64,
    },
    #[error(
        "no file on the file system of {dir} can be larger than {}, and {} are needed for one: it is FAT",
        human(*.most), human(*.need)
    )]
    FileTooLarge {
        dir: Utf8PathBuf,
        need: u64,
        most: u64,
    },
    #[error("cannot tell how much space is free below {dir}: {source}")]
    Unknown {
        dir: Utf8PathBuf,
        source: std::io::Error,
    },
}

/// Fails where a file system has less room than all that goes there.
pub fn check_space(rooms: &[SpaceNeed]) -> Result<(), SpaceError> {
    let mut per_device = BTreeMap::<u64, (Utf8PathBuf, u64)>::new();
    for room in rooms {
        let dir = existing(&room.dir);
        let device = std::fs::metadata(dir)
            .map_err(|source| SpaceError::Unknown {
                dir: room.dir.clone(),
                source,
            })?
            .dev();
        let entry = per_device
            .entry(device)
            .or_insert_with(|| (room.dir.clone(), 0));
        entry.1 = entry.1.saturating_add(room.need);
        let stat = rustix::fs::statfs(dir.as_std_path());
        room.fits(stat.ok().and_then(|stat| largest_file(stat.f_type)))?;
    }
    for (dir, need) in per_device.into_values() {
        let stat =
            rustix::fs::statvfs(existing(&dir).as_std_path()).map_err(|e| SpaceError::Unknown {
                dir: dir.clone(),
                source: e.into(),
            })?;
        let have = stat.f_bavail.saturating_mul(stat.f_frsize);
        if have < need {
            return Err(SpaceError::Short { dir, need, have });
        }
    }
    Ok(())
}

/// FAT counts the bytes of a file in 32 bits. What cannot be asked is told when it is written.
fn largest_file(kind: impl TryInto<u64>) -> Option<u64> {
    const FAT: u64 = 0x4d44;
    (kind.try_into().ok() == Some(FAT)).then_some(u32::MAX.into())
}

/// The directory itself or the nearest above it that is there.
fn existing(dir: &Utf8Path) -> &Utf8Path {
    dir.ancestors()
        .find(|dir| !dir.as_str().is_empty() && dir.exists())
        .unwrap_or(Utf8Path::new("."))
}

/// `1.5 GiB`
fn human(bytes: u64) -> String {
    let mut unit = "B";
    let mut divisor = 1;
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if bytes / divisor < 1024 {
            break;
        }
        divisor *= 1024;
        unit = next;
    }
    let tenths = u128::from(bytes) * 10 / u128::from(divisor);
    if divisor == 1 {
        format!("{bytes} B")
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileEntry, Program, Sha256};

    #[test]
    fn what_cannot_fit_is_refused_with_both_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8PathBuf::try_from(dir.path().to_owned()).unwrap();
        let room = |need| SpaceNeed {
            dir: dir.join("not/yet/made"),
            need,
            largest: need,
        };
        check_space(&[room(1), room(1)]).unwrap();
        // Each alone might fit; both go to one disk.
        let half =
            rustix::fs::statvfs(dir.as_std_path()).map(|s| s.f_bavail * s.f_frsize / 2 + (8 << 30));
        let error = check_space(&[room(half.unwrap()), room(half.unwrap())]).unwrap_err();
        assert!(matches!(error, SpaceError::Short { .. }), "{error}");
        let error = SpaceError::Short {
            dir: "/work".into(),
            need: 3 << 30,
            have: 1_610_612_736,
        };
        insta::assert_snapshot!(error.to_string(), @"not enough space below /work: 3.0 GiB needed, 1.5 GiB free");
    }

    #[test]
    fn a_file_that_fat_cannot_hold_is_told_before_it_is_made() {
        let room = |largest| SpaceNeed {
            dir: "/media/disk".into(),
            need: 8 << 30,
            largest,
        };
        let (ext4, fat) = (largest_file(0xef53), largest_file(0x4d44));
        room(6 << 30).fits(ext4).unwrap();
        room((4 << 30) - 1).fits(fat).unwrap();
        room(4 << 30).fits(fat).unwrap_err();
        let error = room(6 << 30).fits(fat).unwrap_err();
        insta::assert_snapshot!(error.to_string(), @"no file on the file system of /media/disk can be larger than 3.9 GiB, and 6.0 GiB are needed for one: it is FAT");
    }

    #[test]
    fn what_the_tree_holds_needs_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::at(Utf8PathBuf::try_from(dir.path().to_owned()).unwrap());
        let file = |path: &str, size| FileEntry::new(path, size, 0o644, Sha256::of(b""));
        let mut archive = file("archive", 4000);
        let program = |name: &str, member: Option<&str>, content: &[u8]| Program {
            name: name.to_owned(),
            member: member.map(str::to_owned),
            size: 40_000,
            sha256: Sha256::of(content),
        };
        // One is the file, one is in it, and one is taken out of it already.
        archive.programs = vec![
            program("itself", None, b""),
            program("packed", Some("bin/packed"), b"packed"),
            program("ready", Some("bin/ready"), b"ready"),
        ];
        let (file_of, ready) = (&archive, &archive.programs[2]);
        let ready = tree.program(ProgramFile {
            program: ready,
            file: file_of,
        });
        std::fs::create_dir_all(ready.parent().unwrap()).unwrap();
        std::fs::write(&ready, vec![0; 40_000]).unwrap();
        let contents = Contents {
            files: vec![
                file("whole", 4),
                file("half", 40),
                file("absent", 400),
                archive,
            ],
            ..Contents::new("small", "0.1.0")
        };
        for name in ["whole", "half"] {
            std::fs::write(tree.path(name.into()), "1234").unwrap();
        }
        let room = SpaceNeed::to_unpack(&contents, &tree);
        assert_eq!((room.dir.as_path(), room.need), (tree.root(), 44_440));
    }

    #[test]
    fn sizes_are_readable() {
        let all = [0, 1023, 1024, 1536, 10 << 20, (5 << 40) + (1 << 39)];
        assert_eq!(
            all.map(human).join(", "),
            "0 B, 1023 B, 1.0 KiB, 1.5 KiB, 10.0 MiB, 5.5 TiB"
        );
    }
}
