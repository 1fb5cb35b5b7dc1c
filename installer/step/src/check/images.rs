use std::collections::{BTreeMap, BTreeSet};

use artifact::full_reference;
use async_trait::async_trait;
use engine::{Cx, Question, Retry, State, StepError};

use super::{all_well, count, list};
use crate::kube::objects::Pod;

/// An image of the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownImage {
    pub reference: String,
    /// Of its index and of each of its platforms: `sha256:...`
    pub digests: Vec<String>,
}

/// What runs in the cluster is of the bundle: each image by its name, and byte by byte by the digest that the runtime
/// has resolved the name to. Beyond the system's own namespaces there may be others, which came to the site's registry
/// by another way.
pub struct ProveImages {
    pub known: Vec<KnownImage>,
    /// The site's registry: `hub.corp:5000`. What is asked for by its name needs no bundle.
    pub registry: Option<String>,
    pub patience: Retry,
}

const RESTART: &str = "an image of that name was bundled anew, and the node has it; start what runs the old one again: kubectl rollout restart, or for a pod of a host's file, there: crictl stopp $(crictl pods --quiet --name POD)";

/// Namespaces that an installation fills.
const SYSTEM: &str = "kube-";

/// An image of a pod that was started from an earlier build of it.
pub(crate) struct Older {
    pub image: String,
    pub digest: String,
    /// The bundle's.
    pub instead_of: String,
}

impl Pod {
    pub(crate) fn is_of_the_system(&self) -> bool {
        self.metadata.namespace.starts_with(SYSTEM)
    }
}

/// The images of the bundle that a pod runs earlier builds of. One that is on its way out runs nothing for long.
pub(crate) fn older(pod: &Pod, known: &[KnownImage]) -> Vec<Older> {
    if pod.metadata.deletion_timestamp.is_some() {
        return Vec::new();
    }
    let older = images(pod).into_iter().filter_map(|(image, digest)| {
        let (known, digest) = (
            known.iter().find(|known| known.reference == image)?,
            digest?,
        );
        let instead_of = known.digests.first().map_or("another", String::as_str);
        (!known.digests.contains(&digest)).then(|| Older {
            image,
            digest,
            instead_of: instead_of.to_owned(),
        })
    });
    older.collect()
}

#[async_trait]
impl Question for ProveImages {
    fn id(&self) -> String {
        "prove images".to_owned()
    }

    fn describe(&self) -> String {
        "all images are of the bundle".to_owned()
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.known)
    }

    fn retry(&self) -> Retry {
        self.patience
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let known: BTreeSet<&str> = self
            .known
            .iter()
            .map(|image| image.reference.as_str())
            .collect();
        let pods: Vec<Pod> = list(cx, &["pods", "--all-namespaces"]).await?;
        let (mut used, mut foreign, mut troubles) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut olds = BTreeSet::new();
        for pod in &pods {
            for (image, _) in images(pod) {
                if known.contains(image.as_str()) {
                    used.insert(image);
                    continue;
                }
                let own = self.registry.as_ref();
                if own.is_some_and(|own| image.starts_with(&format!("{own}/"))) {
                    used.insert(image);
                } else if pod.is_of_the_system() {
                    troubles.insert(format!("{image} of {} is not in the bundle", pod.title()));
                } else {
                    foreign.insert(image);
                }
            }
            for old in older(pod, &self.known) {
                olds.insert(format!(
                    "{} on {} runs {} as {}, and the bundle's is {}",
                    pod.title(),
                    pod.spec.node_name,
                    old.image,
                    old.digest,
                    old.instead_of
                ));
            }
        }
        all_well(&troubles.into_iter().collect::<Vec<_>>()).map_err(|error| {
            error.with_hint(
                "kubectl describe pod tells who asked for it; list it under spec.images and bundle again if it belongs there",
            )
        })?;
        if !olds.is_empty() {
            // No patience helps: a pod keeps the image that it was started from.
            let olds: Vec<String> = olds.into_iter().collect();
            return Err(StepError::new(olds.join("\n")).with_hint(RESTART));
        }
        let warning = (!foreign.is_empty()).then(|| {
            let names: Vec<&str> = foreign.iter().map(String::as_str).collect();
            format!(
                "not of the bundle, and asked for by your own pods: {}",
                names.join(", ")
            )
        });
        cx.progress.seen(
            format!("{} in use", count(used.len() as u64, "image")),
            warning,
        );
        Ok(State::Satisfied)
    }
}

/// The images that a pod asks for by full name, and the digest of each as far as the runtime tells it.
fn images(pod: &Pod) -> Vec<(String, Option<String>)> {
    let statuses = pod
        .status
        .init_container_statuses
        .iter()
        .chain(&pod.status.container_statuses);
    let resolved: BTreeMap<&str, String> = statuses
        .filter_map(|status| {
            let (_, digest) = status.image_id.split_once('@')?;
            Some((status.name.as_str(), digest.to_owned()))
        })
        .collect();
    let containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    containers
        .map(|container| {
            let digest = resolved.get(container.name.as_str()).cloned();
            (full_reference(&container.image), digest)
        })
        .collect()
}
