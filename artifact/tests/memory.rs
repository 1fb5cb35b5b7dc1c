//! By itself in its process, so that what the process took can be told.

mod common;

use std::fs::File;

use artifact::{FileEntry, Sha256};
use cluster::Arch;
use sha2::Digest;

use crate::common::{Site, verify};

const MIB: u64 = 1 << 20;
const SIZE: u64 = 200 * MIB;

/// The most memory that this process ever had.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

#[test]
fn memory_stays_below_256_mib_whatever_is_packed() {
    let mut site = Site::small();
    let mut hasher = sha2::Sha256::new();
    let mebibyte = vec![0; 1 << 20];
    for _ in 0..SIZE / MIB {
        hasher.update(&mebibyte);
    }
    let zeros = Sha256::from(hasher);
    for name in ["kubernetes/kubeadm", "kubernetes/kubelet", "tools/large"] {
        let path = site.tree().path(name.into());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().set_len(SIZE).unwrap();
        let mut entry = FileEntry::new(name, SIZE, 0o755, zeros);
        if name.starts_with("kubernetes") {
            entry.component = Some("kubernetes".into());
            entry.arch = Some(Arch::Amd64);
        }
        site.contents.files.push(entry);
    }
    site.sort();
    let before = peak();
    assert!(before < 64 * MIB, "the test itself took {before}");
    site.pack_as("bundle.tar.zst", 16, None).unwrap();
    verify(&site.path("bundle.tar.zst")).unwrap();
    let taken = peak();
    assert!(taken < 256 * MIB, "{} MiB", taken / MIB);
    // The long frame needs its window: otherwise this tested something else.
    assert!(taken > 128 * MIB, "{} MiB", taken / MIB);
}
