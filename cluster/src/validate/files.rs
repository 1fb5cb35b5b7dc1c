//! Files that arguments of the control plane name: whoever reads or writes them must get to see them.

use std::collections::BTreeSet;

use camino::Utf8Path;

use super::Check;
use crate::{Component, ExtraVolume, KeyPath, KubernetesType};

/// The argument that names a file which is written.
const LOG: &str = "audit-log-path";

/// Arguments that name files or directories, beside those whose name ends with one of `ENDS`.
const NAMES: &[&str] = &[
    LOG,
    "authentication-config",
    "authorization-config",
    "cert-dir",
    "config",
    "encryption-provider-config",
    "etcd-cafile",
    "etcd-certfile",
    "etcd-keyfile",
];
const ENDS: &[&str] = &["-file", "kubeconfig"];

/// What the units of plain programs hide: `ProtectHome` and `PrivateTmp`.
const HIDDEN: &[&str] = &["/home", "/root", "/run/user", "/tmp", "/var/tmp"];
/// What they forbid to write to: `ProtectSystem=full`.
const READ_ONLY: &[&str] = &["/boot", "/etc", "/usr"];

/// What kubeadm mounts by itself.
const OF_CERTIFICATES: &[&str] = &[
    "/etc/ca-certificates",
    "/etc/kubernetes/pki",
    "/etc/pki",
    "/etc/ssl/certs",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
];
const OF_MANAGER: &[&str] = &["/etc/kubernetes/controller-manager.conf"];
const OF_SCHEDULER: &[&str] = &["/etc/kubernetes/scheduler.conf"];

/// One component, and which trees of the host its pod has anyway.
struct Judged<'c> {
    key: &'static str,
    of: &'static str,
    component: &'c Component,
    mounted: [&'static [&'static str]; 2],
}

pub(super) fn check(check: &mut Check<'_>) {
    let kubernetes = &check.cluster.spec.kubernetes;
    let all = [
        Judged {
            key: "apiServer",
            of: "the apiserver",
            component: &kubernetes.api_server,
            mounted: [OF_CERTIFICATES, &[]],
        },
        Judged {
            key: "controllerManager",
            of: "the controller manager",
            component: &kubernetes.controller_manager,
            mounted: [OF_CERTIFICATES, OF_MANAGER],
        },
        Judged {
            key: "scheduler",
            of: "the scheduler",
            component: &kubernetes.scheduler,
            mounted: [OF_SCHEDULER, &[]],
        },
    ];
    let kind = kubernetes.kind;
    for judged in &all {
        volumes(check, judged);
        let extra_args = judged.component.extra_args.iter();
        for (name, path) in extra_args.filter(|(name, path)| names_file(name, path)) {
            match kind {
                KubernetesType::Kubeadm => in_pod(check, judged, name, Utf8Path::new(path)),
                KubernetesType::Kubexm => in_unit(check, judged, name, Utf8Path::new(path)),
            }
        }
    }
}

impl Judged<'_> {
    fn path(&self, key: &str) -> KeyPath {
        KeyPath::of("spec.kubernetes").key(self.key).key(key)
    }
}

/// `-` is the standard output.
fn names_file(name: &str, value: &str) -> bool {
    let is_file = NAMES.contains(&name) || ENDS.iter().any(|end| name.ends_with(end));
    is_file && value.starts_with('/')
}

fn in_pod(check: &mut Check<'_>, judged: &Judged<'_>, name: &str, path: &Utf8Path) {
    let written = name == LOG;
    let volumes = &judged.component.extra_volumes;
    let holds = |volume: &&ExtraVolume| path.starts_with(&volume.mount_path);
    // The deepest mount is the one that counts.
    let volume = volumes
        .iter()
        .filter(holds)
        .max_by_key(|volume| volume.mount_path.components().count());
    let mut mounted = judged.mounted.into_iter().flatten();
    let seen = !written && mounted.any(|tree| path.starts_with(tree));
    let extra_args = judged.path("extraArgs").key(name);
    let list = format!("spec.kubernetes.{}.extraVolumes", judged.key);
    match volume {
        Some(volume) if written && volume.read_only => check.error(
            extra_args,
            format!(
                "{} cannot write to {path}: its volume '{}' is read-only",
                judged.of, volume.name
            ),
            "take readOnly out of the volume".to_owned(),
        ),
        None if !seen => {
            let hint = if written {
                let dir = path.parent().unwrap_or(path);
                format!(
                    "add to {list}: {{name: audit-log, hostPath: {dir}, mountPath: {dir}, pathType: DirectoryOrCreate}}"
                )
            } else {
                format!(
                    "lay the file onto every master, and add to {list}: \
                     {{name: {name}, hostPath: {path}, mountPath: {path}, readOnly: true, pathType: File}}"
                )
            };
            check.error(
                extra_args,
                format!(
                    "'{name}' names {path}, and the pod of {} does not get to see it",
                    judged.of
                ),
                hint,
            );
        }
        Some(_) | None => {}
    }
}

fn in_unit(check: &mut Check<'_>, judged: &Judged<'_>, name: &str, path: &Utf8Path) {
    let within = |trees: &[&'static str]| trees.iter().find(|tree| path.starts_with(tree)).copied();
    let extra_args = judged.path("extraArgs").key(name);
    if let Some(tree) = within(HIDDEN) {
        check.error(
            extra_args,
            format!(
                "'{name}' names {path}, and the unit of {} does not get to see {tree}",
                judged.of
            ),
            "keep the file elsewhere, e.g. below /etc".to_owned(),
        );
    } else if let Some(tree) = within(READ_ONLY).filter(|_| name == LOG) {
        check.error(
            extra_args,
            format!(
                "{} cannot write to {path}: its unit has {tree} read-only",
                judged.of
            ),
            "take a path below /var/log".to_owned(),
        );
    }
}

/// kubeadm takes volumes by their names, and a pod has one thing at one place.
fn volumes(check: &mut Check<'_>, judged: &Judged<'_>) {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut paths: BTreeSet<&Utf8Path> = BTreeSet::new();
    for (at, volume) in judged.component.extra_volumes.iter().enumerate() {
        let here = judged.path("extraVolumes").index(at);
        if !names.insert(&volume.name) {
            check.error(
                here.key("name"),
                format!("two volumes of {} are called '{}'", judged.of, volume.name),
                "give each its own name".to_owned(),
            );
        }
        if !paths.insert(&volume.mount_path) {
            check.error(
                here.key("mountPath"),
                format!(
                    "two volumes of {} are mounted at {}",
                    judged.of, volume.mount_path
                ),
                "give each its own place".to_owned(),
            );
        }
    }
}
