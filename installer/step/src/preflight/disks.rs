//! Whether disks can hold what will be put there.

use std::collections::BTreeMap;

use host::Facts;

use super::observed::Observed;
use super::{Finding, Requirements};

/// How much of a disk the kubelet keeps free, and evicts pods for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eviction {
    pub path: String,
    pub percent: u64,
    /// The name of its threshold.
    pub signal: &'static str,
}

pub(super) fn judge_noexec(wanted: &Requirements, facts: &Facts, seen: &Observed) -> Vec<Finding> {
    let mut mounts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in &wanted.executable {
        if let Some(mount) = mount_of(seen.real(path), facts)
            && facts.disks[mount].noexec
        {
            mounts.entry(mount).or_default().push(path);
        }
    }
    let finding = |(mount, paths): (&str, Vec<&str>)| {
        Finding::new(
            format!(
                "{mount} is mounted noexec, and programs must run from {}",
                paths.join(", ")
            ),
            format!("mount -o remount,exec {mount}, and the same in /etc/fstab"),
        )
    };
    mounts.into_iter().map(finding).collect()
}

/// File systems on which overlay cannot keep what containers write, as stat names them.
const WITHOUT_OVERLAY: [&str; 11] = [
    "ceph",
    "cifs",
    "ecryptfs",
    "exfat",
    "fuseblk",
    "msdos",
    "nfs",
    "smb",
    "smb2",
    "v9fs",
    "xfs without ftype",
];

pub(super) fn judge_overlay(wanted: &Requirements, seen: &Observed) -> Option<Finding> {
    let path = wanted.overlay.as_ref()?;
    let kind = &seen.places.get(path)?.kind;
    WITHOUT_OVERLAY.contains(&kind.as_str()).then(|| {
        Finding::new(
            format!("{path} is on {kind}, on which containers' file systems cannot be laid over each other"),
            "put spec.registry.containerdDataDir on a local disk with ext4, or with xfs of mkfs.xfs -n ftype=1",
        )
    })
}

/// What holds only before the first run: later the space is taken by us.
pub(super) fn judge_space(wanted: &Requirements, facts: &Facts, seen: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut needs: BTreeMap<&str, (u64, Vec<&str>)> = BTreeMap::new();
    for space in &wanted.space {
        if let Some(mount) = mount_of(seen.real(&space.path), facts) {
            let (bytes, of) = needs.entry(mount).or_default();
            *bytes += space.bytes;
            of.push(space.of);
        }
    }
    for (mount, (bytes, of)) in &needs {
        let free = facts.disks[*mount].free;
        if free < *bytes {
            findings.push(Finding::new(
                format!(
                    "{mount} has {} MiB free, {} MiB are needed for {}",
                    free >> 20,
                    bytes.div_ceil(1 << 20),
                    of.join(", ")
                ),
                "make room there, or mount a larger disk",
            ));
        }
    }
    findings.extend(judge_evictions(wanted, facts, seen, &needs));
    findings
}

/// Disks that would be so full that the kubelet evicts pods from the beginning. One that is too small anyway is told of
/// as such.
fn judge_evictions(
    wanted: &Requirements,
    facts: &Facts,
    seen: &Observed,
    needs: &BTreeMap<&str, (u64, Vec<&str>)>,
) -> Vec<Finding> {
    let mut strictest: BTreeMap<&str, &Eviction> = BTreeMap::new();
    for eviction in &wanted.evictions {
        if let Some(mount) = mount_of(seen.real(&eviction.path), facts) {
            let other = strictest.entry(mount).or_insert(eviction);
            if other.percent < eviction.percent {
                *other = eviction;
            }
        }
    }
    let full = strictest.into_iter().filter_map(|(mount, eviction)| {
        let disk = &facts.disks[mount];
        let needed = needs.get(mount).map_or(0, |(bytes, _)| *bytes);
        let left = disk.free.checked_sub(needed)?;
        let kept = disk.size / 100 * eviction.percent;
        (left < kept).then(|| {
            Finding::new(
                format!(
                    "{mount} would have {} of {} MiB free, and with less than {} % the kubelet evicts pods ({})",
                    left >> 20,
                    disk.size >> 20,
                    eviction.percent,
                    eviction.signal
                ),
                "make room there, mount a larger disk, or lower spec.kubernetes.kubeletConfiguration.evictionHard",
            )
        })
    });
    full.collect()
}

/// The mount point that a path lies on.
fn mount_of<'a>(path: &str, facts: &'a Facts) -> Option<&'a str> {
    let below = |mount: &str| {
        let mount = mount.trim_end_matches('/');
        path.strip_prefix(mount)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    facts
        .disks
        .keys()
        .map(String::as_str)
        .filter(|mount| below(mount))
        .max_by_key(|mount| mount.len())
}
