//! The images of the bundle: in the site's registry, or on every node.

use std::sync::Arc;

use artifact::ImageEntry;
use cluster::{Arch, ImageHome};
use engine::{Order, Retry, Slot, Task};
use step::{
    AnyOf, ImageArchives, NodeImage, ProveRegistry, PushImages, RegistryLogin, RollPods,
    SiteRegistry,
};

use crate::check::{CONTROL_PLANE, known_images};
use crate::registry::{credentials, reached, there_before};
use crate::site::names;
use crate::{OPERATOR, Site};

/// Every image of the bundle, in the registry; where it has several hosts, on each. One that is lost keeps nobody waiting.
#[must_use]
pub fn push_images(site: &Site) -> Task {
    let task = Task::new("images");
    if site.contents.images.is_empty() {
        return task;
    }
    let push = |registry: SiteRegistry, login: RegistryLogin, pushed: &Slot<()>| {
        let images = site.contents.images.clone();
        let layout = site.tree.images();
        Arc::new(PushImages::new(
            registry,
            login,
            layout,
            images,
            pushed.clone(),
        ))
    };
    match site.cluster.image_home() {
        ImageHome::Nodes => task,
        ImageHome::External => match there_before(site) {
            Some(registry) => {
                let login = RegistryLogin::Given(site.registry_login.clone());
                task.on(OPERATOR, vec![push(registry, login, &site.pushed)])
            }
            None => task,
        },
        ImageHome::Hosts(hosts) => {
            let login = || RegistryLogin::from(site.credentials.clone());
            if let [host] = hosts.as_slice() {
                let push = push(reached(site, host), login(), &site.pushed);
                return task
                    .after(Order::Host(host.name.clone()))
                    .on(&host.name, vec![push]);
            }
            let pushed: Vec<Slot<()>> = hosts
                .iter()
                .map(|host| Slot::new(&format!("the images on {}", host.name)))
                .collect();
            let task = hosts
                .iter()
                .zip(&pushed)
                .fold(task, |task, (host, pushed)| {
                    task.on(&host.name, vec![push(reached(site, host), login(), pushed)])
                });
            let enough = Order::Enough {
                of: names(hosts),
                needed: 1,
            };
            let any = AnyOf {
                what: "the images are in a registry",
                of: pushed,
                any: site.pushed.clone(),
            };
            task.then(enough).on(OPERATOR, vec![Arc::new(any)])
        }
    }
}

/// Every image of the bundle is in the registry still, and whole.
#[must_use]
pub fn prove_registry(site: &Site, patience: Retry) -> Task {
    let task = Task::new("registry").apart();
    if site.contents.images.is_empty() {
        return task;
    }
    let proof = |site_registry: SiteRegistry, login: RegistryLogin| {
        Arc::new(ProveRegistry {
            site: site_registry,
            login,
            images: site.contents.images.clone(),
            patience,
        })
    };
    match site.cluster.image_home() {
        ImageHome::Nodes => task,
        ImageHome::External => match there_before(site) {
            Some(registry) => {
                let login = RegistryLogin::Given(site.registry_login.clone());
                task.on(OPERATOR, vec![proof(registry, login)])
            }
            None => task,
        },
        ImageHome::Hosts(hosts) => hosts.into_iter().fold(task, |task, host| {
            let login = credentials(site).into();
            task.on(&host.name, vec![proof(reached(site, host), login)])
        }),
    }
}

/// Where the site has no registry: every image of the bundle, on every node.
#[must_use]
pub fn import_images(site: &Site) -> Task {
    let task = Task::new("images");
    if site.cluster.has_registry() || site.contents.images.is_empty() {
        return task;
    }
    let runtime = site.runtime();
    let archives = ImageArchives::new(site.tree.images(), site.tree.state().join("images"));
    let hosts = site.runtime_hosts().into_iter();
    hosts.fold(task, |task, host| {
        let import = runtime.import(node_images(site, host.arch), archives.clone());
        task.on(&host.name, import.into_iter().collect())
    })
}

/// Every image of the bundle as a node of this architecture has it.
fn node_images(site: &Site, arch: Arch) -> Vec<NodeImage> {
    let of_arch = |image: &ImageEntry| {
        let platform = image
            .platforms
            .iter()
            .find(|platform| platform.arch == arch)?;
        Some(NodeImage {
            reference: artifact::runtime_reference(&image.reference),
            manifest: platform.digest,
            size: platform.size,
        })
    };
    site.contents.images.iter().filter_map(of_arch).collect()
}

/// Has every node fetch the sandbox image by the name the world knows it by, as soon as the site's registry holds all
/// images, and whatever it has of earlier builds. Whatever pulls later on a node comes behind it.
#[must_use]
pub fn prove_images(site: &Site) -> Task {
    let task = Task::new("pull");
    let Some(pause) = site.pause_image() else {
        return task;
    };
    let pushed = site.cluster.has_registry().then(|| site.pushed.clone());
    let mut known = known_images(site).into_iter();
    let sandbox = known.find(|image| image.reference == pause.reference);
    let steps = sandbox.map(|sandbox| site.runtime().pull(site, sandbox, pushed));
    let steps = steps.unwrap_or_default();
    task.on_each(&names(site.runtime_hosts()), |_| steps.clone())
}

/// Has the system's own workloads run the images that the bundle has now. A node that did not get them keeps the others
/// from nothing.
#[must_use]
pub fn roll_pods(site: &Site) -> Task {
    let task = Task::new("earlier images").after(Order::AllSettled);
    let images = known_images(site);
    if images.is_empty() {
        return task;
    }
    task.on(CONTROL_PLANE, vec![Arc::new(RollPods { images })])
}

#[cfg(test)]
mod tests {
    use artifact::{PlatformEntry, Sha256};

    use super::*;
    use crate::testing::site;

    /// The runtime drops the tag of a name that has both.
    #[test]
    fn an_image_is_imported_by_the_name_that_its_runtime_will_ask_for() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let mut site = site("{}");
        let mut image = ImageEntry::new(format!("hub.corp/app:1@{digest}"), Sha256::of(b"app"));
        image.platforms = vec![PlatformEntry {
            arch: Arch::Amd64,
            digest: Sha256::of(b"amd64"),
            size: 1,
        }];
        site.contents.images = vec![image];
        let names = node_images(&site, Arch::Amd64).into_iter();
        let names: Vec<String> = names.map(|image| image.reference).collect();
        assert_eq!(names, [format!("hub.corp/app@{digest}")]);
    }
}
