use std::collections::BTreeSet;
use std::fmt;

use cluster::{Arch, Cluster, EtcdType, ImageSet, KubernetesType, Os, Parts, Role, RuntimeType};

use crate::addon::{addon_component, entry_digest};
use crate::packages::{package_arches, system_packages};
use crate::{Contents, PackageName, PackageSet, Release, full_reference};

/// Something that an installation will ask its bundle for.
///
/// Both halves use this one list: bundling proves that the tree holds all of it, installing checks the same before
/// anything is touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub what: What,
    /// Who asks, e.g. `etcd` or `containerRuntime containerd`.
    pub wanted_by: String,
    /// The role that uses it, where it is not every node's.
    pub on: Option<Role>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A component of the catalogue, with the programs that are taken out of it.
    Component {
        name: &'static str,
        programs: &'static [&'static str],
    },
    /// A set of images of the catalogue.
    Images { set: ImageSet },
    /// One image, by reference, for these architectures. None: for all.
    Image {
        reference: String,
        arches: BTreeSet<Arch>,
    },
    /// A package of an operating system, with all that it requires.
    Package { os: Os, package: PackageName },
    /// The objects of an addon, made from just this entry of the config.
    Addon { name: String, entry: String },
}

/// Something that is asked for and not there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    pub what: String,
    pub arch: Arch,
    pub wanted_by: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} for {}, wanted by {}",
            self.what, self.arch, self.wanted_by
        )
    }
}

/// Everything that an installation by this config will ask for.
#[must_use]
pub fn needs(cluster: &Cluster) -> Vec<Need> {
    let spec = &cluster.spec;
    let runtime = spec.kubernetes.container_runtime.kind;
    let by = format!("containerRuntime {runtime}");
    let mut needs = of(&by, runtime.parts());
    needs.extend(of(&by, RuntimeType::common_parts()));
    needs.extend(kubernetes(cluster));
    let etcd = match spec.etcd.kind {
        EtcdType::Kubexm => "etcd kubexm",
        EtcdType::Kubeadm => "etcd kubeadm",
        EtcdType::External => "etcd external",
    };
    needs.extend(of(etcd, spec.etcd.kind.parts()));
    needs.extend(registry(cluster));
    let plugin = spec.network.plugin;
    needs.extend(of(&format!("network {plugin}"), plugin.parts()));
    needs.extend(of(
        "controlPlaneEndpoint.internalLoadbalancer",
        spec.control_plane_endpoint.internal_load_balancer.parts(),
    ));
    for tool in cluster.tools() {
        needs.extend(of("tools", tool.parts()));
    }
    for own in &spec.images {
        needs.push(Need {
            what: What::Image {
                reference: own.image.clone(),
                arches: own.arch.iter().copied().collect(),
            },
            wanted_by: "spec.images".to_owned(),
            on: None,
        });
    }
    for addon in cluster.addons() {
        needs.push(Need {
            what: What::Addon {
                entry: entry_digest(cluster, &addon),
                name: addon.name,
            },
            wanted_by: "addons".to_owned(),
            on: None,
        });
    }
    for os in cluster.systems() {
        for need in system_packages(cluster, &os) {
            needs.push(Need {
                what: What::Package {
                    os: os.clone(),
                    package: need.package,
                },
                wanted_by: need.wanted_by,
                on: None,
            });
        }
    }
    needs
}

fn kubernetes(cluster: &Cluster) -> Vec<Need> {
    let spec = &cluster.spec;
    let kind = spec.kubernetes.kind;
    let by = match kind {
        KubernetesType::Kubeadm => "kubernetes kubeadm",
        KubernetesType::Kubexm => "kubernetes kubexm",
    };
    let mut needs = of(by, kind.parts());
    // What kubeadm itself lists.
    if kind == KubernetesType::Kubeadm && spec.etcd.kind == EtcdType::Kubeadm {
        needs.extend(of(by, EtcdType::Kubeadm.parts()));
    }
    if spec.dns.nodelocaldns.runs() {
        needs.push(images("dns nodelocaldns", ImageSet::Nodelocaldns));
    }
    needs
}

fn registry(cluster: &Cluster) -> Vec<Need> {
    if cluster.spec.role_groups.of(Role::Registry).is_empty() {
        return Vec::new();
    }
    let kind = cluster.spec.registry.kind;
    let by = format!("role registry ({})", kind.name());
    let needs = of(&by, kind.parts()).into_iter();
    let on = Some(Role::Registry);
    needs.map(|need| Need { on, ..need }).collect()
}

fn of(by: &str, parts: Parts) -> Vec<Need> {
    let components = parts.components.iter().map(|part| Need {
        what: What::Component {
            name: part.component,
            programs: part.programs,
        },
        wanted_by: by.to_owned(),
        on: None,
    });
    let images = parts.images.iter().map(|set| images(by, *set));
    components.chain(images).collect()
}

fn images(by: &str, set: ImageSet) -> Need {
    Need {
        what: What::Images { set },
        wanted_by: by.to_owned(),
        on: None,
    }
}

impl Need {
    /// The architectures it is needed for: those of the hosts that use it, where they are known.
    #[must_use]
    pub fn arches(&self, cluster: &Cluster, all: &BTreeSet<Arch>) -> BTreeSet<Arch> {
        if let What::Package { os, package } = &self.what {
            return package_arches(cluster, os, package, all);
        }
        if let What::Image { arches, .. } = &self.what
            && !arches.is_empty()
        {
            return all.intersection(arches).copied().collect();
        }
        let using: BTreeSet<Arch> = self
            .on
            .map(|role| {
                cluster
                    .hosts_in(role)
                    .into_iter()
                    .map(|host| host.arch)
                    .collect()
            })
            .unwrap_or_default();
        if using.is_empty() { all.clone() } else { using }
    }

    /// What of it a bundle does not hold for this architecture.
    #[must_use]
    pub fn missing_from(&self, bundle: &Contents, release: &Release, arch: Arch) -> Vec<Missing> {
        let missing = |what: String| Missing {
            what,
            arch,
            wanted_by: self.wanted_by.clone(),
        };
        match &self.what {
            What::Component { name, programs } => {
                let version = release
                    .version_of(name)
                    .map_or_else(String::new, |v| format!(" {v}"));
                if bundle.files_of(release, name, arch).next().is_none() {
                    return vec![missing(format!("{name}{version}"))];
                }
                programs
                    .iter()
                    .filter(|name_of| {
                        !bundle
                            .programs_of(release, name, arch)
                            .any(|p| p.program.name == **name_of)
                    })
                    .map(|program| missing(format!("program {program} of {name}{version}")))
                    .collect()
            }
            // Which images a set means is known where the bundle is made: the release has the list.
            What::Images { set } => {
                let references = release.images_of(*set);
                if references.is_empty() {
                    return vec![missing(format!("images {set}"))];
                }
                references
                    .iter()
                    .filter(|reference| !bundle.has_image(reference, arch))
                    .map(|reference| missing(format!("image {reference}")))
                    .collect()
            }
            What::Image { reference, .. } => {
                if bundle.has_image(&full_reference(reference), arch) {
                    Vec::new()
                } else {
                    vec![missing(format!("image {reference}"))]
                }
            }
            What::Addon { name, entry } => match release.version_of(&addon_component(name)) {
                None => vec![missing(format!("addon {name}"))],
                Some(version) if version.ends_with(entry) => Vec::new(),
                Some(_) => vec![missing(format!(
                    "addon {name} as the config has it now (the bundle was made when its entry was another)"
                ))],
            },
            What::Package { os, package } => {
                let set = bundle.packages_for(os, arch);
                let known = set.and_then(|set| Some((set, set.names_of(package)?)));
                match known {
                    Some((set, names)) => without(bundle, set, names).map(missing).collect(),
                    None => vec![missing(format!("package {package} of {os}"))],
                }
            }
        }
    }
}

/// What is not there of these packages and all that they require.
fn without<'a>(
    bundle: &'a Contents,
    set: &'a PackageSet,
    names: &'a [String],
) -> impl Iterator<Item = String> {
    let closure = set.closure(names.iter().map(String::as_str));
    let packages = closure.packages.into_iter();
    let lost = closure.missing.into_iter().map(move |name| {
        let who = set
            .packages
            .iter()
            .find(|entry| entry.needs.iter().any(|need| need == name));
        let required = who.map_or_else(String::new, |entry| {
            format!(", which {} requires", entry.name)
        });
        format!("package {name} of {}{required}", set.os)
    });
    packages
        .filter(|entry| bundle.file(&entry.path).is_none())
        .map(|entry| format!("file {}", entry.path))
        .chain(lost)
}

#[cfg(test)]
mod tests;
