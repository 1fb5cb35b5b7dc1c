//! Packages of operating systems: what a host needs of them, and what a bundle carries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use cluster::{
    Arch, Cluster, ExternalLoadBalancer, Host, InternalLoadBalancer, KubernetesType, Os, OsPackage,
    ProxyMode, Role,
};
use serde::{Deserialize, Serialize};

use crate::{Contents, known_keys};

/// The packages that a bundle carries for one system and architecture, closed under what they require.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageSet {
    pub os: Os,
    pub arch: Arch,
    pub format: PackageFormat,
    /// What each need of kubexm's is called here; nothing where the system has no use for it.
    #[serde(deserialize_with = "known_keys")]
    pub names: BTreeMap<OsPackage, Vec<String>>,
    /// The same for what `spec.system.debs` or `spec.system.rpms` names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub named: BTreeMap<String, Vec<String>>,
    /// Sorted by name.
    pub packages: Vec<PackageEntry>,
    /// What the packages rely on and the system itself must bring. Sorted by name.
    pub base: Vec<BasePackage>,
}

/// The form of a system's packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageFormat {
    Deb,
    Rpm,
}

/// A package in the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageEntry {
    pub name: String,
    /// As the system's package manager writes it.
    pub version: String,
    /// Its file in the tree, e.g. `packages/debian-13/amd64/conntrack_1.4.8-2_amd64.deb`.
    pub path: Utf8PathBuf,
    /// The packages that it requires, by name: others in the bundle, and those of the base.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

/// A package that a system has from the beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasePackage {
    pub name: String,
    /// The oldest version that will do, where somebody asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<String>,
}

/// Some packages with everything they require.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure<'a> {
    /// In the bundle. Sorted by name.
    pub packages: Vec<&'a PackageEntry>,
    /// Of the system itself. Sorted by name.
    pub base: Vec<&'a BasePackage>,
    /// Neither here nor there, by name. Of a bundle that kubexm has made, none.
    pub missing: BTreeSet<&'a str>,
}

/// A package as somebody asks for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PackageName {
    /// By kubexm's name, for every system.
    Known(OsPackage),
    /// By its own name, for systems with dpkg.
    Deb(String),
    /// By its own name, for systems with RPM.
    Rpm(String),
}

/// A package that a host needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageNeed {
    pub package: PackageName,
    /// Who asks, e.g. `role loadbalancer (kubexm-kn)`.
    pub wanted_by: String,
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(package) => package.fmt(f),
            Self::Deb(name) | Self::Rpm(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for PackageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deb => "deb",
            Self::Rpm => "rpm",
        })
    }
}

impl PackageName {
    /// Whether it means anything to systems with such packages.
    #[must_use]
    pub const fn is_for(&self, format: PackageFormat) -> bool {
        match self {
            Self::Known(_) => true,
            Self::Deb(_) => matches!(format, PackageFormat::Deb),
            Self::Rpm(_) => matches!(format, PackageFormat::Rpm),
        }
    }
}

impl PackageSet {
    /// The directory of the tree that holds the packages, and the index that makes a repository of them.
    #[must_use]
    pub fn directory(os: &Os, arch: Arch) -> Utf8PathBuf {
        format!("packages/{os}/{arch}").into()
    }

    /// What a need is called here. None: the bundle was not made for it.
    #[must_use]
    pub fn names_of(&self, package: &PackageName) -> Option<&[String]> {
        if !package.is_for(self.format) {
            return Some(&[]);
        }
        match package {
            PackageName::Known(known) => self.names.get(known),
            PackageName::Deb(name) | PackageName::Rpm(name) => self.named.get(name),
        }
        .map(Vec::as_slice)
    }

    #[must_use]
    pub fn package(&self, name: &str) -> Option<&PackageEntry> {
        let at = self
            .packages
            .binary_search_by(|entry| entry.name.as_str().cmp(name));
        at.ok().map(|at| &self.packages[at])
    }

    #[must_use]
    pub fn base_package(&self, name: &str) -> Option<&BasePackage> {
        let at = self
            .base
            .binary_search_by(|base| base.name.as_str().cmp(name));
        at.ok().map(|at| &self.base[at])
    }

    /// These packages, and what they require, and so on.
    #[must_use]
    pub fn closure<'a>(&'a self, names: impl IntoIterator<Item = &'a str>) -> Closure<'a> {
        let mut to_see: Vec<&str> = names.into_iter().collect();
        let mut seen = BTreeSet::new();
        let mut closure = Closure::default();
        while let Some(name) = to_see.pop() {
            if !seen.insert(name) {
                continue;
            }
            if let Some(entry) = self.package(name) {
                to_see.extend(entry.needs.iter().map(String::as_str));
                closure.packages.push(entry);
            } else if let Some(base) = self.base_package(name) {
                closure.base.push(base);
            } else {
                closure.missing.insert(name);
            }
        }
        closure.packages.sort_unstable_by_key(|entry| &entry.name);
        closure.base.sort_unstable_by_key(|base| &base.name);
        closure
    }
}

impl Contents {
    /// The packages for a system and architecture.
    #[must_use]
    pub fn packages_for(&self, os: &Os, arch: Arch) -> Option<&PackageSet> {
        let mut sets = self.systems.iter();
        sets.find(|set| set.os == *os && set.arch == arch)
    }

    /// The files that make a repository of a set's packages.
    pub fn package_index<'a>(
        &'a self,
        set: &'a PackageSet,
    ) -> impl Iterator<Item = &'a crate::FileEntry> {
        let directory = PackageSet::directory(&set.os, set.arch);
        let packages: BTreeSet<&Utf8Path> = set
            .packages
            .iter()
            .map(|entry| entry.path.as_path())
            .collect();
        self.files.iter().filter(move |file| {
            file.path.starts_with(&directory) && !packages.contains(file.path.as_path())
        })
    }
}

/// A package, who asks for it, and the roles whose hosts need it; none means every host.
struct Want {
    need: PackageNeed,
    roles: &'static [Role],
}

const EVERY: &[Role] = &[];
const NODES: &[Role] = &[Role::Master, Role::Worker];
const MASTERS: &[Role] = &[Role::Master];
const BALANCERS: &[Role] = &[Role::LoadBalancer];
/// Those whose service runs as a user of its own.
const WITH_USERS: &[Role] = &[Role::Etcd, Role::Registry];

impl Want {
    fn is_of(&self, roles: &BTreeSet<Role>) -> bool {
        self.roles.is_empty() || self.roles.iter().any(|role| roles.contains(role))
    }
}

/// What this host needs of its system, by its roles and by what the config has chosen.
#[must_use]
pub fn host_packages(cluster: &Cluster, host: &Host) -> Vec<PackageNeed> {
    let roles = cluster.roles_of(&host.name);
    let wants = wants(cluster).into_iter();
    wants
        .filter(|want| want.is_of(&roles))
        .map(|want| want.need)
        .collect()
}

/// What the hosts need that may run this system: for a system of no host, what any host may come to need.
pub(crate) fn system_packages(cluster: &Cluster, os: &Os) -> Vec<PackageNeed> {
    let users = users(cluster, os);
    let roles: Vec<BTreeSet<Role>> = users.map(|host| cluster.roles_of(&host.name)).collect();
    let wants = wants(cluster).into_iter();
    wants
        .filter(|want| roles.is_empty() || roles.iter().any(|roles| want.is_of(roles)))
        .map(|want| want.need)
        .collect()
}

/// The architectures of this system that a package is needed for.
pub(crate) fn package_arches(
    cluster: &Cluster,
    os: &Os,
    package: &PackageName,
    all: &BTreeSet<Arch>,
) -> BTreeSet<Arch> {
    let wants: Vec<Want> = wants(cluster)
        .into_iter()
        .filter(|want| want.need.package == *package)
        .collect();
    let known: BTreeSet<Arch> = cluster.spec.hosts.iter().map(|host| host.arch).collect();
    let using = users(cluster, os).filter(|host| {
        let roles = cluster.roles_of(&host.name);
        wants.iter().any(|want| want.is_of(&roles))
    });
    let using: BTreeSet<Arch> = using.map(|host| host.arch).collect();
    if using.is_empty() {
        return all.clone();
    }
    // Hosts of an architecture that none has so far are still to come.
    let to_come = |arch: &Arch| !known.contains(arch);
    let wanted = all
        .iter()
        .filter(|arch| using.contains(arch) || to_come(arch));
    wanted.copied().collect()
}

fn users<'a>(cluster: &'a Cluster, os: &'a Os) -> impl Iterator<Item = &'a Host> {
    let hosts = cluster.spec.hosts.iter();
    hosts.filter(move |host| cluster.systems_of(host).contains(os))
}

/// Who needs what: the one table of it.
fn wants(cluster: &Cluster) -> Vec<Want> {
    use OsPackage as P;
    let spec = &cluster.spec;
    let mut wants = Wants::default();

    let node = "every Kubernetes node";
    wants.all(
        node,
        NODES,
        &[P::Conntrack, P::Ebtables, P::Ethtool, P::Iproute, P::Ipset],
    );
    wants.all(
        node,
        NODES,
        &[P::Iptables, P::Kmod, P::Mount, P::Procps, P::Socat],
    );
    let runtime = format!(
        "containerRuntime {}",
        spec.kubernetes.container_runtime.kind
    );
    wants.all(&runtime, NODES, &[P::ContainerSelinux]);
    let mode = spec.kubernetes.proxy_mode();
    let forwarding: &[P] = match mode {
        ProxyMode::Iptables => &[],
        ProxyMode::Ipvs => &[P::Ipvsadm],
        ProxyMode::Nftables => &[P::Nftables],
    };
    wants.all(
        &format!("kubernetes.proxyMode {}", mode.name()),
        NODES,
        forwarding,
    );
    if spec.kubernetes.kind == KubernetesType::Kubeadm {
        wants.all("kubernetes kubeadm", NODES, &[P::UtilLinux]);
    }
    wants.all("role master", MASTERS, &[P::Diffutils]);
    wants.all("the users of etcd and registry", WITH_USERS, &[P::Shadow]);

    let endpoint = &spec.control_plane_endpoint;
    let balancer = match endpoint.external_load_balancer {
        ExternalLoadBalancer::Kubexm => Some(("kubexm", P::Haproxy)),
        ExternalLoadBalancer::KubexmHaproxy => Some(("kubexm-kh", P::Haproxy)),
        ExternalLoadBalancer::KubexmNginx => Some(("kubexm-kn", P::Nginx)),
        ExternalLoadBalancer::None | ExternalLoadBalancer::External => None,
    };
    if let Some((choice, program)) = balancer {
        let by = format!("role loadbalancer ({choice})");
        wants.all(
            &by,
            BALANCERS,
            &[P::Bash, P::Iproute, P::Keepalived, P::Procps, program],
        );
    }
    if endpoint.internal_load_balancer == InternalLoadBalancer::KubeVip {
        wants.all(
            "controlPlaneEndpoint.internalLoadbalancer kube-vip",
            MASTERS,
            &[P::Bash],
        );
    }

    if !spec.system.ntp_servers.is_empty() {
        wants.all("system.ntpServers", EVERY, &[P::Chrony]);
    }
    if spec.system.timezone.is_some() {
        wants.all("system.timezone", EVERY, &[P::Tzdata]);
    }
    for known in cluster.known_addons() {
        wants.all(&format!("addon {known}"), NODES, known.packages());
    }
    for name in &spec.system.debs {
        wants.add("system.debs", EVERY, PackageName::Deb(name.clone()));
    }
    for name in &spec.system.rpms {
        wants.add("system.rpms", EVERY, PackageName::Rpm(name.clone()));
    }
    wants.0
}

#[derive(Default)]
struct Wants(Vec<Want>);

impl Wants {
    fn all(&mut self, wanted_by: &str, roles: &'static [Role], packages: &[OsPackage]) {
        for package in packages {
            self.add(wanted_by, roles, PackageName::Known(*package));
        }
    }

    fn add(&mut self, wanted_by: &str, roles: &'static [Role], package: PackageName) {
        let wanted_by = wanted_by.to_owned();
        let need = PackageNeed { package, wanted_by };
        self.0.push(Want { need, roles });
    }
}

#[cfg(test)]
mod tests;
