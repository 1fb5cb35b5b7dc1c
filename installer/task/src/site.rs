use std::collections::{BTreeMap, BTreeSet, HashSet};

use artifact::{Contents, ImageEntry, ImageSet, Release, Tree, split_tag};
use camino::Utf8PathBuf;
use cluster::{Arch, Cluster, Host, Role, Tag};
use engine::{Data, Slot};
use step::{EtcdPeer, LoginManner, OffsetDateTime, RegistryCredentials, RuntimeChange, SiteNames};

use crate::upgrade::Hop;

/// The name under which the operator's own machine takes part in a plan. No host can be called so: it is no DNS label.
pub const OPERATOR: &str = "(operator)";

/// Everything that tasks are made from: what the config asks for and what the tree holds.
pub struct Site {
    pub cluster: Cluster,
    pub contents: Contents,
    /// What of the contents is installed.
    pub release: Release,
    /// What is done beside, where this is a release of an upgrade.
    pub hop: Option<Hop>,
    /// Whether nodes may get another runtime.
    pub runtime_change: RuntimeChange,
    /// What becomes of the data of runtimes that nodes had before.
    pub former_data: Data,
    pub tree: Tree,
    /// The registry's user and password, where the config names them.
    pub registry_login: Option<RegistryCredentials>,
    /// As whom nodes ask registries, where the config says so.
    pub node_logins: NodeLogins,
    /// Hosts of images that are in the site's registry beside those of the bundle.
    pub image_hosts: BTreeSet<String>,
    /// Since when certificates are made anew, where they are.
    pub renewal: Option<OffsetDateTime>,
    /// The same for all tasks: filled by the one that prepares the registry's credentials.
    pub(crate) credentials: Slot<RegistryCredentials>,
    /// Likewise: those of the nodes, where they are others.
    pub(crate) node_credentials: Slot<RegistryCredentials>,
    /// Likewise: who looks after Harbor, and its database.
    pub(crate) harbor_admin: Slot<RegistryCredentials>,
    pub(crate) harbor_database: Slot<RegistryCredentials>,
    /// Likewise: full once the site's registry holds every image.
    pub(crate) pushed: Slot<()>,
    /// Likewise: how a registry that was there before takes the nodes' login.
    pub(crate) login_manner: Slot<LoginManner>,
}

/// As whom nodes ask registries.
#[derive(Clone, Debug, Default)]
pub struct NodeLogins {
    /// The site's, where it is another account than the one that pushes.
    pub site: Option<RegistryCredentials>,
    /// Others, by their name in the config.
    pub others: BTreeMap<String, RegistryCredentials>,
}

impl Site {
    #[must_use]
    pub fn new(
        cluster: Cluster,
        contents: Contents,
        tree: Tree,
        registry_login: Option<RegistryCredentials>,
    ) -> Self {
        let kubernetes = &cluster.spec.kubernetes.version;
        // Where the bundle has another version of Kubernetes, that is told with all else that is missing.
        let release = contents
            .release(kubernetes, cluster.name())
            .or(contents.releases.last())
            .cloned()
            .unwrap_or_else(|| Release::new(kubernetes.clone()));
        let credentials = Slot::new("the registry's credentials");
        Self {
            cluster,
            contents,
            release,
            hop: None,
            runtime_change: RuntimeChange::default(),
            former_data: Data::Keep,
            tree,
            registry_login,
            node_logins: NodeLogins::default(),
            image_hosts: BTreeSet::new(),
            renewal: None,
            credentials,
            node_credentials: Slot::new("the registry's credentials of nodes"),
            harbor_admin: Slot::new("the password of Harbor's administrator"),
            harbor_database: Slot::new("the password of Harbor's database"),
            pushed: Slot::new("the images in the registry"),
            login_manner: Slot::new("how the registry takes a login"),
        }
    }

    /// The same site, where nodes find images of these hosts as well.
    #[must_use]
    pub fn with_image_hosts(self, image_hosts: BTreeSet<String>) -> Self {
        Self {
            image_hosts,
            ..self
        }
    }

    /// The same site, with what its nodes log in with.
    #[must_use]
    pub fn with_node_logins(self, node_logins: NodeLogins) -> Self {
        Self {
            node_logins,
            ..self
        }
    }

    /// Everything that the config asks for and the tree does not hold, as one list.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let arches = self.arches().into_iter().collect();
        let absent = artifact::needs(&self.cluster).into_iter().flat_map(|need| {
            let arches = need.arches(&self.cluster, &arches);
            arches
                .into_iter()
                .flat_map(|arch| need.missing_from(&self.contents, &self.release, arch))
                .collect::<Vec<_>>()
        });
        let other = self
            .asked_versions()
            .into_iter()
            .filter_map(|(name, asked)| {
                let held = self.held_versions(name);
                let same = |held: &&str| held.trim_start_matches('v') == asked.without_v();
                let first = held.first().filter(|_| !held.iter().any(same))?;
                Some(format!(
                    "{name} {asked}, wanted by the config (the bundle holds {first})"
                ))
            });
        absent
            .map(|missing| missing.to_string())
            .chain(other)
            .collect()
    }

    /// Every version that the config names, by component.
    fn asked_versions(&self) -> Vec<(&str, Tag)> {
        let spec = &self.cluster.spec;
        let mut asked = vec![("kubelet", Tag::from(&spec.kubernetes.version))];
        if let Some(version) = &spec.etcd.version
            && !self.etcd_hosts().is_empty()
        {
            asked.push(("etcd", Tag::from(version)));
        }
        if let Some(version) = self.cluster.runtime_version()
            && !self.runtime_hosts().is_empty()
        {
            let kind = spec.kubernetes.container_runtime.kind;
            asked.push((kind.name(), Tag::from(version)));
        }
        if let Some(version) = &spec.registry.version
            && self.cluster.registry_host().is_some()
        {
            asked.push((spec.registry.kind.name(), Tag::from(version)));
        }
        let named = spec.versions.iter();
        asked.extend(named.map(|(name, tag)| (name.as_str(), tag.clone())));
        asked
    }

    /// The versions of a component in the bundle; of one that is images alone, their tags.
    fn held_versions(&self, name: &str) -> Vec<&str> {
        if let Some(version) = self.release.version_of(name) {
            return vec![version];
        }
        let of_component = |image: &&ImageEntry| {
            let (repository, _) = split_tag(&image.reference);
            !self.release.is_users_own(&image.reference)
                && repository.split('/').skip(1).any(|part| part == name)
        };
        let images = self.contents.images.iter().filter(of_component);
        images
            .filter_map(|image| split_tag(&image.reference).1)
            .collect()
    }

    /// The components whose programs go onto hosts.
    pub(crate) fn components(&self) -> Vec<&'static str> {
        let mut components = self.registry_components();
        if !self.runtime_hosts().is_empty() {
            components.extend(self.runtime_components());
        }
        if !self.etcd_hosts().is_empty() {
            components.push("etcd");
        }
        components.extend(self.kubernetes_components());
        let plugin = self.cluster.spec.network.plugin.parts().components.iter();
        components.extend(plugin.map(|part| part.component));
        if !self.runtime_hosts().is_empty() {
            components.extend(self.tool_components());
        }
        components
    }

    /// The architectures of the hosts, as the config has them.
    pub(crate) fn arches(&self) -> Vec<Arch> {
        let has = |arch: &Arch| {
            self.cluster
                .spec
                .hosts
                .iter()
                .any(|host| host.arch == *arch)
        };
        Arch::ALL.into_iter().filter(has).collect()
    }

    /// Every host, in the order of the config.
    pub(crate) fn host_names(&self) -> Vec<String> {
        names(self.cluster.spec.hosts.iter())
    }

    pub(crate) fn etcd_hosts(&self) -> Vec<&Host> {
        match self.cluster.spec.etcd.kind {
            cluster::EtcdType::Kubexm => self.cluster.hosts_in(Role::Etcd),
            cluster::EtcdType::Kubeadm | cluster::EtcdType::External => Vec::new(),
        }
    }

    /// The hosts that run containers: masters and workers.
    pub(crate) fn runtime_hosts(&self) -> Vec<&Host> {
        let nodes = [Role::Master, Role::Worker].into_iter();
        let nodes = nodes.flat_map(|role| self.cluster.hosts_in(role));
        let names: HashSet<&str> = nodes.map(|host| host.name.as_str()).collect();
        let hosts = self.cluster.spec.hosts.iter();
        hosts
            .filter(|host| names.contains(host.name.as_str()))
            .collect()
    }

    pub(crate) fn peer(host: &Host) -> EtcdPeer {
        EtcdPeer {
            name: host.name.clone(),
            address: url_address(host),
        }
    }

    /// The sandbox image.
    pub(crate) fn pause_image(&self) -> Option<&ImageEntry> {
        self.first_of(ImageSet::Pause)
    }

    /// The first image of a set.
    pub(crate) fn first_of(&self, set: ImageSet) -> Option<&ImageEntry> {
        let reference = self.release.images_of(set).first()?;
        let mut images = self.contents.images.iter();
        images.find(|image| image.reference == *reference)
    }

    /// The one image of the bundle with this name: the last part of its repository.
    pub(crate) fn image_named(&self, name: &str) -> Option<&ImageEntry> {
        self.images_named(name).next()
    }

    pub(crate) fn images_named(&self, name: &str) -> impl Iterator<Item = &ImageEntry> {
        let is_it = move |image: &&ImageEntry| {
            let (repository, _) = split_tag(&image.reference);
            repository.rsplit('/').next() == Some(name)
        };
        let in_release = |image: &&ImageEntry| {
            let sets = self.release.images.iter();
            let mut own = sets.filter(|(set, _)| !set.is_of_people());
            own.any(|(_, images)| images.contains(&image.reference))
        };
        let images = self.contents.images.iter().filter(is_it);
        let (own, others): (Vec<_>, Vec<_>) = images.partition(in_release);
        own.into_iter().chain(others)
    }

    /// How the site's registry names the images of the world.
    #[must_use]
    pub fn registry_names(&self) -> SiteNames {
        let namespace = self.cluster.spec.registry.namespace_override.clone();
        SiteNames {
            authority: self.cluster.registry_authority(),
            namespace: Some(namespace).filter(|namespace| !namespace.is_empty()),
        }
    }

    pub(crate) fn registry_dir(&self) -> Utf8PathBuf {
        self.tree.certs("registry")
    }
}

/// The first two numbers of a version, with or without its v.
pub(crate) fn minor(version: &str) -> (u32, u32) {
    let mut numbers = version
        .trim_start_matches('v')
        .split('.')
        .map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

pub(crate) fn names<'a>(hosts: impl IntoIterator<Item = &'a Host>) -> Vec<String> {
    hosts.into_iter().map(|host| host.name.clone()).collect()
}

/// A host's internal address as it stands in a URL.
pub(crate) fn url_address(host: &Host) -> String {
    match (host.internal_v4(), host.internal_v6()) {
        (Some(v4), _) => v4.to_string(),
        (None, Some(v6)) => format!("[{v6}]"),
        (None, None) => host.address.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// People may bring an image of the same name, and with any tag.
    #[test]
    fn the_release_s_own_image_comes_before_those_of_people() {
        use artifact::{ImageSet, Sha256};

        let mut site = crate::testing::site("{}");
        let (theirs, own) = (
            "registry.k8s.io/etcd:0-theirs",
            "registry.k8s.io/etcd:3.6.5-0",
        );
        let entry = |reference: &str| ImageEntry::new(reference, Sha256::of(b"etcd"));
        site.contents.images = [theirs, own].map(entry).into();
        let sets = [(ImageSet::User, theirs), (ImageSet::ControlPlane, own)];
        site.release.images = sets
            .map(|(set, reference)| (set, vec![reference.to_owned()]))
            .into();
        assert_eq!(site.image_named("etcd").unwrap().reference, own);
        // Whoever names the release's own as well takes nothing from it.
        let all = site.release.images.get_mut(&ImageSet::User).unwrap();
        all.push(own.to_owned());
        assert_eq!(site.image_named("etcd").unwrap().reference, own);
        site.release.images.remove(&ImageSet::ControlPlane);
        assert_eq!(site.image_named("etcd").unwrap().reference, theirs);
    }
}
