//! Whom a node asks for images: for each host that a reference begins with, and for all others. Runtimes write it in their own words.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::{NodeLogin, NodeRegistry, RegistryTrust};
use engine::{Slot, SlotId, Step, StepError};
use step::{GatherTrust, RegistryCredentials};

use crate::Site;
use crate::registry::authority;

/// Whom a node asks for some images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub of: Upstream,
    /// In their order; at least one.
    pub endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Upstream {
    /// Whatever has no route of its own.
    Others,
    /// The host that references begin with.
    Host(String),
}

/// A registry, and where in it the images of an upstream are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub registry: NodeRegistry,
    /// What repositories begin with there; empty if they have their own names.
    pub prefix: String,
}

impl Endpoint {
    /// `https://hub.corp:5000/v2/kubexm/docker.io`
    pub fn url(&self) -> String {
        let mut url = format!("{}/v2", self.registry.url());
        for part in [&self.registry.path, &self.prefix] {
            if !part.is_empty() {
                url.push('/');
                url.push_str(part);
            }
        }
        url
    }
}

/// A login that may be known only at run time.
#[derive(Clone)]
pub(crate) enum LateLogin {
    Nobody,
    Known(RegistryCredentials),
    Made(Slot<RegistryCredentials>),
    /// The config has it, and this run does not.
    Missing(String),
}

impl LateLogin {
    pub fn takes(&self) -> Option<SlotId> {
        match self {
            Self::Made(slot) => Some(slot.id()),
            Self::Nobody | Self::Known(_) | Self::Missing(_) => None,
        }
    }

    pub fn get(&self) -> Result<Option<RegistryCredentials>, StepError> {
        match self {
            Self::Nobody => Ok(None),
            Self::Known(login) => Ok(Some(login.clone())),
            Self::Made(slot) => {
                let made = slot.get().cloned().map(Some);
                made.ok_or_else(|| StepError::new("the registry's credentials are missing"))
            }
            Self::Missing(of) => Err(StepError::new(format!(
                "the login of the registry {of} has a username and no password"
            ))
            .with_hint("give the password in registry.auths, or {env: NAME}, with -f")),
        }
    }
}

impl Site {
    /// Whom nodes ask for what, in the order of the hosts. Empty where all images are imported and nobody else is to be asked.
    pub(crate) fn routes(&self) -> Vec<Route> {
        let names = self.registry_names();
        let own = self.cluster.site_registries();
        let of_site = |host: &str| {
            let prefix = names.prefix(host).unwrap_or_default();
            let endpoint = move |registry: &NodeRegistry| Endpoint {
                registry: registry.clone(),
                prefix: prefix.clone(),
            };
            own.iter().map(endpoint).collect::<Vec<_>>()
        };
        let mut routes = BTreeMap::new();
        if !own.is_empty() {
            let images = self.contents.images.iter();
            let hosts = images.filter_map(|image| Some(image.reference.split_once('/')?.0));
            let pushed = self.image_hosts.iter().map(String::as_str);
            for host in hosts.chain(pushed).chain([names.authority.as_str()]) {
                routes.insert(Upstream::Host(host.to_owned()), of_site(host));
            }
            routes.insert(Upstream::Others, of_site(&names.authority));
        }
        for source in self.cluster.image_sources() {
            let at = Upstream::Host(source.host.clone());
            let endpoints = routes.entry(at).or_insert_with(|| of_site(&source.host));
            let registries = source.registries.into_iter();
            endpoints.extend(registries.map(|registry| Endpoint {
                registry,
                prefix: String::new(),
            }));
        }
        let routes = routes.into_iter();
        routes
            .map(|(of, endpoints)| Route { of, endpoints })
            .collect()
    }

    /// Every registry that nodes ask, each once.
    pub(crate) fn asked_registries(&self) -> Vec<NodeRegistry> {
        let mut asked: Vec<NodeRegistry> = Vec::new();
        let endpoints = self.routes().into_iter().flat_map(|route| route.endpoints);
        for Endpoint { registry, .. } in endpoints {
            if !asked.contains(&registry) {
                asked.push(registry);
            }
        }
        asked
    }

    /// The file of the tree with the authorities of a registry; none where the node's system knows them, or nobody asks.
    pub(crate) fn authorities_of(&self, registry: &NodeRegistry) -> Option<Utf8PathBuf> {
        match &registry.trust {
            RegistryTrust::Site => Some(authority(self).certificate()),
            RegistryTrust::Folder(_) => {
                let name = format!("{}.crt", folder(&registry.authority));
                Some(self.registry_dir().join("trust").join(name))
            }
            RegistryTrust::System | RegistryTrust::Unchecked => None,
        }
    }

    /// Brings the authorities of registries of others into the tree.
    pub(crate) fn gather_trust(&self) -> Vec<Arc<dyn Step>> {
        let mut steps: Vec<Arc<dyn Step>> = Vec::new();
        let mut known = Vec::new();
        for registry in self.asked_registries() {
            if let (RegistryTrust::Folder(from), Some(to)) =
                (&registry.trust, self.authorities_of(&registry))
                && !known.contains(&to)
            {
                known.push(to.clone());
                steps.push(Arc::new(GatherTrust {
                    folder: from.clone(),
                    to,
                }));
            }
        }
        steps
    }

    /// As whom nodes ask a registry.
    pub(crate) fn login_at(&self, registry: &NodeRegistry) -> LateLogin {
        let known = |login: Option<&RegistryCredentials>| match login {
            Some(login) => LateLogin::Known(login.clone()),
            None => LateLogin::Missing(registry.authority.clone()),
        };
        match (&registry.login, &registry.trust) {
            (NodeLogin::Nobody, _) => LateLogin::Nobody,
            (NodeLogin::Named(name), _) => known(self.node_logins.others.get(name)),
            (NodeLogin::Site, RegistryTrust::Site) => {
                let slot = if self.cluster.nodes_only_read() {
                    &self.node_credentials
                } else {
                    &self.credentials
                };
                LateLogin::Made(slot.clone())
            }
            (NodeLogin::Site, _) => known(self.node_login()),
        }
    }

    /// Who pulls from a registry that was there before.
    pub(crate) fn node_login(&self) -> Option<&RegistryCredentials> {
        self.node_logins
            .site
            .as_ref()
            .or(self.registry_login.as_ref())
    }
}

/// A registry's name as a folder: containerd takes `host_port_` for a host with a port, and a colon in a path troubles other tools.
pub(crate) fn folder(authority: &str) -> String {
    match authority.split_once(':') {
        Some((host, port)) => format!("{host}_{port}_"),
        None => authority.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::site;

    fn told(spec: &str) -> String {
        let mut lines = Vec::new();
        for Route { of, endpoints } in site(spec).routes() {
            let of = match of {
                Upstream::Host(host) => host,
                Upstream::Others => "others".to_owned(),
            };
            let urls: Vec<String> = endpoints.iter().map(Endpoint::url).collect();
            lines.push(format!("{of}: {}", urls.join(", then ")));
        }
        lines.join("\n")
    }

    #[test]
    fn nobody_is_asked_where_images_are_imported() {
        assert_eq!(told("{}"), "");
    }

    #[test]
    fn a_registry_that_was_there_before_has_all_images_in_one_project() {
        let spec =
            "registry: {type: external, privateRegistry: hub.corp, namespaceOverride: team/kubexm}";
        insta::assert_snapshot!(told(spec), @r"
        others: https://hub.corp/v2
        hub.corp: https://hub.corp/v2
        registry.k8s.io: https://hub.corp/v2/team/kubexm/registry.k8s.io
        ");
    }

    #[test]
    fn whom_the_config_names_is_asked_behind_the_sites_registry() {
        let spec = "\
registry: {type: external, privateRegistry: 'hub.corp:5000', auths: {team.corp: {onNodes: true}}}
  kubernetes: {containerRuntime: {containerd: {registryMirrors: ['http://mirror.corp/hub'], insecureRegistries: ['old.corp:5000']}}}";
        insta::assert_snapshot!(told(spec), @r"
        others: https://hub.corp:5000/v2
        docker.io: https://hub.corp:5000/v2/docker.io, then http://mirror.corp/v2/hub
        hub.corp:5000: https://hub.corp:5000/v2
        old.corp:5000: https://hub.corp:5000/v2/old.corp_5000, then https://old.corp:5000/v2, then http://old.corp:5000/v2
        registry.k8s.io: https://hub.corp:5000/v2/registry.k8s.io
        team.corp: https://hub.corp:5000/v2/team.corp, then https://team.corp/v2
        ");
        let without =
            "kubernetes: {containerRuntime: {containerd: {registryMirrors: [mirror.corp]}}}";
        assert_eq!(told(without), "docker.io: https://mirror.corp/v2");
    }

    #[test]
    fn nodes_that_only_read_have_no_account_that_pushes() {
        let text = include_str!("../../../examples/three-etcd.yaml");
        let told = |text: &str| {
            let cluster = cluster::parse("config.yaml", text).unwrap().cluster;
            let contents = artifact::Contents::new(cluster.name(), "0.1.0");
            let site = Site::new(cluster, contents, artifact::Tree::at("/srv"), None);
            for (slot, username) in [
                (&site.credentials, "pusher"),
                (&site.node_credentials, "reader"),
            ] {
                slot.fill(RegistryCredentials {
                    username: username.to_owned(),
                    password: "secret".into(),
                });
            }
            let asked = site.asked_registries();
            let login = site.login_at(&asked[0]).get().unwrap().unwrap();
            format!("{} at {}", login.username, asked[0].authority)
        };
        assert_eq!(told(text), "pusher at dockerhub.kubexm.local:5000");
        let reading = text.replace(
            "    type: registry\n",
            "    type: registry\n    readOnlyPort: 5001\n",
        );
        assert_eq!(told(&reading), "reader at dockerhub.kubexm.local:5001");
    }
}
