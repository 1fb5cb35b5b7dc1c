use secrecy::ExposeSecret;

use super::Check;
use crate::{Arch, KeyPath, Registry, RegistryType, Secret};

/// The first Harbor that is published for arm64 as well.
const HARBOR_FOR_ALL: (u64, u64) = (2, 16);

pub(super) fn check(check: &mut Check<'_>) {
    let registry = &check.cluster.spec.registry;
    for (name, auth) in &registry.auths {
        let here = KeyPath::of("spec.registry.auths").key(name);
        if auth.password.is_some() && auth.username.is_none() {
            check.error(
                here.key("password"),
                format!("a password for {name}, but no username"),
                "add username".to_owned(),
            );
        }
        // The site's own gets a random password where none is given.
        let own = [
            check.cluster.registry_domain(),
            &check.cluster.registry_authority(),
        ]
        .contains(&name.as_str());
        if auth.username.is_some() && auth.password.is_none() && !own {
            check.error(
                here.key("username"),
                format!("a username for {name}, but no password"),
                "add password, or {env: NAME} as password".to_owned(),
            );
        }
        if let Some(Secret::Plain(text)) = &auth.password
            && is_placeholder(text.expose_secret())
        {
            check.warn(
                here.key("password"),
                format!("the password for {name} looks like one that was left out"),
                "write the password, or {env: NAME}".to_owned(),
            );
        }
        if auth.plain_http && auth.skip_tls_verify {
            check.warn(
                here.key("skipTLSVerify"),
                format!("{name} is talked to over plain HTTP, so there is no certificate to skip"),
                None,
            );
        }
    }
    without_host(check);
    let arm = check
        .cluster
        .registry_host()
        .filter(|host| host.arch == Arch::Arm64);
    let for_all = registry
        .version
        .as_ref()
        .is_some_and(|version| version.minor() >= HARBOR_FOR_ALL);
    if let (RegistryType::Harbor, Some(host), false) = (registry.kind, arm, for_all) {
        check.error(
            KeyPath::of("spec.registry.type"),
            format!(
                "Harbor is published for amd64 alone before 2.16 before 2.16, and '{}' is arm64",
                host.name
            ),
            "take type: registry, or a newer spec.registry.version, or another host".to_owned(),
        );
    }
}

/// A site without a registry imports images on each node, and talks to none.
fn without_host(check: &mut Check<'_>) {
    let cluster = check.cluster;
    let spec = &cluster.spec;
    if !check.sound(&["spec.hosts", "spec.roleGroups", "spec.registry"])
        || spec.hosts.is_empty()
        || !spec.role_groups.registry.is_empty()
    {
        return;
    }
    let registry = &spec.registry;
    let path = KeyPath::of("spec.registry");
    let default = Registry::default();
    let domain = registry.private_registry != default.private_registry;
    let namespace = registry.namespace_override != default.namespace_override;
    let own = [cluster.registry_domain(), &cluster.registry_authority()];
    let auth = registry
        .auths
        .keys()
        .find(|name| own.contains(&name.as_str()));
    let inert = [
        domain.then(|| path.key("privateRegistry")),
        namespace.then(|| path.key("namespaceOverride")),
        auth.map(|name| path.key("auths").key(name)),
    ];
    for path in inert.into_iter().flatten() {
        check.warn(
            path,
            "no host has the role registry, so nothing is done with this".to_owned(),
            "name a host under roleGroups.registry, or remove it".to_owned(),
        );
    }
}

/// `***`, `xxx`: as it is written where a password is not to be shown.
fn is_placeholder(text: &str) -> bool {
    text.len() >= 3
        && ["*", "x", "X", "."]
            .iter()
            .any(|c| text.replace(c, "").is_empty())
}
