//! Whatever happens to a bundle on its way, it is noticed.

mod common;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use artifact::{Bundle, BundleError, Contents, Fault, Tree, Verdict};
use camino::Utf8PathBuf;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::common::{Site, assert_nothing_bad, signer, unpack, verify};

/// A bundle that is changed in place, and mended again.
struct Patient {
    site: Site,
    path: Utf8PathBuf,
    sound: Vec<u8>,
}

impl Patient {
    fn new(site: Site) -> Self {
        site.pack_as("bundle.tar.zst", 2, Some(&signer())).unwrap();
        let path = site.path("bundle.tar.zst");
        let sound = std::fs::read(&path).unwrap();
        verify(&path).unwrap();
        Self { site, path, sound }
    }

    fn contents(&self) -> &Contents {
        &self.site.contents
    }

    fn flip(&self, at: usize, mask: u8) {
        let file = OpenOptions::new().write(true).open(&self.path).unwrap();
        file.write_all_at(&[self.sound[at] ^ mask], at as u64)
            .unwrap();
    }

    fn cut(&self, len: usize) {
        OpenOptions::new()
            .write(true)
            .open(&self.path)
            .unwrap()
            .set_len(len as u64)
            .unwrap();
    }

    fn mend(&self) {
        std::fs::write(&self.path, &self.sound).unwrap();
    }

    fn verify_refuses(&self, what: &str) -> BundleError {
        let error = verify(&self.path).expect_err(what);
        assert_eq!(error.verdict(), Verdict::Refused, "{what}: {error}");
        error
    }

    fn unpack_refuses(&self, what: &str) {
        let dest = Tree::at(self.site.path("dest"));
        let error = unpack(&self.path, &dest).expect_err(what);
        assert_eq!(error.verdict(), Verdict::Refused, "{what}: {error}");
        assert_nothing_bad(&dest, self.contents());
        let _ = std::fs::remove_dir_all(dest.root());
    }
}

#[test]
fn every_bit_of_a_bundle_counts() {
    let patient = Patient::new(Site::small());
    for at in 0..patient.sound.len() {
        for bit in 0..8 {
            patient.flip(at, 1 << bit);
            patient.verify_refuses(&format!("bit {bit} of byte {at} changed"));
            if bit == at % 8 {
                patient.unpack_refuses(&format!("bit {bit} of byte {at} changed"));
            }
        }
        patient.flip(at, 0);
    }
    verify(&patient.path).unwrap();
}

#[test]
fn a_bundle_cut_anywhere_or_followed_by_anything_is_refused() {
    let patient = Patient::new(Site::small());
    for len in (0..patient.sound.len()).rev() {
        patient.cut(len);
        patient.verify_refuses(&format!("cut to {len} bytes"));
        patient.unpack_refuses(&format!("cut to {len} bytes"));
    }
    let whole = &patient.sound;
    for more in [&b"\0"[..], b"more", &whole[whole.len() - 9..], whole] {
        std::fs::write(&patient.path, [whole, more].concat()).unwrap();
        patient.verify_refuses("something appended");
        patient.unpack_refuses("something appended");
    }
}

/// Every method of compression, and every kind of damage a disk may do.
#[derive(Clone, Debug)]
enum Harm {
    Change { at: usize, mask: u8 },
    Cut { len: usize },
    Zero { from: usize, len: usize },
    Remove { from: usize, len: usize },
}

fn harm(len: usize) -> impl Strategy<Value = Harm> {
    prop_oneof![
        6 => (0..len, 1_u8..).prop_map(|(at, mask)| Harm::Change { at, mask }),
        2 => (0..len).prop_map(|len| Harm::Cut { len }),
        1 => (0..len, 1_usize..5000).prop_map(|(from, len)| Harm::Zero { from, len }),
        1 => (0..len, 1_usize..5000).prop_map(|(from, len)| Harm::Remove { from, len }),
    ]
}

fn harmed(patient: &Patient, cases: u32) {
    let mut runner = TestRunner::new_with_rng(
        Config {
            cases,
            failure_persistence: None,
            ..Config::default()
        },
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let result = runner.run(&harm(patient.sound.len()), |harm| {
        patient.mend();
        let mut bytes = patient.sound.clone();
        match harm {
            Harm::Change { at, mask } => bytes[at] ^= mask,
            Harm::Cut { len } => bytes.truncate(len),
            Harm::Zero { from, len } => {
                let to = (from + len).min(bytes.len());
                bytes[from..to].fill(0);
            }
            Harm::Remove { from, len } => {
                let to = (from + len).min(bytes.len());
                bytes.drain(from..to);
            }
        }
        if bytes != patient.sound {
            std::fs::write(&patient.path, bytes).unwrap();
            let what = format!("{harm:?}");
            patient.verify_refuses(&what);
            patient.unpack_refuses(&what);
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_thousand_random_harms_are_refused() {
    harmed(&Patient::new(Site::medium()), 1000);
}

#[test]
fn harms_to_members_that_span_frames_are_refused() {
    harmed(&Patient::new(Site::large()), 20);
}

#[test]
fn every_damaged_member_is_named_and_no_other() {
    let patient = Patient::new(Site::large());
    // Random bytes lie in the file as they are, so members can be found in it.
    let find = |needle: &[u8]| {
        let found = memchr(&patient.sound, needle);
        found.expect("stored as it is")
    };
    let blob = std::fs::read(patient.site.tree().path("images/blobs/sha256/aa".into())).unwrap();
    let at = find(&blob[5 << 20..(5 << 20) + 64]);
    patient.flip(at, 0x10);
    let error = patient.verify_refuses("a layer changed");
    let named = |member: &str| Fault::Damaged {
        member: member.into(),
    };
    assert_eq!(error.faults(), [named("images/blobs/sha256/aa")]);

    // All members of a long frame depend on each other.
    let program = common::noise(7, 64);
    patient.flip(find(&program), 0x10);
    let error = patient.verify_refuses("a program and a layer changed");
    assert_eq!(
        error.faults(),
        [
            named("images/blobs/sha256/aa"),
            named("kubernetes/v1.34.2/amd64/kubeadm"),
            named("kubernetes/v1.34.2/amd64/kubectl"),
            named("kubernetes/v1.34.2/amd64/kubelet"),
        ]
    );

    // The others come out, and a good copy needs only the rest.
    let dest = Tree::at(patient.site.path("dest"));
    unpack(&patient.path, &dest).unwrap_err();
    assert_nothing_bad(&dest, patient.contents());
    let sound = patient.contents().files.len() - error.faults().len();
    assert_eq!(common::unpacked_below(&dest).len(), sound);
    patient.mend();
    let second = unpack(&patient.path, &dest).unwrap();
    assert_eq!((second.written, second.kept), (4, sound));
    common::assert_holds(&dest, patient.contents());
}

fn memchr(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}

#[test]
fn the_messages_tell_a_cut_file_from_a_foreign_one() {
    let patient = Patient::new(Site::small());
    let shown = |what: &str| {
        let error = Bundle::open(&patient.path).expect_err(what);
        error.to_string().replace(patient.path.as_str(), "BUNDLE")
    };
    let mut messages = Vec::new();
    patient.cut(patient.sound.len() - 1);
    messages.push(shown("cut"));
    std::fs::write(&patient.path, b"apiVersion: kubexm.io/v1\n").unwrap();
    messages.push(shown("text"));
    std::fs::write(&patient.path, b"").unwrap();
    messages.push(shown("empty"));
    patient.mend();
    patient.flip(10, 1);
    messages.push(shown("head"));
    patient.mend();
    patient.flip(patient.sound.len() - 12, 1);
    messages.push(shown("table"));
    patient.mend();
    let table = 8 * 3 + 17;
    patient.flip(patient.sound.len() - table - 1, 1);
    messages.push(shown("seal"));
    insta::assert_snapshot!(messages.join("\n"), @"
    BUNDLE is damaged: it does not end with a seek table: cut short, or something was appended
    BUNDLE is not a bundle: it is no zstd file
    BUNDLE is not a bundle: it is no zstd file
    BUNDLE is damaged: its first frame, which holds bundle.json, has changed
    BUNDLE is damaged: the seek table at its end has changed
    BUNDLE is damaged: the checksums at its end have changed
    ");
}
