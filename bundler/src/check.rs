//! What of a config no network is needed for to refuse.

use std::collections::BTreeSet;

use catalogue::{Catalogue, ResolveError, Systems};
use cluster::{Arch, Cluster, KeyPath, Os, Problem, Severity};

use crate::packages::unknown;
use crate::resolve::{FileFailure, ResolveFailure, bad_versions, resolve};

const VERSION: &str = "spec.kubernetes.version";

/// Everything in a config that no bundle can be made of, and what its writer should know of its versions; each with its
/// path alone. `arches`, where not empty, are instead of the config's own.
#[must_use]
pub fn check(cluster: &Cluster, arches: &BTreeSet<Arch>) -> Vec<Problem> {
    let catalogue = Catalogue::builtin();
    let mut found = systems(cluster, &Systems::builtin());
    match catalogue.defaults(&cluster.spec.kubernetes.version) {
        Ok(defaults) => {
            let bad = bad_versions(cluster, &catalogue, &defaults).into_iter();
            found.extend(
                bad.map(|(name, failure)| {
                    refused(KeyPath::of("spec.versions").key(&name), &failure)
                }),
            );
        }
        Err(error) => found.push(refused(KeyPath::of(VERSION), &error.into())),
    }
    if !found.is_empty() {
        return found;
    }
    match resolve(cluster, arches, &catalogue) {
        Ok(wanted) => found.extend(wanted.tell_of_nearest(cluster).map(|(message, hint)| {
            problem(
                Severity::Warning,
                KeyPath::of(VERSION),
                message,
                Some(hint.to_owned()),
            )
        })),
        // What the command line decides as well.
        Err(ResolveFailure::NoArch | ResolveFailure::HostArch { .. }) => {}
        Err(ResolveFailure::Files(failures)) => {
            let hint = ResolveFailure::Files(failures.clone()).hint();
            found.extend(failures.iter().map(|failure| {
                let path = chosen_at(cluster, component(failure));
                problem(Severity::Error, path, failure.to_string(), hint.clone())
            }));
        }
        Err(other) => found.push(refused(KeyPath::of(VERSION), &other)),
    }
    found
}

/// The operating systems that kubexm does not know.
fn systems(cluster: &Cluster, systems: &Systems) -> Vec<Problem> {
    let list = KeyPath::of("spec.system.os");
    let named = cluster.spec.system.os.iter().enumerate();
    let named = named.map(|(at, os)| (list.index(at), os));
    let hosts = cluster.spec.hosts.iter().enumerate();
    let own = hosts.filter_map(|(at, host)| {
        let path = KeyPath::of("spec.hosts").index(at).key("os");
        Some((path, host.os.as_ref()?))
    });
    named
        .chain(own)
        .filter(|(_, os): &(_, &Os)| systems.system(os).is_none())
        .map(|(path, os)| refused(path, &unknown(os, systems)))
        .collect()
}

fn component(failure: &FileFailure) -> &str {
    match &failure.error {
        ResolveError::UnknownComponent(component)
        | ResolveError::Arch { component, .. }
        | ResolveError::TooOld { component, .. } => component,
    }
}

/// Where a config says which version of a component it wants.
fn chosen_at(cluster: &Cluster, component: &str) -> KeyPath {
    let spec = &cluster.spec;
    let runtime = spec.kubernetes.container_runtime.kind;
    if component == "etcd" {
        KeyPath::of("spec.etcd.version")
    } else if component == spec.registry.kind.name() {
        KeyPath::of("spec.registry.version")
    } else if component == runtime.name() {
        cluster.runtime_version_key()
    } else {
        KeyPath::of("spec.versions").key(component)
    }
}

fn refused(path: KeyPath, failure: &ResolveFailure) -> Problem {
    problem(Severity::Error, path, failure.to_string(), failure.hint())
}

fn problem(severity: Severity, path: KeyPath, message: String, hint: Option<String>) -> Problem {
    Problem {
        severity,
        location: None,
        path,
        message,
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(spec: &str) -> String {
        let text = format!(
            "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {{name: c}}
spec:
  hosts: [{{name: a, address: 10.0.0.1, os: debain-13}}]
{spec}"
        );
        let parsed = cluster::parse("c.yaml", &text).unwrap();
        let found = check(&parsed.cluster, &BTreeSet::new());
        parsed.locate(found).render()
    }

    #[test]
    fn everything_that_no_bundle_can_be_made_of_is_told_at_once() {
        insta::assert_snapshot!(checked(
            "  system: {os: [debian-99]}\n  versions: {runk: v1.3.0, runc: \"1.3\"}\n"
        ));
    }

    #[test]
    fn a_component_that_is_too_old_stands_where_it_was_chosen() {
        let text = checked("  etcd: {version: 1.0.0}\n").replace("debain-13", "");
        assert!(
            text.contains("unknown") || text.contains("does not know"),
            "{text}"
        );
        let cluster = cluster::parse("c.yaml", cluster::init_template())
            .unwrap()
            .cluster;
        let old = Cluster {
            spec: cluster::Spec {
                etcd: cluster::Etcd {
                    version: Some(cluster::Version::new(1, 0, 0)),
                    ..cluster::Etcd::default()
                },
                ..cluster.spec.clone()
            },
            ..cluster.clone()
        };
        let found = check(&old, &BTreeSet::new());
        assert_eq!(found[0].path.to_string(), "spec.etcd.version", "{found:?}");
        assert_eq!(check(&cluster, &BTreeSet::new()), []);
    }
}
