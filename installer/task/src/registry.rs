//! The site's registry: which one, where, and what all others need to know of it.

mod distribution;
mod given;
mod harbor;

use std::collections::BTreeSet;
use std::sync::Arc;

use cluster::{Host, ImageHome, RegistryType};
use engine::{Step, Task};
use step::{
    Certificate, CertificateAuthority, CertificateSpec, Component, Keeper, KeyPairFiles,
    PrepareRegistryCredentials, Requirements, SiteRegistry, Trust, Usage,
};

use crate::site::url_address;
use crate::{OPERATOR, Site};

pub(crate) use distribution::{DATA, MOUNT};
pub use given::ask_registry;
pub(crate) use given::there_before;

/// A registry that kubexm sets up on its host.
pub(crate) trait Registry: Sync {
    /// What `get hosts` looks for.
    fn carried(&self) -> &'static [Component];

    /// What it asks of its host before anything is touched, beyond its port and room for images.
    fn requirements(&self, site: &Site, wanted: &mut Requirements);

    /// The accounts that it knows, with their passwords on the operator's machine.
    fn accounts(&self, site: &Site) -> Accounts;

    /// Who looks after its data.
    fn keeper(&self, site: &Site) -> Keeper;

    /// Its certificate on its host, and the registry started anew with it.
    fn certificates(&self, site: &Site) -> Vec<Arc<dyn Step>>;

    /// The registry on one of its hosts.
    fn set_up(&self, site: &Site, host: &Host) -> Vec<Arc<dyn Step>>;

    /// What it has to know before images come into these repositories.
    fn make_room(&self, _: &Site, _: &Host, _: BTreeSet<String>) -> Vec<Arc<dyn Step>> {
        Vec::new()
    }

    /// Frees the disk of one of its hosts of what it was told to forget; none where it does that by itself.
    fn collect_garbage(&self, site: &Site, host: &Host) -> Option<Arc<dyn Step>>;

    /// What is only known on its host, where the operator's machine has lost it.
    fn fetch_lost(&self, _: &Site) -> Vec<Arc<dyn Step>> {
        Vec::new()
    }
}

/// Accounts of a registry.
pub(crate) struct Accounts {
    pub push: PrepareRegistryCredentials,
    /// Where nodes have another one.
    pub nodes: Option<PrepareRegistryCredentials>,
    pub others: Vec<PrepareRegistryCredentials>,
}

impl Site {
    /// The registry that kubexm sets up with its hosts; none where the site has none, or had it before.
    pub(crate) fn registry(&self) -> Option<(&'static dyn Registry, Vec<&Host>)> {
        match self.cluster.image_home() {
            ImageHome::Hosts(hosts) => Some((self.kind_of_registry(), hosts)),
            ImageHome::Nodes | ImageHome::External => None,
        }
    }

    /// The one of the config; what was there before has none.
    fn kind_of_registry(&self) -> &'static dyn Registry {
        match self.cluster.spec.registry.kind {
            RegistryType::Registry | RegistryType::External => &distribution::Distribution,
            RegistryType::Harbor => &harbor::Harbor,
        }
    }

    /// Whether kubexm can have the registry forget images.
    #[must_use]
    pub fn forgets_images(&self) -> bool {
        let frees =
            |registry: &dyn Registry, host: &&Host| registry.collect_garbage(self, host).is_some();
        let registry = self.registry();
        registry.is_some_and(|(registry, hosts)| hosts.iter().any(|host| frees(registry, host)))
    }

    /// The hosts of the registry.
    pub(crate) fn registry_hosts(&self) -> Vec<&Host> {
        match self.cluster.image_home() {
            ImageHome::Hosts(hosts) => hosts,
            ImageHome::Nodes | ImageHome::External => Vec::new(),
        }
    }

    /// The components of a registry that the site has.
    pub(crate) fn registry_components(&self) -> Vec<&'static str> {
        let parts = self.cluster.spec.registry.kind.parts().components.iter();
        let here = self.cluster.registry_host().is_some();
        parts.filter(|_| here).map(|part| part.component).collect()
    }
}

pub(crate) fn authority(site: &Site) -> KeyPairFiles {
    KeyPairFiles::at(site.registry_dir().join("ca"))
}

fn certificate(site: &Site) -> KeyPairFiles {
    KeyPairFiles::at(site.registry_dir().join("registry"))
}

/// The registry's authority, certificate and credentials, on the operator's machine; of one that was there before, how it takes a login.
#[must_use]
pub fn registry_pki(site: &Site) -> Task {
    let task = Task::new("registry certificates");
    let mut steps = site.gather_trust();
    match site.cluster.image_home() {
        ImageHome::Nodes => {}
        ImageHome::External => steps.push(given::learn_login(site)),
        ImageHome::Hosts(hosts) => steps.extend(own_pki(site, &hosts)),
    }
    if steps.is_empty() {
        return task;
    }
    task.on(OPERATOR, steps)
}

/// One certificate for all its hosts: each answers under the registry's name as well as under its own.
fn own_pki(site: &Site, hosts: &[&Host]) -> Vec<Arc<dyn Step>> {
    let name = format!("kubexm registry of {}", site.cluster.name());
    let own = hosts.iter().map(|host| host.name.clone());
    let dns: BTreeSet<String> = own
        .chain([site.cluster.registry_domain().to_owned()])
        .collect();
    let ips = hosts.iter().flat_map(|host| {
        let reached = host.address.parse().ok();
        host.internal_ips().into_iter().chain(reached)
    });
    let spec = CertificateSpec::new(site.cluster.registry_domain(), Usage::Server)
        .dns(dns)
        .ips(ips);
    let mut steps: Vec<Arc<dyn Step>> = vec![
        Arc::new(CertificateAuthority::new(authority(site), name)),
        Arc::new(Certificate::new(
            authority(site),
            certificate(site),
            spec.since(site.renewal),
        )),
    ];
    let Accounts {
        push,
        nodes,
        others,
    } = site.kind_of_registry().accounts(site);
    let all = [push].into_iter().chain(nodes).chain(others);
    steps.extend(all.map(|account| -> Arc<dyn Step> { Arc::new(account) }));
    steps
}

/// Who pushes.
pub(crate) fn credentials(site: &Site) -> PrepareRegistryCredentials {
    site.kind_of_registry().accounts(site).push
}

/// Who pulls on the nodes.
pub(crate) fn node_credentials(site: &Site) -> PrepareRegistryCredentials {
    let Accounts { push, nodes, .. } = site.kind_of_registry().accounts(site);
    nodes.unwrap_or(push)
}

/// The registry itself, on its hosts.
#[must_use]
pub fn registry_service(site: &Site) -> Task {
    let task = Task::new("registry service");
    let Some((registry, hosts)) = site.registry() else {
        return task;
    };
    hosts.into_iter().fold(task, |task, host| {
        let mut steps = registry.set_up(site, host);
        let names = site.registry_names();
        let images = site.contents.images.iter();
        let places = images.filter_map(|image| names.repository(&image.reference, image.digest));
        steps.extend(registry.make_room(site, host, places.collect()));
        task.on(&host.name, steps)
    })
}

/// The registry on this host, as the operator's machine reaches it.
pub(crate) fn reached(site: &Site, host: &Host) -> SiteRegistry {
    let port = site.cluster.registry_port();
    SiteRegistry {
        url: format!("https://{}:{port}", url_address(host)),
        at: Vec::new(),
        trust: Trust::File(authority(site).certificate()),
        names: site.registry_names(),
        keeper: site.kind_of_registry().keeper(site),
    }
}
