//! The container runtime of every node: which one, and what all others need to know of it.

mod containerd;

use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::RuntimeType;
use engine::{Slot, Step, Task};
use step::{Component, ImageArchives, KnownImage, NodeImage, Requirements};

use crate::Site;

/// A container runtime.
pub(crate) trait Runtime: Sync {
    /// Where kubelets and kubeadm find it.
    fn endpoint(&self) -> &'static str;

    /// What `get hosts` looks for.
    fn carried(&self) -> &'static [Component];

    /// Where a node keeps the authority of the site's registry, and a file with its login there.
    fn registry_trust(&self) -> RegistryTrust;

    /// What it asks of a node that is none yet, beyond what every node is asked for.
    fn requirements(&self, wanted: &mut Requirements);

    /// How it learns whom to ask for images, without being started anew.
    fn registries(&self, _: &Site) -> Vec<Arc<dyn Step>> {
        Vec::new()
    }

    /// The runtime on every node, with no way to pull from anywhere but the site's registry.
    fn set_up(&self, site: &Site) -> Task;

    /// Images from the operator's machine, where the site has no registry.
    fn import(&self, images: Vec<NodeImage>, archives: Arc<ImageArchives>) -> Arc<dyn Step>;

    /// The sandbox image, pulled by its own name and kept.
    fn pull_sandbox(&self, image: KnownImage, pushed: Option<Slot<()>>) -> Arc<dyn Step>;

    /// What a node has of earlier builds of these images, pulled anew.
    fn renew(&self, images: Vec<KnownImage>, pushed: Slot<()>) -> Arc<dyn Step>;
}

/// How a node knows the site's registry.
pub(crate) struct RegistryTrust {
    pub authority: Utf8PathBuf,
    pub login: Utf8PathBuf,
}

impl Site {
    /// The runtime of the config; none of which this version can set up none.
    pub(crate) fn runtime(&self) -> Option<&'static dyn Runtime> {
        match self.cluster.spec.kubernetes.container_runtime.kind {
            RuntimeType::Containerd => Some(&containerd::Containerd),
            RuntimeType::Docker | RuntimeType::CriO => None,
        }
    }

    /// Where kubelets find the runtime.
    pub(crate) fn runtime_endpoint(&self) -> &'static str {
        self.runtime().map_or("", Runtime::endpoint)
    }

    /// Its components, with what goes with every runtime.
    pub(crate) fn runtime_components(&self) -> Vec<&'static str> {
        let own = self.cluster.spec.kubernetes.container_runtime.kind.parts();
        let parts = own.components.iter();
        let parts = parts.chain(RuntimeType::common_parts().components);
        parts.map(|part| part.component).collect()
    }
}

/// The container runtime, on every host that runs containers.
#[must_use]
pub fn container_runtime(site: &Site) -> Task {
    match site.runtime() {
        Some(runtime) => runtime.set_up(site),
        None => Task::new("container runtime"),
    }
}
