//! Media of several bundles, damaged, cut, exchanged and mixed, in whatever order: a tree never has anything that no bundle
//! lists, and one that says that it is whole is whole.

mod common;

use std::fs;

use artifact::{Base, Bundle, Cancel, Contents, Sha256, Tree, Verdict, split};
use camino::Utf8Path;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::common::{Site, noise, unpack, unpacked_below};

/// All files that may come, as they were written.
struct Media {
    site: Site,
    contents: [Contents; 2],
    files: Vec<File>,
}

struct File {
    bytes: Vec<u8>,
    is_whole: bool,
}

/// Neighbours of one kind would share a frame, and a frame is never parted.
fn layer(n: u64, seed: u64) -> Vec<u8> {
    let gzip: &[u8] = if n == 1 { &[] } else { &[0x1f, 0x8b] };
    [gzip, &noise(seed, 66_000)].concat()
}

impl Media {
    /// Two bundles, each whole and in segments, and a delta with patches from the one to the other.
    fn new() -> Self {
        let mut site = Site::small();
        for n in 0..3 {
            site.add(&format!("images/blobs/sha256/b{n}"), 0o644, &layer(n, n));
        }
        let program = common::program(1, 20_000);
        site.add("tools/program", 0o755, &program);
        site.sort();
        let (first, old) = (site.packed(), site.contents.clone());
        let mut files = vec![whole(&first)];
        files.extend(segments(&site, &first));
        let base = Base::open(&first).unwrap();
        let changed =
            |path: &str| !["images/blobs/sha256/b1", "tools/program", "empty"].contains(&path);
        site.contents
            .files
            .retain(|file| changed(file.path.as_str()));
        site.add("images/blobs/sha256/b1", 0o644, &layer(1, 7));
        let next = [&program[..10_000], b"patched", &program[10_000..]].concat();
        site.add("tools/program", 0o755, &next);
        site.add("tools/another", 0o755, b"#!/bin/sh\n");
        site.sort();
        files.push(File {
            is_whole: false,
            ..whole(&site.delta(&base))
        });
        let second = site.packed();
        files.push(whole(&second));
        files.extend(segments(&site, &second));
        let contents = [old, site.contents.clone()];
        Self {
            site,
            contents,
            files,
        }
    }

    fn holds_only_what_was_packed(&self, tree: &Tree) -> Result<(), TestCaseError> {
        for path in unpacked_below(tree) {
            let bytes = fs::read(tree.path(path.as_str().into())).unwrap();
            let is_listed = self.contents.iter().any(|contents| {
                let file = contents.file(path.as_str().into());
                file.is_some_and(|file| file.sha256 == Sha256::of(&bytes))
            });
            let is_list = self.contents.iter().any(|it| it.to_bytes() == bytes);
            prop_assert!(is_listed || is_list, "{}", path);
        }
        let Ok(list) = fs::read(tree.contents()) else {
            return Ok(());
        };
        let said = self.contents.iter().find(|it| it.to_bytes() == list);
        let said = said.expect("it is one of both lists");
        for file in &said.files {
            let bytes = fs::read(tree.path(&file.path)).unwrap_or_default();
            prop_assert!(
                Sha256::of(&bytes) == file.sha256,
                "{} of a tree that is whole",
                file.path
            );
        }
        Ok(())
    }

    /// What a disk and people make of these, one after the other into one tree.
    fn come(&self, came: &[(usize, Harm)]) -> Result<(), TestCaseError> {
        let tree = Tree::at(self.site.path("dest"));
        let _ = fs::remove_dir_all(tree.root());
        for (number, harm) in came {
            let file = &self.files[number % self.files.len()];
            let bytes = harm.done(&file.bytes, &self.files);
            let path = self.site.path("came.tar.zst");
            fs::write(&path, &bytes).unwrap();
            match unpack(&path, &tree) {
                // What the tree has already is not read again: damage of that is nobody's.
                Ok(unpacked) => {
                    prop_assert!(!unpacked.missing.is_empty() || tree.contents().exists());
                }
                Err(error) => {
                    prop_assert_eq!(error.verdict(), Verdict::Refused, "{}", error);
                    let is_good = file.is_whole && file.bytes == bytes;
                    prop_assert!(!is_good, "{} was refused: {}", number, error);
                }
            }
            self.holds_only_what_was_packed(&tree)?;
        }
        Ok(())
    }

    fn run(&self, cases: u32) {
        let config = Config {
            cases,
            failure_persistence: None,
            ..Config::default()
        };
        let one = (0..self.files.len(), harm());
        let several = proptest::collection::vec(one, 1..5);
        TestRunner::new(config)
            .run(&several, |came| self.come(&came))
            .unwrap();
    }
}

fn whole(path: &Utf8Path) -> File {
    File {
        bytes: fs::read(path).unwrap(),
        is_whole: true,
    }
}

fn segments(site: &Site, bundle: &Utf8Path) -> Vec<File> {
    let bundle = Bundle::open(bundle).unwrap();
    let name = |n, of| site.path(&format!("{n}-of-{of}.tar.zst"));
    let segments = split(&bundle, 90_000, name, &Cancel::default()).unwrap();
    assert!(segments.len() > 1);
    segments.iter().map(|one| whole(&one.path)).collect()
}

/// What may become of a file; places are parts of 65536.
#[derive(Clone, Debug)]
enum Harm {
    None,
    Change {
        at: u16,
        mask: u8,
    },
    Cut {
        at: u16,
    },
    Zero {
        from: u16,
        len: u16,
    },
    Remove {
        from: u16,
        len: u16,
    },
    Twice {
        from: u16,
        len: u16,
    },
    /// From somewhere on it is another file.
    Joined {
        at: u16,
        with: usize,
        from: u16,
    },
    /// A stretch of another file at the same place.
    Patched {
        with: usize,
        from: u16,
        len: u16,
    },
}

fn harm() -> impl Strategy<Value = Harm> {
    let (place, len, file) = (any::<u16>(), 1..6000_u16, 0..16_usize);
    prop_oneof![
        4 => Just(Harm::None),
        2 => (place, 1..=255_u8).prop_map(|(at, mask)| Harm::Change { at, mask }),
        1 => place.prop_map(|at| Harm::Cut { at }),
        1 => (place, len.clone()).prop_map(|(from, len)| Harm::Zero { from, len }),
        1 => (place, len.clone()).prop_map(|(from, len)| Harm::Remove { from, len }),
        1 => (place, len.clone()).prop_map(|(from, len)| Harm::Twice { from, len }),
        1 => (place, file.clone(), any::<u16>()).prop_map(|(at, with, from)| Harm::Joined { at, with, from }),
        1 => (file, any::<u16>(), len).prop_map(|(with, from, len)| Harm::Patched { with, from, len }),
    ]
}

impl Harm {
    fn done(&self, bytes: &[u8], files: &[File]) -> Vec<u8> {
        let place = |at: u16, bytes: &[u8]| usize::from(at) * bytes.len() / 65_536;
        let span = |from: u16, len: u16| {
            let from = place(from, bytes);
            from..(from + usize::from(len)).min(bytes.len())
        };
        let mut made = bytes.to_vec();
        match *self {
            Self::None => {}
            Self::Change { at, mask } => made[place(at, bytes)] ^= mask,
            Self::Cut { at } => made.truncate(place(at, bytes)),
            Self::Zero { from, len } => made[span(from, len)].fill(0),
            Self::Remove { from, len } => drop(made.drain(span(from, len))),
            Self::Twice { from, len } => {
                let span = span(from, len);
                made.splice(span.start..span.start, bytes[span].iter().copied());
            }
            Self::Joined { at, with, from } => {
                let other = &files[with % files.len()].bytes;
                made.truncate(place(at, bytes));
                made.extend(&other[place(from, other)..]);
            }
            Self::Patched { with, from, len } => {
                let other = &files[with % files.len()].bytes;
                let span = span(from, len);
                if let Some(there) = other.get(span.clone()) {
                    made[span].copy_from_slice(there);
                }
            }
        }
        made
    }
}

#[test]
fn what_comes_in_pieces_and_damaged_makes_nothing_wrong() {
    Media::new().run(150);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn what_comes_in_pieces_and_damaged_makes_nothing_wrong_ten_thousand_times() {
    Media::new().run(10_000);
}
