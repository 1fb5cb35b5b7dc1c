//! Where data is kept: in directories that nobody else has anything in, since kubexm gives them owner and mode, and `delete
//! --purge` empties those of programs.

use camino::{Utf8Component, Utf8Path};

use super::Check;
use crate::{EtcdType, KeyPath};

/// Trees that belong to the system or do not outlive a boot.
const FOREIGN: &[&str] = &[
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys",
    "/tmp", "/usr", "/var/run", "/var/tmp",
];
/// Directories that the system keeps much in; one of their own below them is fine.
const SHARED: &[&str] = &[
    "/var/backups",
    "/var/cache",
    "/var/db",
    "/var/lib",
    "/var/local",
    "/var/log",
    "/var/mail",
    "/var/opt",
    "/var/spool",
];
/// What Kubernetes and kubexm keep there themselves.
const TAKEN: &[&str] = &[
    "/opt/cni",
    "/var/lib/calico",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/lib/kubexm",
    "/var/log/containers",
    "/var/log/pods",
];

struct Directory<'c> {
    key: &'static str,
    of: &'static str,
    /// What a directory of its own may be called.
    name: &'static str,
    path: &'c Utf8Path,
    /// Trees that its program does not get to see.
    hidden: &'static [&'static str],
    /// What would become of files that others keep there.
    danger: &'static str,
}

pub(super) fn check(check: &mut Check<'_>) {
    let directories = directories(check);
    for (at, one) in directories.iter().enumerate() {
        if !check.sound(&[one.key]) {
            continue;
        }
        if let Some((why, hint)) = unfit(one) {
            check.error(
                KeyPath::of(one.key),
                format!("{} cannot be kept in {}: {why}", one.of, one.path),
                hint,
            );
            continue;
        }
        let shares = |other: &&Directory<'_>| {
            one.path.starts_with(other.path) || other.path.starts_with(one.path)
        };
        let other = directories[..at].iter().find(shares);
        if let Some(other) = other.filter(|other| check.sound(&[other.key])) {
            check.error(
                KeyPath::of(one.key),
                format!(
                    "{} cannot be kept in {}: {} is kept in {}",
                    one.of, one.path, other.of, other.path
                ),
                "give each a directory of its own, and none inside of another".to_owned(),
            );
        }
    }
}

fn directories<'c>(check: &Check<'c>) -> Vec<Directory<'c>> {
    let spec = &check.cluster.spec;
    let of = |key, of, name, path, hidden| Directory {
        key,
        of,
        name,
        path,
        hidden,
        danger: "'delete --purge' removes them",
    };
    let etcd = match spec.etcd.kind {
        // Its unit has ProtectHome, and its user may not enter /root.
        EtcdType::Kubexm => Some(&["/home", "/root"][..]),
        EtcdType::Kubeadm => Some(&["/root"][..]),
        EtcdType::External => None,
    };
    let etcd = etcd.map(|hidden| {
        let path = spec.etcd.data_dir.as_path();
        of("spec.etcd.dataDir", "etcd's data", "etcd", path, hidden)
    });
    let registry = &spec.registry;
    let kind = spec.kubernetes.container_runtime.kind;
    let data = check.cluster.runtime_data();
    let runtime = of(data.key, data.of, kind.name(), data.path, &[]);
    let images = of(
        "spec.registry.registryDataDir",
        "the registry's data",
        "registry",
        &registry.registry_data_dir,
        &["/root"],
    );
    let volumes = spec.storage.openebs.as_ref().map(|openebs| {
        of(
            "spec.storage.openebs.basePath",
            "the data of volumes",
            "volumes",
            &openebs.base_path,
            &[],
        )
    });
    let backup = spec.etcd.backup.as_ref().map(|backup| {
        let path = backup.dir.as_path();
        let key = "spec.etcd.backup.dir";
        Directory {
            danger: "root alone may read it from then on",
            ..of(key, "snapshots of etcd", "etcd-backups", path, &[])
        }
    });
    let all = etcd.into_iter().chain([runtime, images]);
    all.chain(volumes).chain(backup).collect()
}

/// Why nothing can be kept there, with what to do.
fn unfit(one: &Directory<'_>) -> Option<(String, String)> {
    let path = one.path;
    let within = |trees: &[&'static str]| trees.iter().find(|tree| path.starts_with(tree)).copied();
    let own = || format!("take a directory of its own, e.g. /data/{}", one.name);
    let names = path
        .components()
        .filter(|part| matches!(part, Utf8Component::Normal(_)));
    if let Some(tree) = within(FOREIGN) {
        return Some((format!("{tree} is the system's"), own()));
    }
    if let Some(tree) = within(TAKEN) {
        return Some((format!("{tree} has another use on nodes"), own()));
    }
    if let Some(tree) = within(one.hidden) {
        let why = format!("its program does not get to see {tree}");
        let hint = format!("{}, or mount the disk elsewhere", own());
        return Some((why, hint));
    }
    let holds = |trees: &[&str]| {
        trees
            .iter()
            .any(|tree| Utf8Path::new(tree).starts_with(path))
    };
    if names.count() < 2 || SHARED.iter().any(|shared| path == *shared) || holds(TAKEN) {
        let why = format!("others keep files there, and {}", one.danger);
        return Some((why, own()));
    }
    None
}
