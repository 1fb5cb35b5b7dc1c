//! Parts of files come straight out of the frames, and no damage comes with them.

mod common;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;

use artifact::{Bundle, StretchError};
use camino::Utf8Path;

use crate::common::Site;

fn taken(bundle: &Bundle, path: &Utf8Path, range: std::ops::Range<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let taker = |part: &[u8]| {
        bytes.extend_from_slice(part);
        Ok(())
    };
    bundle.stretch(path, range, taker).unwrap();
    bytes
}

#[test]
fn any_stretch_of_any_file_is_what_was_packed() {
    let site = Site::large();
    let bundle = Bundle::open(&site.packed()).unwrap();
    for file in &site.contents.files {
        let whole = fs::read(site.tree().path(&file.path)).unwrap();
        let all = file.size;
        assert!(bundle.carries(&file.path));
        assert!(taken(&bundle, &file.path, 0..all) == whole, "{}", file.path);
        for range in [0..1, all / 3..all / 2, all.saturating_sub(7)..all, all..all] {
            let range = range.start.min(all)..range.end.min(all);
            let at = |n: u64| usize::try_from(n).unwrap();
            let expected = &whole[at(range.start)..at(range.end)];
            assert!(
                taken(&bundle, &file.path, range.clone()) == expected,
                "{} {range:?}",
                file.path
            );
        }
    }
    let nothing = Utf8Path::new("nothing");
    assert!(!bundle.carries(nothing));
    assert!(taken(&bundle, nothing, 0..9).is_empty());
}

#[test]
fn nothing_is_given_of_a_damaged_frame() {
    let site = Site::large();
    let path = site.packed();
    let end = fs::metadata(&path).unwrap().len() - 2000;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    for at in (1000..end).step_by(2_500_000) {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[!byte[0]], at).unwrap();
        let bundle = Bundle::open(&path).unwrap();
        let damaged = site.contents.files.iter().filter(|file| {
            let whole = fs::read(site.tree().path(&file.path)).unwrap();
            let mut given = Vec::new();
            let taker = |part: &[u8]| {
                given.extend_from_slice(part);
                Ok(())
            };
            let result = bundle.stretch(&file.path, 0..file.size, taker);
            assert!(whole.starts_with(&given), "{}", file.path);
            matches!(result, Err(StretchError::Bundle(_)))
        });
        assert!(damaged.count() > 0, "byte {at}");
        file.write_all_at(&byte, at).unwrap();
    }
}
