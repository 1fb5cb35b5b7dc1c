mod harbor;

use secrecy::ExposeSecret;

use super::Check;
use crate::{KeyPath, Registry, RegistryType, Secret};

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
        // The site's own gets a random password where none is given, and in a config that lost its secrets none is.
        let own = check.cluster.registry_names().contains(name);
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
        let other = registry.kind == RegistryType::External || registry.read_only_port.is_some();
        if auth.pull.is_some() && !(own && other) {
            check.error(
                here.key("pull"),
                format!("nodes pull from {name} with the account that kubexm has there"),
                "the site's registry has another account for nodes with readOnlyPort, or with type: external; add that, or remove this"
                    .to_owned(),
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
    external(check);
    mount(check);
    without_host(check);
    harbor::check(check);
}

/// One that was there before is only spoken to.
fn external(check: &mut Check<'_>) {
    let cluster = check.cluster;
    let registry = &cluster.spec.registry;
    if !check.sound(&["spec.registry", "spec.roleGroups"]) {
        return;
    }
    let path = KeyPath::of("spec.registry");
    if registry.kind != RegistryType::External {
        if !registry.address.is_empty() {
            check.error(
                path.key("address"),
                "kubexm sets this registry up, and knows its address".to_owned(),
                "remove it; it is for type: external".to_owned(),
            );
        }
        return;
    }
    if !check.written("spec.registry.privateRegistry") {
        check.error(
            path.key("type"),
            "type: external, and nobody says where that registry is".to_owned(),
            "add privateRegistry: its domain, with its port if that is not 443".to_owned(),
        );
    }
    if let Some(host) = cluster.registry_host() {
        check.error(
            KeyPath::of("spec.roleGroups.registry"),
            format!(
                "the registry was there before, so nothing is set up on {}",
                host.name
            ),
            "take the role away, or take type: registry".to_owned(),
        );
    }
    let default = Registry::default();
    let inert = [
        (registry.registry_data_dir != default.registry_data_dir).then_some("registryDataDir"),
        registry.version.is_some().then_some("version"),
        registry.registry_mount.is_some().then_some("registryMount"),
        registry.read_only_port.is_some().then_some("readOnlyPort"),
    ];
    for key in inert.into_iter().flatten() {
        check.error(
            path.key(key),
            "the registry was there before, so nothing is done with this".to_owned(),
            "remove it".to_owned(),
        );
    }
}

/// What is elsewhere would not be on the disk that is waited for.
fn mount(check: &mut Check<'_>) {
    let registry = &check.cluster.spec.registry;
    let data = &registry.registry_data_dir;
    if let Some(mount) = &registry.registry_mount
        && !data.starts_with(mount)
        && check.sound(&["spec.registry"])
    {
        let (mount, data) = (mount.clone(), data.clone());
        check.error(
            KeyPath::of("spec.registry.registryMount"),
            format!("the registry's data is in {data}, which is not below {mount}"),
            format!("registryDataDir must be {mount} or a directory in it"),
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
        || spec.registry.kind == RegistryType::External
    {
        return;
    }
    let registry = &spec.registry;
    let path = KeyPath::of("spec.registry");
    let default = Registry::default();
    let domain = registry.private_registry != default.private_registry;
    let namespace = registry.namespace_override != default.namespace_override;
    let own = cluster.registry_names();
    let auth = registry.auths.keys().find(|name| own.contains(name));
    let inert = [
        domain.then(|| path.key("privateRegistry")),
        namespace.then(|| path.key("namespaceOverride")),
        auth.map(|name| path.key("auths").key(name)),
    ];
    for path in inert.into_iter().flatten() {
        check.error(
            path,
            "no host has the role registry, so nothing is done with this".to_owned(),
            "name a host under roleGroups.registry, or take type: external for one that the site has, or remove it"
                .to_owned(),
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
