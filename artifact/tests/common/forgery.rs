//! Bundles written byte by byte, as the format's description says and not as kubexm does.

use std::io::Write;

use artifact::{BundleError, Contents, FileEntry, Sha256, Tree, Verdict};
use camino::Utf8PathBuf;
use tar::{EntryType, Header};
use tempfile::TempDir;

use super::{Site, assert_nothing_bad, files_below, unpack, verify};

/// A member as tar writes it, right or wrong.
pub struct Member {
    header: Header,
    content: Vec<u8>,
}

pub fn member(path: &str, kind: EntryType, content: &[u8]) -> Member {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    Member {
        header,
        content: content.to_vec(),
    }
}

pub fn file(path: &str, content: &[u8]) -> Member {
    member(path, EntryType::Regular, content)
}

impl Member {
    pub fn bytes(mut self) -> Vec<u8> {
        self.header.set_cksum();
        let mut bytes = self.header.as_bytes().to_vec();
        bytes.extend(&self.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    pub fn with(mut self, change: impl FnOnce(&mut Header)) -> Self {
        change(&mut self.header);
        self
    }
}

/// A bundle with any content whatever.
pub struct Forgery {
    dir: TempDir,
    pub contents: Contents,
    pub members: Vec<u8>,
    pub trailer: Vec<u8>,
    /// Of the seal.
    pub notes: Vec<u8>,
}

impl Forgery {
    /// Lists `a` and `b`, each with the content of its name.
    pub fn of(members: Vec<Member>) -> Self {
        let contents = Contents {
            files: ["a", "b"].map(listed).to_vec(),
            ..Site::empty().contents
        };
        let members = members.into_iter().flat_map(Member::bytes).collect();
        Self {
            dir: TempDir::new().unwrap(),
            contents,
            members,
            trailer: vec![0; 1024],
            notes: Vec::new(),
        }
    }

    pub fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.dir.path().join(name)).unwrap()
    }

    pub fn write(&self) -> Utf8PathBuf {
        let head = file("bundle.json", &self.contents.to_bytes()).bytes();
        self.write_frames(&[&head, &[&self.members[..], &self.trailer].concat()])
    }

    pub fn write_frames(&self, contents: &[&[u8]]) -> Utf8PathBuf {
        let stored: Vec<Vec<u8>> = contents.iter().map(|content| compress(content)).collect();
        let sizes: Vec<(u32, u32)> = stored
            .iter()
            .zip(contents)
            .map(|(stored, content)| (short(stored.len()), short(content.len())))
            .collect();
        self.write_stored(&stored, &sizes)
    }

    /// The end of a bundle as its description says, around any frames.
    pub fn write_stored(&self, stored: &[Vec<u8>], sizes: &[(u32, u32)]) -> Utf8PathBuf {
        let le = |numbers: &[u32]| -> Vec<u8> {
            numbers
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect()
        };
        let frames = short(sizes.len());
        let seal_len = 8 + 8 + 4 * frames + 4 + short(self.notes.len()) + 8;
        let mut table = le(&[0x184D_2A5E, 8 * (frames + 1) + 9]);
        for (stored, content) in sizes {
            table.extend(le(&[*stored, *content]));
        }
        table.extend(le(&[seal_len, 0, frames + 1]));
        table.push(0);
        table.extend(le(&[0x8F92_EAB1]));

        let mut seal = le(&[0x184D_2A5B, seal_len - 8]);
        seal.extend(b"kubexm\0\x01");
        let mut at = 0;
        let data = stored.concat();
        for (stored, _) in sizes {
            let frame = &data[at..(at + *stored as usize).min(data.len())];
            seal.extend(le(&[crc32fast::hash(frame)]));
            at += frame.len();
        }
        seal.extend(le(&[short(self.notes.len())]));
        seal.extend(&self.notes);
        seal.extend(le(&[crc32fast::hash(&table)]));
        seal.extend(le(&[crc32fast::hash(&seal)]));

        let path = self.path("forged.tar.zst");
        let mut out = std::fs::File::create(&path).unwrap();
        out.write_all(&[data, seal, table].concat()).unwrap();
        path
    }

    pub fn refused(&self) -> String {
        self.refusal(&self.write())
    }

    /// How the bundle is refused, by everybody alike.
    pub fn refusal(&self, path: &Utf8PathBuf) -> String {
        let shown = |error: BundleError| {
            assert_eq!(error.verdict(), Verdict::Refused, "{error}");
            format!("{error}\n  hint: {}", error.hint().unwrap()).replace(path.as_str(), "BUNDLE")
        };
        let dest = Tree::at(self.path("site/tree"));
        let unpacked = shown(unpack(path, &dest).expect_err("refused by unpack"));
        let verified = shown(verify(path).expect_err("refused by verify"));
        assert_eq!(unpacked, verified);
        assert_nothing_bad(&dest, &self.contents);
        let outside = files_below(&self.path("site"));
        assert!(
            outside.iter().all(|path| path.starts_with("tree/")),
            "{outside:?}"
        );
        verified
    }
}

/// A frame as the format asks for it.
pub fn compress(content: &[u8]) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
    compressor.include_checksum(true).unwrap();
    compressor.compress(content).unwrap()
}

pub fn listed(path: &str) -> FileEntry {
    FileEntry::new(path, path.len() as u64, 0o644, Sha256::of(path.as_bytes()))
}

pub fn a() -> Member {
    file("a", b"a")
}

pub fn b() -> Member {
    file("b", b"b")
}

pub fn short(len: usize) -> u32 {
    u32::try_from(len).unwrap()
}
