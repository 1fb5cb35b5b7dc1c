use secrecy::ExposeSecret;

use super::Check;
use crate::{Arch, KeyPath, RegistryType, Secret};

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
                "Harbor is published for amd64 alone before 2.16, and '{}' is arm64",
                host.name
            ),
            "take type: registry, or a newer spec.registry.version, or another host".to_owned(),
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
