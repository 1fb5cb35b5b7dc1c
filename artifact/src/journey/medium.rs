//! What kind of place a medium is, before anything is done with it.

use std::fmt;
use std::io;

use camino::Utf8Path;
use rustix::fs::StatVfsMountFlags;

/// A mounted medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Medium {
    pub file_system: FileSystem,
    pub free: u64,
    pub is_read_only: bool,
}

/// A file system, as far as it matters to what travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    Fat,
    ExFat,
    Ntfs,
    /// Of optical discs.
    Disc,
    /// It is gone with the power.
    Memory,
    /// On another machine.
    Network,
    /// A program stands between, and has a memory of its own.
    User,
    /// Layers over others, of which it cannot be told where they are.
    Overlay,
    Other,
}

impl Medium {
    pub fn look(dir: &Utf8Path) -> io::Result<Self> {
        let kind = rustix::fs::statfs(dir.as_std_path())?;
        let room = rustix::fs::statvfs(dir.as_std_path())?;
        Ok(Self {
            file_system: u64::try_from(kind.f_type).map_or(FileSystem::Other, FileSystem::of),
            free: room.f_bavail.saturating_mul(room.f_frsize),
            is_read_only: room.f_flag.contains(StatVfsMountFlags::RDONLY),
        })
    }
}

impl FileSystem {
    /// By the numbers of the kernel's `magic.h`.
    const fn of(magic: u64) -> Self {
        match magic & 0xffff_ffff {
            0x4d44 => Self::Fat,
            0x2011_bab0 => Self::ExFat,
            0x5346_544e | 0x7366_746e => Self::Ntfs,
            0x9660 | 0x1501_3346 => Self::Disc,
            0x0102_1994 | 0x8584_58f6 => Self::Memory,
            0x6969 | 0xff53_4d42 | 0xfe53_4d42 | 0x517b => Self::Network,
            0x6573_5546 => Self::User,
            0x794c_7630 => Self::Overlay,
            _ => Self::Other,
        }
    }

    /// The largest file, where that is less than anybody has.
    #[must_use]
    pub const fn largest_file(self) -> Option<u64> {
        match self {
            // It counts the bytes of a file in 32 bits.
            Self::Fat => Some(u32::MAX as u64),
            _ => None,
        }
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fat => "FAT, no file of 4 GiB or more",
            Self::ExFat => "exFAT",
            Self::Ntfs => "NTFS",
            Self::Disc => "an optical disc",
            Self::Memory => "memory of this machine, and no medium",
            Self::Network => "a file system of another machine",
            Self::User => "a file system in user space (FUSE)",
            Self::Overlay => "an overlay",
            Self::Other => "a file system of Linux",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_memory_is_no_medium() {
        let shm = Utf8Path::new("/dev/shm");
        if shm.is_dir() {
            let medium = Medium::look(shm).unwrap();
            assert_eq!(medium.file_system, FileSystem::Memory);
            assert!(medium.free > 0 && !medium.is_read_only);
        }
        assert_eq!(FileSystem::of(0x4d44).largest_file(), Some(4_294_967_295));
        assert_eq!(FileSystem::of(0xef53).largest_file(), None);
    }
}
