use std::convert::Infallible;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file
}

fn gzip(content: &[u8], level: u32) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::new(level));
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

fn patch(base: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let (old, wanted) = (file(base), file(new));
    let sized = |file, content: &[u8]| Sized {
        file,
        size: content.len() as u64,
    };
    let mut out = Vec::new();
    let (old, wanted) = (sized(&old, base), sized(&wanted, new));
    make(
        old,
        wanted,
        tempfile::tempfile,
        &mut out,
        &Cancel::default(),
    )
    .is_ok()
    .then_some(out)
}

fn applied(base: &[u8], patch: &[u8]) -> Option<Vec<u8>> {
    let old = file(base);
    let old = Sized {
        file: &old,
        size: base.len() as u64,
    };
    let mut made = Vec::new();
    let cancel = Cancel::default();
    let result = apply(old, tempfile::tempfile, patch, &cancel, |bytes| {
        made.extend_from_slice(bytes);
        Ok::<_, Infallible>(())
    });
    result.is_ok().then_some(made)
}

/// As programs are: half of it says little.
fn program(seed: u64, len: u64) -> Vec<u8> {
    (0..len)
        .flat_map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40 << (seed % 3)).to_le_bytes())
        .collect()
}

#[test]
fn layers_of_two_versions_differ_in_what_differs_inside() {
    let old = program(0, 900_000);
    let mut new = old.clone();
    new.splice(1_000_000..1_000_050, b"the next version".iter().copied());
    let mut told = Vec::new();
    for level in [1, 6, 9] {
        let (base, wanted) = (gzip(&old, level), gzip(&new, level));
        // Not every writer can be told from what it wrote.
        let Some(bytes) = patch(&base, &wanted) else {
            continue;
        };
        assert!(bytes.len() < wanted.len() / 4, "{level}: {}", bytes.len());
        assert_eq!(applied(&base, &bytes), Some(wanted));
        told.push(level);
    }
    assert!(!told.is_empty());
}

#[test]
fn what_is_no_single_gzip_stream_travels_whole() {
    let good = gzip(b"a layer", 6);
    let bomb = gzip(&vec![0; 80 << 20], 9);
    for other in [&b"a tar"[..], b"", &good[..10], &bomb] {
        assert!(patch(&good, other).is_none() || other.len() > 1000);
        assert!(other == bomb || patch(other, &good).is_none());
    }
    let followed = [&good[..], &vec![7; TRAILER_MAX + 1]].concat();
    assert!(patch(&good, &followed).is_none());
}

#[test]
fn headers_with_names_are_kept() {
    let mut named = gzip(b"what is inside of it", 6);
    named[3] = 8;
    named.splice(10..10, b"layer.tar\0".iter().copied());
    let bytes = patch(&named, &named).unwrap();
    assert_eq!(applied(&named, &bytes), Some(named));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_layer_is_made_again_or_travels_whole(
        old in proptest::collection::vec(any::<u8>(), 1..3000),
        new in proptest::collection::vec(0_u8..4, 1..3000),
        level in 0_u32..10,
    ) {
        let (base, wanted) = (gzip(&old, 6), gzip(&new, level));
        if let Some(bytes) = patch(&base, &wanted) {
            prop_assert_eq!(applied(&base, &bytes), Some(wanted));
        }
    }

    #[test]
    fn no_bytes_make_it_fall(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(applied(&gzip(b"a layer", 6), &bytes), None);
    }

    #[test]
    fn a_changed_patch_does_no_harm(at in 0_usize..5000, to in any::<u8>(), cut in 0_usize..5000) {
        let (old, new) = (program(0, 2000), program(1, 2000));
        let base = gzip(&old, 6);
        let mut bytes = patch(&base, &gzip(&new, 6)).unwrap();
        let len = bytes.len();
        bytes[at % len] = to;
        // Whatever comes out is judged by its digest.
        let _ = applied(&base, &bytes);
        prop_assert_eq!(applied(&base, &bytes[..cut % len]), None);
    }
}
