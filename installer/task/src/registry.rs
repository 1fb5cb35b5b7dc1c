//! The site's registry: which one, and what all others need to know of it.

mod distribution;

use cluster::{Host, RegistryType};
use engine::{Step, Task};
use step::{
    Certificate, CertificateAuthority, CertificateSpec, Component, KeyPairFiles,
    PrepareRegistryCredentials, Requirements, SiteRegistry, Usage,
};

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::site::url_address;
use crate::{OPERATOR, Site};

/// A registry that kubexm sets up on its host.
pub(crate) trait Registry: Sync {
    /// What `get hosts` looks for.
    fn carried(&self) -> &'static [Component];

    /// What it asks of its host before anything is touched, beyond ports and room for images.
    fn requirements(&self, wanted: &mut Requirements);

    /// Its certificate on its host, and the registry started anew with it.
    fn certificates(&self, site: &Site) -> Vec<Arc<dyn Step>>;

    /// The registry on its host.
    fn set_up(&self, site: &Site, host: &Host) -> Task;
}

impl Site {
    /// The registry of the config with its host; none where the site has none, or one that this version cannot set up.
    pub(crate) fn registry(&self) -> Option<(&'static dyn Registry, &Host)> {
        let host = self.cluster.registry_host()?;
        match self.cluster.spec.registry.kind {
            RegistryType::Registry => Some((&distribution::Distribution, host)),
            RegistryType::Harbor => None,
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

/// The registry's authority, certificate and credentials, on the operator's machine.
#[must_use]
pub fn registry_pki(site: &Site) -> Task {
    let task = Task::new("registry certificates");
    let Some(host) = site.cluster.registry_host() else {
        return task;
    };
    let name = format!("kubexm registry of {}", site.cluster.name());
    let dns: BTreeSet<String> =
        [site.cluster.registry_domain().to_owned(), host.name.clone()].into();
    let spec = CertificateSpec::new(site.cluster.registry_domain(), Usage::Server)
        .dns(dns)
        .ips(
            host.internal_ips()
                .into_iter()
                .chain(host.address.parse().ok()),
        );
    task.on(
        OPERATOR,
        vec![
            Arc::new(CertificateAuthority::new(authority(site), name)),
            Arc::new(Certificate::new(
                authority(site),
                certificate(site),
                spec.since(site.renewal),
            )),
            Arc::new(credentials(site)),
        ],
    )
}

pub(crate) fn credentials(site: &Site) -> PrepareRegistryCredentials {
    let login = site.registry_login.clone();
    PrepareRegistryCredentials::new(site.registry_dir(), login, site.credentials.clone())
}

/// The registry itself, on its host.
#[must_use]
pub fn registry_service(site: &Site) -> Task {
    match site.registry() {
        Some((registry, host)) => registry.set_up(site, host),
        None => Task::new("registry service"),
    }
}

/// The registry as the operator's machine reaches it.
pub(crate) fn reached(site: &Site, host: &Host) -> SiteRegistry {
    let port = site.cluster.registry_port();
    SiteRegistry {
        url: format!("https://{}:{port}", url_address(host)),
        ca: authority(site).certificate(),
        names: site.registry_names(),
        data_dir: site
            .cluster
            .spec
            .registry
            .registry_data_dir
            .to_string()
            .into(),
    }
}
