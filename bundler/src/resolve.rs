//! What a config asks for, as files with addresses and images with references.

mod error;

use std::collections::{BTreeMap, BTreeSet};

use artifact::{ImageSet, Need, What, full_reference, repository};
use catalogue::{Catalogue, Defaults, Minor, ResolveError, Resolved, Systems};
use cluster::{Arch, Cluster, EtcdType, Tag, Version};

pub use self::error::{FileFailure, ResolveFailure};
use crate::lock::Lock;
use crate::oldest_glibc::oldest_glibc;

/// How [`artifact::needs`] names kubeadm.
const KUBEADM: &str = "kubernetes kubeadm";

/// A file, and everybody who asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedFile {
    pub file: Resolved,
    pub wanted_by: Vec<String>,
}

impl WantedFile {
    /// `etcd v3.5.24 for amd64`
    #[must_use]
    pub fn title(&self) -> String {
        let version = self.file.version.with_v();
        title(&self.file.component, &version, self.file.arch)
    }
}

/// How a file is called in front of people.
pub(crate) fn title(component: &str, version: &str, arch: Option<Arch>) -> String {
    match arch {
        Some(arch) => format!("{component} {version} for {arch}"),
        None => format!("{component} {version}"),
    }
}

/// An image, and everybody who asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedImage {
    /// With registry host and tag.
    pub reference: String,
    pub wanted_by: Vec<String>,
    pub arches: BTreeSet<Arch>,
    /// The sets that it belongs to.
    pub sets: BTreeSet<ImageSet>,
}

/// All that a config asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub arches: BTreeSet<Arch>,
    /// By path in the tree.
    pub files: Vec<WantedFile>,
    /// By reference.
    pub images: Vec<WantedImage>,
    /// Repositories whose version the config names: nobody else has a say in it.
    pub named: BTreeSet<String>,
    /// What all this was worked out from; the proof of completeness asks for it again.
    pub needs: Vec<Need>,
    /// The release line whose defaults were taken, where the catalogue does not know the one asked for.
    pub nearest: Option<Minor>,
}

/// Works out every file and image. `arches`, where not empty, are instead of the config's own.
pub fn resolve(
    cluster: &Cluster,
    arches: &BTreeSet<Arch>,
    catalogue: &Catalogue,
) -> Result<Wanted, ResolveFailure> {
    let arches = if arches.is_empty() {
        cluster.arches()
    } else {
        serve_every_host(cluster, arches)?;
        arches.clone()
    };
    if arches.is_empty() {
        return Err(ResolveFailure::NoArch);
    }
    let defaults = chosen(cluster, catalogue)?;
    let needs = artifact::needs(cluster);
    let systems = Systems::builtin();
    let mut files = BTreeMap::<String, WantedFile>::new();
    let mut images = BTreeMap::<String, WantedImage>::new();
    let mut named = BTreeSet::new();
    let mut failures = Vec::new();
    for need in &needs {
        match &need.what {
            What::Component { name, .. } => {
                let version = defaults.version(name)?;
                let must = need.arches(cluster, &arches);
                for arch in &arches {
                    match catalogue.component(name).and_then(|c| {
                        c.resolve(&version, *arch, oldest_glibc(cluster, &systems, *arch))
                    }) {
                        Ok(file) => add(
                            &mut files
                                .entry(file.path.clone())
                                .or_insert_with(|| WantedFile {
                                    file,
                                    wanted_by: Vec::new(),
                                })
                                .wanted_by,
                            &need.wanted_by,
                        ),
                        // No host that would use it is of an architecture it is not made for.
                        Err(ResolveError::Arch { .. }) if !must.contains(arch) => {}
                        Err(error) => failures.push(FileFailure {
                            error,
                            wanted_by: need.wanted_by.clone(),
                        }),
                    }
                }
            }
            What::Images { set } => {
                let chosen = defaults.chosen_images(set.name())?;
                named.extend(chosen.iter().map(|image| repository(image).to_owned()));
                for reference in defaults.images(set.name())? {
                    want(&mut images, reference, &need.wanted_by, *set, &arches);
                }
            }
            What::Image { reference, .. } => {
                let reference = full_reference(reference);
                let arches = need.arches(cluster, &arches);
                // It is for hosts that this bundle has nothing for.
                if arches.is_empty() {
                    continue;
                }
                want(
                    &mut images,
                    reference,
                    &need.wanted_by,
                    ImageSet::User,
                    &arches,
                );
            }
            // Which files these are stands in the indexes of the system's archive.
            // And an addon is made when its chart or its manifests are there.
            What::Package { .. } | What::Addon { .. } => {}
        }
    }
    if !failures.is_empty() {
        return Err(ResolveFailure::Files(failures));
    }
    Ok(Wanted {
        arches,
        files: files.into_values().collect(),
        images: images.into_values().collect(),
        named,
        needs,
        nearest: defaults.nearest,
    })
}

fn serve_every_host(cluster: &Cluster, arches: &BTreeSet<Arch>) -> Result<(), ResolveFailure> {
    let hosts: Vec<(String, Arch)> = cluster
        .spec
        .hosts
        .iter()
        .filter(|host| !arches.contains(&host.arch))
        .map(|host| (host.name.clone(), host.arch))
        .collect();
    if hosts.is_empty() {
        Ok(())
    } else {
        Err(ResolveFailure::HostArch { hosts })
    }
}

impl Wanted {
    /// By their references, for whoever changes them and puts them back.
    fn take_images(&mut self) -> BTreeMap<String, WantedImage> {
        let images = std::mem::take(&mut self.images).into_iter();
        images
            .map(|image| (image.reference.clone(), image))
            .collect()
    }

    /// Asks for one more set of images.
    pub fn also(
        &mut self,
        cluster: &Cluster,
        catalogue: &Catalogue,
        set: ImageSet,
        by: &str,
    ) -> Result<(), ResolveFailure> {
        let mut images = self.take_images();
        for reference in chosen(cluster, catalogue)?.images(set.name())? {
            want(&mut images, reference, by, set, &self.arches);
        }
        self.images = images.into_values().collect();
        self.needs.push(Need {
            what: What::Images { set },
            wanted_by: by.to_owned(),
            on: None,
        });
        Ok(())
    }

    /// Asks for one more image.
    pub fn want_image(&mut self, reference: &str, by: &str, set: ImageSet) {
        let mut images = self.take_images();
        want(&mut images, reference, by, set, &self.arches);
        self.images = images.into_values().collect();
    }

    /// A Kubernetes that is newer than the catalogue, in words, and what to do about it.
    #[must_use]
    pub fn tell_of_nearest(&self, cluster: &Cluster) -> Option<(String, &'static str)> {
        let nearest = self.nearest?;
        let message = format!(
            "Kubernetes {} is newer than this kubexm knows; versions that the config does not name are those of {nearest}",
            cluster.spec.kubernetes.version
        );
        Some((
            message,
            "name the versions in the config, or use a newer kubexm",
        ))
    }

    /// The architectures that no host has, where the config names hosts, and `spec.arch` does not ask for them either.
    #[must_use]
    pub fn arches_of_nobody(&self, cluster: &Cluster) -> Vec<Arch> {
        let asked = cluster.arches();
        let mut arches: Vec<Arch> = self.arches.iter().copied().collect();
        arches.retain(|arch| !cluster.spec.hosts.is_empty() && !asked.contains(arch));
        arches
    }

    /// What kubeadm listed for this version when the lock was written; none where the lock is of another version, or of
    /// another kind of cluster.
    #[must_use]
    pub fn listed_before(&self, lock: &Lock, version: &Version) -> Option<Vec<String>> {
        let person = |name: &str| {
            let mut images = self.images.iter();
            images.any(|image| image.reference == name && image.sets.contains(&ImageSet::User))
        };
        let mut listed = Vec::new();
        for image in self
            .images
            .iter()
            .filter(|image| image.is_wanted_by(KUBEADM))
        {
            let of_kubernetes = image.reference.ends_with(&format!(":{}", version.with_v()));
            if of_kubernetes && !lock.images.contains_key(&image.reference) {
                return None;
            }
            let same =
                |name: &&String| repository(name) == repository(&image.reference) && !person(name);
            if of_kubernetes {
                listed.push(image.reference.clone());
                continue;
            }
            // Where there are two, the lock does not tell which of them this version asked for.
            let mut before = lock.images.keys().filter(same);
            listed.push(before.next()?.clone());
            if before.next().is_some() {
                return None;
            }
        }
        Some(listed)
    }

    /// Takes kubeadm's own word for the images of Kubernetes, in place of the catalogue's. It names etcd whoever runs that.
    pub fn believe_kubeadm(&mut self, listed: &[String]) {
        let asked: BTreeSet<&str> = self
            .images
            .iter()
            .map(|image| repository(&image.reference))
            .collect();
        let theirs: BTreeSet<String> = listed
            .iter()
            .map(|image| full_reference(image))
            .filter(|image| !self.named.contains(repository(image)))
            .filter(|image| {
                !repository(image).ends_with("/etcd") || asked.contains(repository(image))
            })
            .collect();
        let repositories: BTreeSet<&str> = theirs.iter().map(|image| repository(image)).collect();
        let mut images = BTreeMap::<String, WantedImage>::new();
        // Who else asks for such an image, like the runtime for pause, gets the one that kubeadm names.
        let mut also = BTreeMap::<String, Vec<WantedImage>>::new();
        for image in std::mem::take(&mut self.images) {
            let users = image.sets.contains(&ImageSet::User);
            if repositories.contains(repository(&image.reference)) && !users {
                let others = also.entry(repository(&image.reference).to_owned());
                others.or_default().push(image);
            } else {
                images.insert(image.reference.clone(), image);
            }
        }
        for image in theirs {
            match also.get(repository(&image)) {
                Some(others) => {
                    for other in others {
                        for set in &other.sets {
                            want(&mut images, image.clone(), KUBEADM, *set, &self.arches);
                        }
                        for by in &other.wanted_by {
                            add(&mut want_any(&mut images, &image).wanted_by, by);
                        }
                    }
                }
                // One that the catalogue does not know of.
                None => want(
                    &mut images,
                    image,
                    KUBEADM,
                    ImageSet::ControlPlane,
                    &self.arches,
                ),
            }
        }
        self.images = images.into_values().collect();
    }

    /// Takes the word of a manifest for the images of what it sets up, in place of the catalogue's.
    pub fn believe_manifest(&mut self, manifest: &WantedFile, images: &BTreeSet<String>) {
        let asks = |image: &WantedImage| {
            let asked = manifest.wanted_by.iter().any(|by| image.is_wanted_by(by));
            asked && !image.sets.contains(&ImageSet::User)
        };
        let Some(set) = self.images.iter().find(|image| asks(image)) else {
            return;
        };
        let Some(set) = set.sets.first().copied().filter(|_| !images.is_empty()) else {
            return;
        };
        let is_named = |image: &str| self.named.contains(repository(image));
        let kept = std::mem::take(&mut self.images).into_iter();
        let kept = kept.filter(|image| !asks(image) || is_named(&image.reference));
        let mut all: BTreeMap<String, WantedImage> =
            kept.map(|image| (image.reference.clone(), image)).collect();
        for image in images.iter().filter(|image| !is_named(image)) {
            for by in &manifest.wanted_by {
                want(&mut all, image, by, set, &self.arches);
            }
        }
        self.images = all.into_values().collect();
    }

    /// The images of each set.
    #[must_use]
    pub fn image_sets(&self) -> BTreeMap<ImageSet, Vec<String>> {
        let mut sets = BTreeMap::<ImageSet, Vec<String>>::new();
        for image in &self.images {
            for set in &image.sets {
                sets.entry(*set).or_default().push(image.reference.clone());
            }
        }
        sets
    }
}

impl WantedImage {
    fn is_wanted_by(&self, whom: &str) -> bool {
        self.wanted_by.iter().any(|by| by == whom)
    }
}

/// The catalogue's versions, with those that the config names.
fn chosen<'a>(cluster: &Cluster, catalogue: &'a Catalogue) -> Result<Defaults<'a>, ResolveFailure> {
    let spec = &cluster.spec;
    let mut defaults = catalogue.defaults(&spec.kubernetes.version)?;
    if let Some((_, failure)) = bad_versions(cluster, catalogue, &defaults)
        .into_iter()
        .next()
    {
        return Err(failure);
    }
    for (name, version) in &spec.versions {
        defaults.choose_image(name, version.without_v());
    }
    let mut choose = |component: &str, version: Option<&Version>| {
        if let Some(version) = version {
            defaults.choose(component, version);
        }
    };
    choose(
        spec.kubernetes.container_runtime.kind.name(),
        cluster.runtime_version(),
    );
    choose(spec.registry.kind.name(), spec.registry.version.as_ref());
    let etcd = spec.etcd.version.as_ref();
    choose("etcd", etcd);
    if spec.etcd.kind == EtcdType::Kubeadm
        && let Some(version) = etcd
    {
        defaults.choose_image("etcd-image", &format!("{}-0", version.without_v()));
    }
    Ok(defaults)
}

/// The file of a component in the version that the config asks for, for a machine that is none of its hosts.
pub(crate) fn file_here(
    cluster: &Cluster,
    catalogue: &Catalogue,
    name: &str,
    arch: Arch,
) -> Result<WantedFile, ResolveFailure> {
    let version = chosen(cluster, catalogue)?.version(name)?;
    let file = catalogue.component(name);
    let file = file.and_then(|component| component.resolve(&version, arch, None));
    match file {
        Ok(file) => Ok(WantedFile {
            file,
            wanted_by: vec!["addons".to_owned()],
        }),
        Err(error) => Err(ResolveFailure::Files(vec![FileFailure {
            error,
            wanted_by: "addons".to_owned(),
        }])),
    }
}

/// Each of `spec.versions` that cannot be meant, by its name.
pub(crate) fn bad_versions(
    cluster: &Cluster,
    catalogue: &Catalogue,
    defaults: &Defaults<'_>,
) -> Vec<(String, ResolveFailure)> {
    let versions = cluster.spec.versions.iter();
    let failure = |name: &String, tag: &Tag| {
        let name = name.clone();
        if !defaults.knows(&name) {
            let known = defaults.names().map(str::to_owned).collect();
            Some(ResolveFailure::UnknownName { name, known })
        } else if catalogue.component(&name).is_ok() && tag.as_version().is_none() {
            let tag = tag.clone();
            Some(ResolveFailure::NoVersion { name, tag })
        } else {
            None
        }
    };
    versions
        .filter_map(|(name, tag)| Some((name.clone(), failure(name, tag)?)))
        .collect()
}

fn want_any<'a>(
    images: &'a mut BTreeMap<String, WantedImage>,
    reference: &str,
) -> &'a mut WantedImage {
    images
        .entry(reference.to_owned())
        .or_insert_with(|| WantedImage {
            reference: reference.to_owned(),
            wanted_by: Vec::new(),
            arches: BTreeSet::new(),
            sets: BTreeSet::new(),
        })
}

fn want(
    images: &mut BTreeMap<String, WantedImage>,
    reference: impl AsRef<str>,
    by: &str,
    set: ImageSet,
    arches: &BTreeSet<Arch>,
) {
    let image = want_any(images, reference.as_ref());
    image.arches.extend(arches);
    add(&mut image.wanted_by, by);
    image.sets.insert(set);
}

fn add(to: &mut Vec<String>, by: &str) {
    if !to.iter().any(|known| known == by) {
        to.push(by.to_owned());
        to.sort();
    }
}

#[cfg(test)]
mod tests;
