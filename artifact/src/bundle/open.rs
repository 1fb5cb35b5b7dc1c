use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Zoned;

use crate::bundle::carriage::{Carriage, Carry};
use crate::bundle::error::BundleError;
use crate::bundle::frame;
use crate::bundle::members::Member;
use crate::bundle::seal::{self, Frame, SealError};
use crate::bundle::stream::{CONTENTS, Head, Layout};
use crate::contents::HEAD_MAX;
use crate::{
    Contents, FileEntry, Principal, Purpose, Sha256, SignatureError, open_regular, verify_signature,
};

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// What FAT32 can hold of a file.
const FAT_MAX: u64 = u32::MAX as u64;
const SEEN_OF_THE_END: u64 = 4096;

/// A bundle, of which the first frame and the seek table have been read. However large it is, that takes milliseconds.
///
/// What `bundle.json` says is checked against itself here; the rest of the file is not looked at before
/// [`Bundle::verify`] or [`Bundle::unpack`].
#[derive(Debug)]
pub struct Bundle {
    pub(super) path: Utf8PathBuf,
    pub(super) file: File,
    size: u64,
    /// The first is the head.
    pub(super) frames: Vec<Frame>,
    contents: Contents,
    contents_bytes: Vec<u8>,
    signature: Option<Vec<u8>>,
    carriage: Option<Carriage>,
    /// What of the contents is in this file, in the order of the tar.
    pub(super) members: Vec<Member>,
    pub(super) layout: Layout,
}

impl Bundle {
    pub fn open(path: &Utf8Path) -> Result<Self, BundleError> {
        let open = |source: io::Error| match source.kind() {
            ErrorKind::IsADirectory | ErrorKind::InvalidInput => {
                not_a_bundle(path, "it is no regular file")
            }
            _ => BundleError::Open {
                path: path.to_owned(),
                source,
            },
        };
        let file = open_regular(path).map_err(open)?;
        let size = file.metadata().map_err(open)?.len();
        let frames = seal::read(&file, size).map_err(|error| unsealed(path, &file, size, error))?;
        let head = read_head(path, &file, frames.first())?;
        let head_len = head.len() as u64;
        let Head {
            contents: contents_bytes,
            carriage,
            signature,
        } = Head::parse(&head).ok_or_else(|| {
            let why = "its first frame does not hold bundle.json, and at most carry.json and bundle.json.sig, in the form of the format";
            not_a_bundle(path, why)
        })?;
        drop(head);
        let contents = Contents::read(&contents_bytes).map_err(|source| BundleError::Contents {
            path: path.to_owned(),
            source,
        })?;
        let (carriage, members) = match carriage {
            None => {
                let files = contents.files.iter().enumerate();
                (
                    None,
                    files.map(|(i, file)| Member::whole(i, file)).collect(),
                )
            }
            Some(bytes) => {
                let carry = Carry::read(&bytes, Sha256::of(&contents_bytes), &contents).map_err(
                    |source| BundleError::Carry {
                        path: path.to_owned(),
                        source,
                    },
                )?;
                let members = carry.members.iter();
                let members = members.map(|carried| Member::of(carried, &contents));
                (Some(carry.carriage), members.collect::<Vec<_>>())
            }
        };
        let layout = Layout::new(head_len, &members);
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            frames,
            contents,
            contents_bytes,
            signature,
            carriage,
            members,
            layout,
        })
    }

    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The length of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    #[must_use]
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// `bundle.json` as it stands: what a signature is made over.
    #[must_use]
    pub fn contents_bytes(&self) -> &[u8] {
        &self.contents_bytes
    }

    /// The digest of `bundle.json`: what identifies the bundle.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        Sha256::of(&self.contents_bytes)
    }

    /// `bundle.json.sig`, if the bundle has one. Having one proves nothing; see [`Bundle::signed_by`].
    #[must_use]
    pub fn signature(&self) -> Option<&[u8]> {
        self.signature.as_deref()
    }

    /// What part of its contents the file carries; none where that is all.
    #[must_use]
    pub fn carriage(&self) -> Option<&Carriage> {
        self.carriage.as_ref()
    }

    /// What of the contents is in this file, and how.
    pub fn carried(&self) -> impl Iterator<Item = CarriedFile<'_>> {
        self.members.iter().map(|member| CarriedFile {
            file: &self.contents.files[member.file],
            stored: member.size,
            is_patch: member.patch.is_some(),
        })
    }

    /// The bytes of all that is carried, as they are before they are compressed.
    #[must_use]
    pub fn carried_size(&self) -> u64 {
        self.members
            .iter()
            .fold(0, |sum, member| sum.saturating_add(member.size))
    }

    /// How many frames the data is in.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Who of the signers (the text of an `allowed_signers` file) signed this bundle.
    pub fn signed_by(
        &self,
        allowed_signers: &str,
        now: &Zoned,
    ) -> Result<Principal, SignatureError> {
        verify_signature(
            Purpose::Bundle,
            &self.contents_bytes,
            self.signature(),
            allowed_signers,
            now,
        )
    }
}

/// A file of the contents that is in a bundle.
#[derive(Clone, Copy, Debug)]
pub struct CarriedFile<'a> {
    pub file: &'a FileEntry,
    /// The length of the member.
    pub stored: u64,
    /// It is made from a file that the receiver has.
    pub is_patch: bool,
}

fn not_a_bundle(path: &Utf8Path, why: impl Into<String>) -> BundleError {
    BundleError::NotABundle {
        path: path.to_owned(),
        why: why.into(),
    }
}

fn broken(path: &Utf8Path, why: impl Into<String>) -> BundleError {
    BundleError::Broken {
        path: path.to_owned(),
        why: why.into(),
    }
}

/// Where a medium gives back nothing of what was written last.
fn ends_with_zeros(file: &File, size: u64) -> bool {
    let mut end = vec![1; usize::try_from(size.min(SEEN_OF_THE_END)).unwrap_or_default()];
    let read = file.read_exact_at(&mut end, size.saturating_sub(SEEN_OF_THE_END));
    read.is_ok() && end.iter().all(|byte| *byte == 0)
}

fn unsealed(path: &Utf8Path, file: &File, size: u64, error: SealError) -> BundleError {
    match error {
        SealError::Read(source) => BundleError::read(path, source),
        SealError::Newer(_) | SealError::Requires(_) => BundleError::Newer {
            path: path.to_owned(),
            why: error.to_string(),
        },
        SealError::Unsealed | SealError::Impossible => not_a_bundle(path, error.to_string()),
        SealError::NoTable | SealError::Table | SealError::Seal => {
            let mut start = [0; 4];
            match file.read_exact_at(&mut start, 0) {
                Ok(()) if start == ZSTD_MAGIC && size == FAT_MAX => BundleError::CutByFat {
                    path: path.to_owned(),
                },
                Ok(()) if start == ZSTD_MAGIC && ends_with_zeros(file, size) => broken(
                    path,
                    "its end is nothing but zeros: the medium holds less than it says, or was unplugged before all was written",
                ),
                Ok(()) if start == ZSTD_MAGIC => broken(path, error.to_string()),
                _ => not_a_bundle(path, "it is no zstd file"),
            }
        }
    }
}

fn read_head(path: &Utf8Path, file: &File, head: Option<&Frame>) -> Result<Vec<u8>, BundleError> {
    let head = head.ok_or_else(|| broken(path, "it has no data"))?;
    if head.content_len() > HEAD_MAX {
        return Err(not_a_bundle(
            path,
            format!("its {CONTENTS} would be larger than {} MiB", HEAD_MAX >> 20),
        ));
    }
    let len = |len| usize::try_from(len).unwrap_or(usize::MAX);
    let mut stored = vec![0; len(head.stored_len())];
    file.read_exact_at(&mut stored, head.stored.start)
        .map_err(|source| BundleError::read(path, source))?;
    let odd = |why| {
        not_a_bundle(
            path,
            format!("its first frame is not as the format says: {why}"),
        )
    };
    if crc32fast::hash(&stored) != head.checksum {
        return Err(broken(
            path,
            format!("its first frame, which holds {CONTENTS}, has changed"),
        ));
    }
    if let Some(why) = frame::refused(&stored) {
        return Err(odd(why));
    }
    if !frame::is_one(&stored) {
        return Err(odd(frame::NOT_ALONE));
    }
    match zstd::bulk::decompress(&stored, len(head.content_len())) {
        Ok(content) if content.len() as u64 == head.content_len() => Ok(content),
        _ => Err(odd(frame::CONTENT)),
    }
}
