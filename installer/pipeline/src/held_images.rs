//! What the site's registry holds, who wants it, and what it may forget.

use std::collections::{BTreeMap, BTreeSet};

use artifact::{ImageEntry, Sha256, full_reference};
use engine::{DryState, Graph, Inventory, Order, Plan};
use module::{Forgotten, HeldImage, ImagesSeen, Site, SiteNames};
use tokio_util::sync::CancellationToken;

use crate::PipelineError;

/// Who names an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The bundle that lies in the work directory.
    ByBundle,
    /// Something in the cluster: a pod, or what makes pods.
    ByCluster,
    ByNobody,
}

/// An image in the site's registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageInRegistry {
    /// As the world names it: `registry.k8s.io/pause:3.10`.
    pub name: String,
    /// None where a registry cannot read it.
    pub digest: Option<Sha256>,
    /// Of all architectures that are there, in bytes.
    pub size: u64,
    pub wanted: Wanted,
    /// The hosts that hold it.
    pub hosts: Vec<String>,
}

/// What was learned of the images in the site's registries.
pub struct ImageLook {
    pub images: Vec<ImageInRegistry>,
    /// Of what nobody wants.
    pub forgotten: Forgotten,
    /// What forgetting it frees on one registry's disk, in bytes.
    pub freed: u64,
}

/// Asks registries and cluster, and changes nothing.
pub async fn look_at_images(
    site: &Site,
    inventory: &Inventory,
    jobs: usize,
    cancel: &CancellationToken,
) -> Result<ImageLook, PipelineError> {
    if !site.cluster.has_registry() {
        return Err(PipelineError::NoRegistry);
    }
    let seen = ImagesSeen::of(site);
    let stages = vec![
        module::registry_secrets(site),
        module::look_at_images(site, &seen).after(Order::AllHosts),
    ];
    let graph = Graph::of(Plan::new("images list", stages))?;
    let asked = engine::dry_run(&graph, inventory, jobs, cancel).await;
    let unknown = asked.iter().find_map(|dry| match &dry.state {
        DryState::Unknown { because } => Some(format!("{}: {because}", dry.node.host)),
        _ => None,
    });
    let held = seen.registries.iter().map(|(host, slot)| {
        let images = slot.get()?;
        Some((host.clone(), images.clone()))
    });
    let held: Option<Vec<(String, Vec<HeldImage>)>> = held.collect();
    let (Some(held), Some(used)) = (held, seen.used.get()) else {
        return Err(PipelineError::ImagesUnknown {
            why: unknown.unwrap_or_else(|| "not all have answered".to_owned()),
        });
    };
    let (names, bundle) = (site.registry_names(), &site.contents.images);
    Ok(judged(&names, &Wants::of(&names, bundle, used), &held))
}

/// What the bundle and the cluster want.
struct Wants {
    /// Repositories of the site's registry with their tags.
    bundle: BTreeSet<(String, String)>,
    bundle_digests: BTreeSet<Sha256>,
    cluster: BTreeSet<(String, String)>,
    cluster_digests: BTreeSet<Sha256>,
}

impl Wants {
    fn of(names: &SiteNames, bundle: &[ImageEntry], used: &BTreeSet<String>) -> Self {
        let bundle = bundle.iter();
        let digests = used.iter().filter_map(|name| {
            let digest = name.rsplit('@').next().unwrap_or(name);
            digest.parse().ok()
        });
        Self {
            bundle: bundle
                .clone()
                .filter_map(|image| names.place(&image.reference))
                .collect(),
            bundle_digests: bundle.map(|image| image.digest).collect(),
            cluster: used
                .iter()
                .filter_map(|name| names.place(&full_reference(name)))
                .collect(),
            cluster_digests: digests.collect(),
        }
    }

    fn of_image(&self, image: &HeldImage) -> Wanted {
        let place = (image.repository.clone(), image.tag.clone());
        let holds = |digests: &BTreeSet<Sha256>| {
            let all = image.manifests.iter().chain(image.contents.keys());
            all.into_iter().any(|digest| digests.contains(digest))
        };
        if self.bundle.contains(&place)
            || image
                .manifests
                .iter()
                .any(|it| self.bundle_digests.contains(it))
        {
            Wanted::ByBundle
        } else if self.cluster.contains(&place) || holds(&self.cluster_digests) {
            Wanted::ByCluster
        } else {
            Wanted::ByNobody
        }
    }
}

fn judged(names: &SiteNames, wants: &Wants, held: &[(String, Vec<HeldImage>)]) -> ImageLook {
    let mut images = BTreeMap::<(String, Option<Sha256>), ImageInRegistry>::new();
    for (host, of_host) in held {
        for image in of_host {
            let name = name_of(names, image);
            let entry = images.entry((name.clone(), image.digest));
            let known = entry.or_insert_with(|| ImageInRegistry {
                name,
                digest: image.digest,
                size: image.contents.values().sum(),
                wanted: wants.of_image(image),
                hosts: Vec::new(),
            });
            known.hosts.push(host.clone());
        }
    }
    let forgotten = held.iter().map(|(host, of_host)| {
        let forgotten = forgotten(of_host, |image| wants.of_image(image) == Wanted::ByNobody);
        (host.clone(), forgotten)
    });
    let freed = held
        .iter()
        .map(|(_, of_host)| freed(of_host, |image| wants.of_image(image) == Wanted::ByNobody));
    ImageLook {
        forgotten: forgotten
            .filter(|(_, manifests)| !manifests.is_empty())
            .collect(),
        freed: freed.max().unwrap_or_default(),
        images: images.into_values().collect(),
    }
}

/// As people know it, without the project that everything is put into.
fn name_of(names: &SiteNames, image: &HeldImage) -> String {
    let project = names
        .namespace
        .as_deref()
        .map(|name| name.trim_matches('/'));
    let prefix = project
        .filter(|name| !name.is_empty())
        .map(|name| format!("{name}/"));
    let repository = prefix
        .and_then(|prefix| image.repository.strip_prefix(&prefix))
        .unwrap_or(&image.repository);
    let at = if image.tag.contains(':') { '@' } else { ':' };
    format!("{repository}{at}{}", image.tag)
}

/// The manifests that no image of the same repository needs which stays.
fn forgotten(held: &[HeldImage], goes: impl Fn(&HeldImage) -> bool) -> BTreeSet<(String, Sha256)> {
    let of = |image: &HeldImage| {
        let places = image.manifests.iter();
        let places = places.map(|digest| (image.repository.clone(), *digest));
        places.collect::<Vec<_>>()
    };
    let (go, stay): (Vec<_>, Vec<_>) = held.iter().partition(|image| goes(image));
    let stay: BTreeSet<_> = stay.into_iter().flat_map(of).collect();
    let go = go.into_iter().flat_map(of);
    go.filter(|place| !stay.contains(place)).collect()
}

/// The bytes of what only images have that go.
fn freed(held: &[HeldImage], goes: impl Fn(&HeldImage) -> bool) -> u64 {
    let (go, stay): (Vec<_>, Vec<_>) = held.iter().partition(|image| goes(image));
    let stay: BTreeSet<&Sha256> = stay
        .iter()
        .flat_map(|image| image.contents.keys())
        .collect();
    let go: BTreeMap<&Sha256, u64> = go
        .iter()
        .flat_map(|image| image.contents.iter().map(|(digest, size)| (digest, *size)))
        .filter(|(digest, _)| !stay.contains(digest))
        .collect();
    go.values().sum()
}

/// The site's registries forget these manifests, and free their disks of all that they have forgotten.
pub fn prune_images(site: &Site, forgotten: &Forgotten) -> Result<Graph, PipelineError> {
    if !site.forgets_images() {
        return Err(PipelineError::NotTheKeeper);
    }
    let stages = vec![
        module::registry_secrets(site),
        module::forget_images(site, forgotten).after(Order::AllHosts),
    ];
    Graph::of(Plan::new("images prune", stages)).map_err(PipelineError::Plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(of: &str) -> Sha256 {
        Sha256::of(of.as_bytes())
    }

    fn image(repository: &str, tag: &str, manifests: &[&str], contents: &[&str]) -> HeldImage {
        HeldImage {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest: manifests.first().map(|of| digest(of)),
            manifests: manifests.iter().map(|of| digest(of)).collect(),
            contents: contents.iter().map(|of| (digest(of), 10)).collect(),
        }
    }

    fn entry(reference: &str, of: &str) -> ImageEntry {
        ImageEntry {
            reference: reference.to_owned(),
            digest: digest(of),
            upstream: digest(of),
            platforms: Vec::new(),
            referrers: Vec::new(),
            wanted_by: Vec::new(),
        }
    }

    fn looked(bundle: &[ImageEntry], used: &[&str], held: &[HeldImage]) -> ImageLook {
        let names = SiteNames {
            authority: "registry.kubexm.local:5000".to_owned(),
            namespace: Some("plant".to_owned()),
        };
        let used = used.iter().map(|name| (*name).to_owned()).collect();
        let held = [("node5".to_owned(), held.to_vec())];
        judged(&names, &Wants::of(&names, bundle, &used), &held)
    }

    #[test]
    fn what_bundle_and_cluster_name_stays() {
        let held = [
            image(
                "plant/registry.k8s.io/pause",
                "3.10",
                &["index", "child"],
                &["layer"],
            ),
            // The tag of the bundle, built again by somebody.
            image(
                "plant/docker.io/library/busybox",
                "1.37",
                &["other"],
                &["layer"],
            ),
            image(
                "plant/quay.io/team/app",
                "1.4",
                &["app"],
                &["layer", "app 1.4"],
            ),
            image(
                "plant/quay.io/team/app",
                "by-digest",
                &["pinned"],
                &["layer"],
            ),
            image("plant/quay.io/team/app", "by-id", &["docker"], &["config"]),
            image(
                "plant/quay.io/team/app",
                "1.3",
                &["old", "shared"],
                &["layer", "app 1.3"],
            ),
        ];
        let bundle = [
            entry("registry.k8s.io/pause:3.10", "index"),
            entry("docker.io/library/busybox:1.37", "busybox"),
        ];
        let pinned = format!("quay.io/team/app@{}", digest("pinned").oci());
        let id = digest("config").oci();
        let used = ["quay.io/team/app:1.4", &pinned, &id, "nonsense", "busybox"];
        let seen = looked(&bundle, &used, &held);
        let wanted = |name: &str| {
            let mut images = seen.images.iter();
            images
                .find(|image| image.name == name)
                .map(|image| image.wanted)
        };
        assert_eq!(wanted("registry.k8s.io/pause:3.10"), Some(Wanted::ByBundle));
        assert_eq!(
            wanted("docker.io/library/busybox:1.37"),
            Some(Wanted::ByBundle)
        );
        for tag in ["1.4", "by-digest", "by-id"] {
            let name = format!("quay.io/team/app:{tag}");
            assert_eq!(wanted(&name), Some(Wanted::ByCluster), "{name}");
        }
        assert_eq!(wanted("quay.io/team/app:1.3"), Some(Wanted::ByNobody));
        assert_eq!(seen.freed, 10);
        assert_eq!(seen.forgotten["node5"].len(), 2);
    }

    #[test]
    fn a_manifest_that_another_image_needs_stays() {
        let held = [
            image("plant/quay.io/app", "1", &["one", "shared"], &[]),
            image("plant/quay.io/app", "2", &["two", "shared"], &[]),
            image("plant/quay.io/other", "1", &["shared"], &[]),
        ];
        let seen = looked(&[], &["quay.io/app:2"], &held);
        let forgotten: Vec<_> = seen.forgotten["node5"].iter().cloned().collect();
        let expected = [
            ("plant/quay.io/app".to_owned(), digest("one")),
            ("plant/quay.io/other".to_owned(), digest("shared")),
        ];
        assert_eq!(forgotten, expected);
        assert!(looked(&[], &[], &[]).forgotten.is_empty());
    }
}
