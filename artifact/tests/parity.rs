//! Parity: as many blocks as it has are made again, wherever they were, and one more is not.

mod common;

use std::fs;

use artifact::{
    Bundle, Cancel, ParityError, ParityFile, Percent, Repair, Sparing, Verdict, make_parity,
};
use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::common::{Site, noise};

const BLOCK: usize = 64 << 10;

struct Set {
    dir: TempDir,
    files: Vec<(Utf8PathBuf, Vec<u8>)>,
    parity: Vec<ParityFile>,
}

impl Set {
    /// Files of so many bytes, and parity of so many percent.
    fn new(sizes: &[usize], percent: u8) -> Self {
        Self::within(sizes, percent, u64::MAX)
    }

    fn within(sizes: &[usize], percent: u8, largest: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap();
        let mut files = Vec::new();
        for (seed, size) in sizes.iter().enumerate() {
            let path = root.join(format!("demo.{seed}.tar.zst"));
            let bytes = noise(seed as u64 + 1, *size);
            fs::write(&path, &bytes).unwrap();
            files.push((path, bytes));
        }
        let paths: Vec<Utf8PathBuf> = files.iter().map(|(path, _)| path.clone()).collect();
        let cancel = Cancel::default();
        let sparing = Sparing {
            files: &paths,
            share: Percent::new(percent).unwrap(),
            largest,
            kubexm: "0.1.0",
            cancel: &cancel,
        };
        let name = |n, of| root.join(format!("demo.{n}-of-{of}.parity"));
        let parity = make_parity(&sparing, name).unwrap();
        Self { dir, files, parity }
    }

    fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.dir.path()).unwrap()
    }

    fn spare(&self) -> usize {
        self.parity.iter().map(|file| file.blocks).sum()
    }

    /// Turns all bits of one byte in these blocks of all blocks.
    fn damage(&self, blocks: &[usize]) {
        for block in blocks {
            let mut left = *block;
            for (path, bytes) in &self.files {
                let here = bytes.len().div_ceil(BLOCK);
                if left < here {
                    let mut now = fs::read(path).unwrap();
                    let at = (left * BLOCK + left % BLOCK).min(now.len() - 1);
                    now[at] ^= 0xff;
                    fs::write(path, now).unwrap();
                    break;
                }
                left -= here;
            }
        }
    }

    fn look(&self) -> Result<Repair, ParityError> {
        Repair::look(&[self.root().to_owned()], &Cancel::default())
    }

    fn mend(&self) -> Result<Vec<String>, ParityError> {
        let mended = self
            .look()?
            .mend(self.root(), &Progress::unseen(), &Cancel::default())?;
        let names = mended.iter().map(|one| {
            let name = one.path.file_name().unwrap();
            format!("{name}: {}", one.blocks)
        });
        Ok(names.collect())
    }

    fn assert_as_before(&self) {
        for (path, bytes) in &self.files {
            assert!(fs::read(path).unwrap() == *bytes, "{path}");
        }
        for entry in self.root().read_dir_utf8().unwrap() {
            assert!(!entry.unwrap().file_name().starts_with('.'));
        }
    }

    fn said(&self, error: &ParityError) -> String {
        let hint = error.hint().unwrap_or_default();
        let said = format!("{:?}: {error}\n  hint: {hint}", error.verdict());
        said.replace(self.root().as_str(), "DIR")
    }
}

#[test]
fn damaged_and_lost_files_are_made_again_and_it_is_said_which() {
    // 4, 3 and 1 blocks, and as many more.
    let set = Set::new(&[4 * BLOCK, 2 * BLOCK + 5, 100], 100);
    assert_eq!(set.spare(), 8);
    assert!(set.mend().unwrap().is_empty(), "nothing is wrong");
    fs::remove_file(&set.files[0].0).unwrap();
    set.damage(&[6]);
    fs::write(&set.files[2].0, "cut").unwrap();
    let missing: Vec<usize> = set
        .look()
        .unwrap()
        .files()
        .iter()
        .map(|it| it.missing)
        .collect();
    assert_eq!(missing, [4, 1, 1]);
    let mended = set.mend().unwrap();
    assert_eq!(
        mended,
        [
            "demo.0.tar.zst: 4",
            "demo.1.tar.zst: 1",
            "demo.2.tar.zst: 1"
        ]
    );
    set.assert_as_before();
    assert!(
        set.mend().unwrap().is_empty(),
        "a second run changes nothing"
    );
}

#[test]
fn names_play_no_part_and_what_is_too_long_is_made_short() {
    let set = Set::new(&[BLOCK, BLOCK + 1], 50);
    let (one, other) = (&set.files[0], &set.files[1]);
    fs::rename(&one.0, set.root().join("ONE (1).TAR")).unwrap();
    fs::write(&other.0, [other.1.as_slice(), b"more"].concat()).unwrap();
    fs::write(set.root().join("stranger"), "of somebody else").unwrap();
    assert_eq!(set.mend().unwrap(), ["demo.1.tar.zst: 0"]);
    assert_eq!(fs::read(&other.0).unwrap(), other.1);
}

#[test]
fn what_one_copy_has_lost_another_may_have() {
    let set = Set::new(&[4 * BLOCK], 1);
    assert_eq!(set.spare(), 1);
    let copy = set.root().join("copy");
    fs::copy(&set.files[0].0, &copy).unwrap();
    set.damage(&[0, 1]);
    let mut bytes = set.files[0].1.clone();
    bytes[3 * BLOCK] ^= 1;
    bytes[2 * BLOCK] ^= 1;
    fs::write(&copy, bytes).unwrap();
    assert_eq!(set.mend().unwrap(), ["demo.0.tar.zst: 0"]);
    assert_eq!(fs::read(&set.files[0].0).unwrap(), set.files[0].1);
}

#[test]
fn parity_that_is_parted_counts_together_and_a_damaged_head_has_a_second() {
    let set = Set::within(&[8 * BLOCK], 50, 2 * BLOCK as u64 + 4000);
    assert_eq!(set.parity.len(), 2, "{:?}", set.parity);
    for part in &set.parity {
        assert!(part.size <= 2 * BLOCK as u64 + 4000);
        assert_eq!(fs::metadata(&part.path).unwrap().len(), part.size);
    }
    let mut bytes = fs::read(&set.parity[0].path).unwrap();
    bytes[20] ^= 1;
    fs::write(&set.parity[0].path, &bytes).unwrap();
    set.damage(&[0, 3, 5, 7]);
    assert_eq!(set.mend().unwrap(), ["demo.0.tar.zst: 4"]);
    set.assert_as_before();
    // A damaged block of parity is one less.
    let middle = bytes.len() / 4;
    bytes[middle] ^= 1;
    fs::write(&set.parity[0].path, &bytes).unwrap();
    assert_eq!(set.look().unwrap().spare(), 3);
}

#[test]
fn what_cannot_be_made_again_is_told_and_nothing_is_touched() {
    let set = Set::new(&[4 * BLOCK, 100], 40);
    assert_eq!(set.spare(), 2);
    set.damage(&[0, 2, 4]);
    let before = fs::read(&set.files[0].0).unwrap();
    let mut said = vec![set.said(&set.mend().unwrap_err())];
    assert_eq!(fs::read(&set.files[0].0).unwrap(), before);

    let nothing = Repair::look(std::slice::from_ref(&set.files[0].0), &Cancel::default());
    said.push(set.said(&nothing.unwrap_err()));
    let other = Set::new(&[BLOCK], 100);
    let both = [set.parity[0].path.clone(), other.parity[0].path.clone()];
    let several = Repair::look(&both, &Cancel::default()).unwrap_err();
    assert_eq!(several.verdict(), Verdict::Refused);
    said.push(set.said(&several).replace(other.root().as_str(), "OTHER"));

    let out = set.root().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("demo.0.tar.zst"), "mine").unwrap();
    fs::write(&set.files[1].0, &set.files[1].1).unwrap();
    let there = set.look().unwrap();
    let there = there.mend(&out, &Progress::unseen(), &Cancel::default());
    said.push(set.said(&there.unwrap_err()));
    assert_eq!(fs::read(out.join("demo.0.tar.zst")).unwrap(), b"mine");
    let small = Sparing {
        files: &[set.files[0].0.clone()],
        share: Percent::new(5).unwrap(),
        largest: 1000,
        kubexm: "0.1.0",
        cancel: &Cancel::default(),
    };
    let small = make_parity(&small, |_, _| set.root().join("small.parity"));
    said.push(set.said(&small.unwrap_err()));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_bundle_that_was_made_again_is_the_bundle() {
    let site = Site::large();
    let bundle = site.packed();
    let good = fs::read(&bundle).unwrap();
    let cancel = Cancel::default();
    let sparing = Sparing {
        files: std::slice::from_ref(&bundle),
        share: Percent::new(5).unwrap(),
        largest: u64::MAX,
        kubexm: "0.1.0",
        cancel: &cancel,
    };
    let parity = make_parity(&sparing, |_, _| site.path("bundle.parity")).unwrap();
    let (spare, extra) = (parity[0].blocks, parity[0].size);
    assert!(extra < good.len() as u64 / 15, "{extra} of {}", good.len());
    // One place that is spoilt, of nearly as many bytes as can be.
    let mut bad = good.clone();
    let length = (spare - 1) * BLOCK;
    bad[123_456..123_456 + length].fill(0);
    fs::write(&bundle, &bad).unwrap();
    assert!(common::verify(&bundle).is_err());
    let named = [bundle.clone(), parity[0].path.clone()];
    let repair = Repair::look(&named, &cancel).unwrap();
    let out = bundle.parent().unwrap();
    repair.mend(out, &Progress::unseen(), &cancel).unwrap();
    assert!(fs::read(&bundle).unwrap() == good);
    common::verify(&bundle).unwrap();
    Bundle::open(&bundle).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The promise: as many blocks as there are of parity come back, whichever they are, and never anything else.
    #[test]
    fn so_many_blocks_come_back_whichever_they_are(
        sizes in proptest::collection::vec(1_usize..5 * BLOCK, 1..4),
        percent in 1_u8..=100,
        lost in proptest::collection::vec(0_usize..16, 0..8),
    ) {
        let set = Set::new(&sizes, percent);
        let all: usize = sizes.iter().map(|size| size.div_ceil(BLOCK)).sum();
        let mut lost: Vec<usize> = lost.into_iter().filter(|block| *block < all).collect();
        lost.sort_unstable();
        lost.dedup();
        set.damage(&lost);
        match set.mend() {
            Ok(_) => {
                prop_assert!(lost.len() <= set.spare());
                set.assert_as_before();
            }
            Err(ParityError::TooMuch { missing, have, .. }) => {
                prop_assert!(lost.len() > set.spare());
                prop_assert_eq!((missing, have), (lost.len(), set.spare()));
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
    }

    /// Whatever became of a parity file, nothing wrong gets a name.
    #[test]
    fn damaged_parity_makes_nothing_wrong(at in 0_usize..200_000, with in 1_u8.., cut in 0_usize..200_000) {
        let set = Set::new(&[3 * BLOCK], 60);
        let path = &set.parity[0].path;
        let mut bytes = fs::read(path).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= with;
        bytes.truncate(bytes.len() - cut % bytes.len() / 2);
        fs::write(path, bytes).unwrap();
        set.damage(&[1]);
        if set.mend().is_ok() {
            set.assert_as_before();
        }
    }
}
