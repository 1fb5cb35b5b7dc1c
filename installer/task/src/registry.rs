//! The site's registry: which one, where, and what all others need to know of it.

mod distribution;
mod given;

use std::collections::BTreeSet;
use std::sync::Arc;

use cluster::{Host, ImageHome, RegistryType};
use engine::{Step, Task};
use step::{
    Certificate, CertificateAuthority, CertificateSpec, Component, Keeper, KeyPairFiles,
    PrepareRegistryCredentials, RegistryUser, Requirements, SiteRegistry, Trust, Usage,
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

    /// What it asks of its host before anything is touched, beyond ports and room for images.
    fn requirements(&self, wanted: &mut Requirements);

    /// Its certificate on its host, and the registry started anew with it.
    fn certificates(&self, site: &Site) -> Vec<Arc<dyn Step>>;

    /// The registry on one of its hosts.
    fn set_up(&self, site: &Site) -> Vec<Arc<dyn Step>>;

    /// Frees the disk of one of its hosts of what it was told to forget.
    fn collect_garbage(&self, site: &Site, host: &Host) -> Arc<dyn Step>;
}

impl Site {
    /// The registry that kubexm sets up with its hosts; none where the site has none, or had it before, or one that this version
    /// cannot set up.
    pub(crate) fn registry(&self) -> Option<(&'static dyn Registry, Vec<&Host>)> {
        let ImageHome::Hosts(hosts) = self.cluster.image_home() else {
            return None;
        };
        match self.cluster.spec.registry.kind {
            RegistryType::Registry => Some((&distribution::Distribution, hosts)),
            RegistryType::Harbor | RegistryType::External => None,
        }
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
        Arc::new(credentials(site)),
    ];
    if site.cluster.spec.registry.read_only_port.is_some() {
        steps.push(Arc::new(node_credentials(site)));
    }
    steps
}

pub(crate) fn credentials(site: &Site) -> PrepareRegistryCredentials {
    let login = site.registry_login.clone();
    PrepareRegistryCredentials::new(site.registry_dir(), login, site.credentials.clone())
}

/// Those of the nodes, where they only read.
pub(crate) fn node_credentials(site: &Site) -> PrepareRegistryCredentials {
    let (dir, login) = (site.registry_dir().join("nodes"), &site.node_logins.site);
    PrepareRegistryCredentials::new(dir, login.clone(), site.node_credentials.clone())
        .of(RegistryUser::Nodes)
}

/// The registry itself, on its hosts.
#[must_use]
pub fn registry_service(site: &Site) -> Task {
    let task = Task::new("registry service");
    let Some((registry, hosts)) = site.registry() else {
        return task;
    };
    let steps = registry.set_up(site);
    hosts
        .into_iter()
        .fold(task, |task, host| task.on(&host.name, steps.clone()))
}

/// The registry on this host, as the operator's machine reaches it.
pub(crate) fn reached(site: &Site, host: &Host) -> SiteRegistry {
    let port = site.cluster.registry_port();
    let data_dir = &site.cluster.spec.registry.registry_data_dir;
    SiteRegistry {
        url: format!("https://{}:{port}", url_address(host)),
        at: Vec::new(),
        trust: Trust::File(authority(site).certificate()),
        names: site.registry_names(),
        keeper: Keeper::Kubexm {
            data_dir: data_dir.clone(),
        },
    }
}
