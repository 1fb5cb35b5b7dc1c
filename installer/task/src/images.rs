//! The images of the bundle: in the site's registry, or on every node.

use std::sync::Arc;

use artifact::ImageEntry;
use cluster::Arch;
use engine::{Order, Retry, Task};
use step::{ImageArchives, NodeImage, ProveRegistry, PushImages, RollPods};

use crate::Site;
use crate::check::{CONTROL_PLANE, known_images};
use crate::registry::{credentials, reached};
use crate::site::names;

/// Every image of the bundle, in the registry.
#[must_use]
pub fn push_images(site: &Site) -> Task {
    let task = Task::new("images");
    let Some(host) = site.cluster.registry_host() else {
        return task;
    };
    if site.contents.images.is_empty() {
        return task;
    }
    let push = PushImages::new(
        reached(site, host),
        site.credentials.clone(),
        site.tree.images(),
        site.contents.images.clone(),
        site.pushed.clone(),
    );
    task.after(Order::Host(host.name.clone()))
        .on(&host.name, vec![Arc::new(push)])
}

/// Every image of the bundle is in the registry still, and whole.
#[must_use]
pub fn prove_registry(site: &Site, patience: Retry) -> Task {
    let task = Task::new("registry").apart();
    match site.cluster.registry_host() {
        Some(host) if !site.contents.images.is_empty() => {
            let proof = ProveRegistry {
                site: reached(site, host),
                credentials: credentials(site),
                images: site.contents.images.clone(),
                patience,
            };
            task.on(&host.name, vec![Arc::new(proof)])
        }
        _ => task,
    }
}

/// Where the site has no registry: every image of the bundle, on every node.
#[must_use]
pub fn import_images(site: &Site) -> Task {
    let task = Task::new("images");
    if site.cluster.registry_host().is_some() || site.contents.images.is_empty() {
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
    let pushed = site.cluster.registry_host().map(|_| site.pushed.clone());
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
