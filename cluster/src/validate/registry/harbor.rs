use super::super::Check;
use crate::{Arch, ImageHome, KeyPath, RegistryType, Role};

/// The first that is published for arm64 as well.
const FOR_ALL: (u64, u64) = (2, 16);
/// Who looks after it.
const ADMIN: &str = "admin";

pub(super) fn check(check: &mut Check<'_>) {
    let cluster = check.cluster;
    let registry = &cluster.spec.registry;
    if registry.kind != RegistryType::Harbor || !check.sound(&["spec.registry", "spec.roleGroups"])
    {
        return;
    }
    let path = KeyPath::of("spec.registry");
    if registry.read_only_port.is_some() {
        check.error(
            path.key("readOnlyPort"),
            "Harbor has one port, and nodes have an account there that can only read".to_owned(),
            "leave it out".to_owned(),
        );
    }
    for name in cluster.registry_names() {
        let auth = registry.auths.get(&name);
        let username = auth.and_then(|auth| auth.username.as_deref());
        if username.is_some_and(|username| username != ADMIN) {
            check.error(
                path.key("auths").key(&name).key("username"),
                "kubexm makes the accounts that push and pull in Harbor; only its administrator can be named".to_owned(),
                format!("username: {ADMIN} with the password that the administrator shall have, or nothing"),
            );
        }
    }
    hosts(check);
}

fn hosts(check: &mut Check<'_>) {
    let cluster = check.cluster;
    let of_role = || KeyPath::of("spec.roleGroups.registry");
    let ImageHome::Hosts(hosts) = cluster.image_home() else {
        return;
    };
    if let [_, second, ..] = hosts.as_slice() {
        check.error(
            of_role(),
            format!(
                "kubexm sets Harbor up on one host, and '{}' is another",
                second.name
            ),
            "name one host; docs/registries.md tells how another Harbor gets the same images"
                .to_owned(),
        );
    }
    let for_all = cluster.spec.registry.version.as_ref();
    let for_all = for_all.is_some_and(|version| version.minor() >= FOR_ALL);
    for host in hosts {
        let roles = [Role::Master, Role::Worker].into_iter();
        let mut roles = roles.filter(|role| cluster.is_in(&host.name, *role));
        if let Some(role) = roles.next() {
            check.error(
                of_role(),
                format!(
                    "Harbor brings docker along, and '{}' is a {role} with a runtime of its own",
                    host.name
                ),
                "take a host that is no node, or type: registry".to_owned(),
            );
        }
        if host.arch == Arch::Arm64 && !for_all {
            check.error(
                KeyPath::of("spec.registry.type"),
                format!(
                    "Harbor is published for amd64 alone before 2.16, and '{}' is arm64",
                    host.name
                ),
                "take type: registry, or a newer spec.registry.version, or another host".to_owned(),
            );
        }
    }
}
