//! The tar stream inside a bundle. It has one form only, so that reading is comparing:
//! from `bundle.json` follows what every byte of it must be, but for the contents, and those have their digests.

use std::ops::Range;

use tar::{EntryType, Header};

use crate::bundle::members::Member;

pub(crate) const CONTENTS: &str = "bundle.json";
pub(crate) const CARRIAGE: &str = "carry.json";
pub(crate) const SIGNATURE: &str = "bundle.json.sig";
/// Where the blobs of images lie, each named by its digest.
pub(crate) const IMAGE_BLOBS: &str = "images/blobs/sha256/";
/// What an OCI layout has besides its blobs.
pub(crate) const IMAGE_DOCUMENTS: [&str; 2] = ["images/index.json", "images/oci-layout"];
pub(crate) const BLOCK: u64 = 512;
/// Two empty blocks end a tar.
pub(crate) const TRAILER: u64 = 2 * BLOCK;
const HEAD_MODE: u32 = 0o644;
pub(crate) const ZEROS: [u8; 1024] = [0; 1024];
/// What the `name` field of a tar header holds; a longer path goes before it in an entry of its own.
const SHORT_PATH: usize = 100;

/// The header blocks of a regular file.
pub(crate) fn header(path: &str, size: u64, mode: u32) -> Vec<u8> {
    let mut blocks = Vec::new();
    if path.len() > SHORT_PATH {
        let name_size = path.len() as u64 + 1;
        blocks.extend(block(
            EntryType::GNULongName,
            b"././@LongLink",
            name_size,
            HEAD_MODE,
        ));
        blocks.extend(path.as_bytes());
        blocks.push(0);
        pad(&mut blocks, name_size);
    }
    let name = &path.as_bytes()[..path.len().min(SHORT_PATH)];
    blocks.extend(block(EntryType::Regular, name, size, mode));
    blocks
}

fn block(kind: EntryType, name: &[u8], size: u64, mode: u32) -> [u8; 512] {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}

fn header_len(path: &str) -> u64 {
    if path.len() > SHORT_PATH {
        let name_size = path.len() as u64 + 1;
        2 * BLOCK + name_size + padding(name_size)
    } else {
        BLOCK
    }
}

/// How many zeros fill the last block of a content.
pub(crate) fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK) - size
}

fn pad(bytes: &mut Vec<u8>, size: u64) {
    bytes.extend(std::iter::repeat_n(
        0,
        usize::try_from(padding(size)).unwrap_or_default(),
    ));
}

/// The members that come before all others, and fill the first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub contents: Vec<u8>,
    /// What the file carries of it, where that is not all.
    pub carriage: Option<Vec<u8>>,
    pub signature: Option<Vec<u8>>,
}

impl Head {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let members = [
            (CONTENTS, Some(&self.contents)),
            (CARRIAGE, self.carriage.as_ref()),
            (SIGNATURE, self.signature.as_ref()),
        ];
        for (path, content) in members {
            let Some(content) = content else { continue };
            let size = content.len() as u64;
            bytes.extend(header(path, size, HEAD_MODE));
            bytes.extend(content);
            pad(&mut bytes, size);
        }
        bytes
    }

    /// Reads it back; none if this is not exactly what [`Head::to_bytes`] writes.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut take = |path| {
            let (content, after) = parse_member(path, rest)?;
            rest = after;
            Some(content.to_vec())
        };
        let head = Self {
            contents: take(CONTENTS)?,
            carriage: take(CARRIAGE),
            signature: take(SIGNATURE),
        };
        rest.is_empty().then_some(head)
    }
}

/// The content of a member of this name that stands at the beginning, and what follows it.
fn parse_member<'a>(name: &str, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (found, rest) = bytes.split_at_checked(512)?;
    let size = Header::from_byte_slice(found).entry_size().ok()?;
    if found != header(name, size, HEAD_MODE) {
        return None;
    }
    let (content, rest) = rest.split_at_checked(usize::try_from(size).ok()?)?;
    let (zeros, rest) = rest.split_at_checked(usize::try_from(padding(size)).ok()?)?;
    zeros
        .iter()
        .all(|byte| *byte == 0)
        .then_some((content, rest))
}

/// The bytes of a buffer that a piece stands for. Only for pieces that lie in memory, as headers do.
pub(crate) fn span(from: u64, len: u64) -> Range<usize> {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    from..from.saturating_add(usize::try_from(len).unwrap_or(usize::MAX))
}

/// Where each member that is a file lies in the stream.
#[derive(Debug)]
pub(crate) struct Layout {
    extents: Vec<Extent>,
    trailer: u64,
}

#[derive(Debug)]
struct Extent {
    start: u64,
    header: u64,
    size: u64,
}

impl Extent {
    fn end(&self) -> u64 {
        self.start + self.header + self.size + padding(self.size)
    }
}

/// A stretch of the stream that lies within one part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub part: Part,
    pub len: u64,
    /// It begins a member.
    pub first: bool,
    /// It completes a member.
    pub last: bool,
}

impl Piece {
    /// The file that ends with this piece.
    pub(crate) fn completes(&self) -> Option<usize> {
        match self.part {
            Part::Header { file, .. } | Part::Content { file } | Part::Padding { file } => {
                self.last.then_some(file)
            }
            Part::Trailer => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Header { file: usize, from: u64 },
    Content { file: usize },
    Padding { file: usize },
    Trailer,
}

impl Layout {
    pub(crate) fn new(head: u64, members: &[Member]) -> Self {
        let mut at = head;
        let extents = members
            .iter()
            .map(|member| {
                let header = header_len(member.path.as_str());
                let extent = Extent {
                    start: at,
                    header,
                    size: member.size,
                };
                at = extent.end();
                extent
            })
            .collect();
        Self {
            extents,
            trailer: at,
        }
    }

    /// The length of the whole stream.
    pub(crate) fn end(&self) -> u64 {
        self.trailer + TRAILER
    }

    /// What a file occupies, from its header to its padding.
    pub(crate) fn extent(&self, file: usize) -> Range<u64> {
        let extent = &self.extents[file];
        extent.start..extent.end()
    }

    /// The content of a file alone.
    pub(crate) fn content(&self, file: usize) -> Range<u64> {
        let extent = &self.extents[file];
        let start = extent.start + extent.header;
        start..start + extent.size
    }

    /// The files that lie in this range, wholly or in part.
    pub(crate) fn files(&self, range: &Range<u64>) -> Range<usize> {
        let from = self
            .extents
            .partition_point(|extent| extent.end() <= range.start);
        let to = self
            .extents
            .partition_point(|extent| extent.start < range.end);
        from..to.max(from)
    }

    /// The file that goes on past this place, if one does.
    pub(crate) fn across(&self, at: u64) -> Option<usize> {
        let file = self.files(&(at..at + 1)).next()?;
        (self.extents[file].start < at).then_some(file)
    }

    /// The range in pieces. It must not begin before the first listed file.
    pub(crate) fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = Piece> {
        let mut at = range.start;
        std::iter::from_fn(move || {
            let piece = (at < range.end).then(|| self.piece(at, range.end))?;
            at += piece.len;
            Some(piece)
        })
    }

    fn piece(&self, at: u64, end: u64) -> Piece {
        if at >= self.trailer {
            return Piece {
                part: Part::Trailer,
                len: end - at,
                first: false,
                last: false,
            };
        }
        let file = self.extents.partition_point(|extent| extent.start <= at) - 1;
        let extent = &self.extents[file];
        let content = extent.start + extent.header;
        let (part, stop) = if at < content {
            (
                Part::Header {
                    file,
                    from: at - extent.start,
                },
                content,
            )
        } else if at < content + extent.size {
            (Part::Content { file }, content + extent.size)
        } else {
            (Part::Padding { file }, extent.end())
        };
        let stop = stop.min(end);
        Piece {
            part,
            len: stop - at,
            first: at == extent.start,
            last: stop == extent.end(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{FileEntry, Sha256};

    #[test]
    fn headers_are_as_long_as_the_layout_says() {
        for len in [1, 99, 100, 101, 511, 512, 600] {
            let path = "p".repeat(len);
            assert_eq!(
                header(&path, 1 << 40, 0o755).len() as u64,
                header_len(&path),
                "{len}"
            );
        }
    }

    fn head(carriage: Option<&[u8]>, signature: Option<&[u8]>) -> Head {
        Head {
            contents: b"{}".to_vec(),
            carriage: carriage.map(<[u8]>::to_vec),
            signature: signature.map(<[u8]>::to_vec),
        }
    }

    #[test]
    fn a_head_is_read_back_only_in_its_one_form() {
        let signed = head(None, Some(b"signed"));
        let bytes = signed.to_bytes();
        assert_eq!(Head::parse(&bytes), Some(signed));
        for head in [
            head(None, None),
            head(Some(b"[]"), None),
            head(Some(b"[]"), Some(b"s")),
        ] {
            assert_eq!(Head::parse(&head.to_bytes()), Some(head));
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let content = (512..514).contains(&at) || (1536..1542).contains(&at);
            assert_eq!(Head::parse(&changed).is_some(), content, "{at}");
        }
        assert_eq!(Head::parse(&[]), None);
        assert_eq!(Head::parse(&bytes[..600]), None);
    }

    proptest! {
        #[test]
        fn pieces_cover_any_range_without_gap(
            sizes in proptest::collection::vec(0_u64..3000, 0..8), cut in 0_u64..20_000, len in 0_u64..20_000,
        ) {
            let members: Vec<Member> = sizes.iter().enumerate()
                .map(|(i, size)| Member::whole(i, &FileEntry::new(i.to_string(), *size, 0o644, Sha256::of(b""))))
                .collect();
            let layout = Layout::new(1024, &members);
            let from = (1024 + cut).min(layout.end());
            let to = (from + len).min(layout.end());
            prop_assert_eq!(layout.pieces(from..to).map(|piece| piece.len).sum::<u64>(), to - from);
            let all: Vec<Piece> = layout.pieces(1024..layout.end()).collect();
            prop_assert_eq!(all.iter().filter(|piece| piece.first).count(), sizes.len());
            prop_assert_eq!(all.iter().filter(|piece| piece.last).count(), sizes.len());
        }
    }
}
