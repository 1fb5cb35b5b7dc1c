//! BuildKit, which builds images with the containerd of a node.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::{Host, NodeRegistry, RegistryTrust, Scheme};
use engine::{Rolling, Step, Turn};
use step::{CONTAINERD, RunService, StaysUp};
use templates::{BuildkitConfig, BuildkitRegistry, BuildkitUnit};

use super::PROGRAMS;
use crate::files::{directory, text};
use crate::nodes::ROLL;
use crate::os::rendered;
use crate::registries::{Endpoint, Route, Upstream};
use crate::runtime::containerd_authorities;
use crate::{Site, programs};

const UNIT: &str = "buildkit.service";
const UNIT_FILE: &str = "/etc/systemd/system/buildkit.service";
const CONFIG: &str = "/etc/buildkit/buildkitd.toml";
const ANSWERS: &str =
    "/usr/local/bin/buildctl --addr unix:///run/buildkit/buildkitd.sock debug workers";

/// On these nodes. A build that runs there ends when it is started anew.
pub(super) fn buildkits(site: &Site, hosts: &[&Host]) -> Rolling {
    let run: Arc<dyn Step> = Arc::new(RunService {
        unit: UNIT,
        reads: [CONFIG, UNIT_FILE, "/usr/local/bin/buildkitd"]
            .map(Utf8PathBuf::from)
            .into(),
    });
    let steady: Arc<dyn Step> = Arc::new(StaysUp {
        unit: UNIT,
        answers: Some(ANSWERS),
    });
    let files = vec![
        programs::install(site, "buildkit", PROGRAMS),
        directory("/etc/buildkit"),
        text(CONFIG, rendered(&config(site))),
        text(UNIT_FILE, rendered(&BuildkitUnit {})),
    ];
    hosts.iter().fold(Rolling::new(ROLL), |rolling, host| {
        let turn = Turn::new(run.clone()).with(files.clone());
        rolling.on(&host.name, turn.healthy(vec![steady.clone()]))
    })
}

fn config(site: &Site) -> BuildkitConfig {
    let mut registries = BTreeMap::new();
    for registry in site.asked_registries() {
        let entry = spoken_to(&registry);
        registries.insert(entry.host.clone(), entry);
    }
    for Route { of, endpoints } in site.routes() {
        // The site's own name leads to where it says.
        if let Upstream::Host(host) = of {
            let entry = registries.entry(host.clone());
            let entry = entry.or_insert_with(|| BuildkitRegistry {
                host: host.clone(),
                mirrors: Vec::new(),
                ca_file: None,
                unchecked: false,
                plain: false,
            });
            let others = endpoints.iter().filter(|it| it.registry.authority != host);
            entry.mirrors = others.map(mirror).collect();
        }
    }
    BuildkitConfig {
        socket: CONTAINERD.socket.to_owned(),
        registries: registries.into_values().collect(),
    }
}

fn spoken_to(registry: &NodeRegistry) -> BuildkitRegistry {
    BuildkitRegistry {
        host: registry.authority.clone(),
        mirrors: Vec::new(),
        ca_file: containerd_authorities(registry).map(Utf8PathBuf::into_string),
        unchecked: registry.trust == RegistryTrust::Unchecked,
        plain: registry.scheme == Scheme::Http,
    }
}

fn mirror(endpoint: &Endpoint) -> String {
    let Endpoint { registry, prefix } = endpoint;
    let parts = [&registry.authority, &registry.path, prefix];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.map(String::as_str).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::site;

    #[test]
    fn builds_take_what_they_begin_with_from_the_site() {
        let spec = "registry: {type: external, privateRegistry: 'hub.corp:5000', namespaceOverride: kubexm, auths: {'hub.corp:5000': {certsPath: /etc/corp}}}
  kubernetes: {containerRuntime: {containerd: {insecureRegistries: ['old.corp:5000']}}}";
        insta::assert_snapshot!("buildkitd.toml", rendered(&config(&site(spec))));
    }
}
