//! What the site's registry holds, what the cluster names of it, and what it is to forget.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use artifact::Sha256;
use cluster::ImageHome;
use engine::{Rolling, Slot, Step, Task, Turn};
use step::{ForgetImages, HeldImage, ListImages, ListUsedImages, RegistryLogin};

use crate::check::CONTROL_PLANE;
use crate::registry::{reached, there_before};
use crate::{OPERATOR, Site};

/// What is learned of images; each registry by its host, or by the operator's machine where it is none of kubexm's.
pub struct ImagesSeen {
    pub registries: Vec<(String, Slot<Vec<HeldImage>>)>,
    pub used: Slot<BTreeSet<String>>,
}

impl ImagesSeen {
    #[must_use]
    pub fn of(site: &Site) -> Self {
        let hosts: Vec<String> = match site.cluster.image_home() {
            ImageHome::Nodes => Vec::new(),
            ImageHome::External => vec![OPERATOR.to_owned()],
            ImageHome::Hosts(hosts) => hosts.iter().map(|host| host.name.clone()).collect(),
        };
        let slot = |host: String| (host.clone(), Slot::new(&format!("the images on {host}")));
        Self {
            registries: hosts.into_iter().map(slot).collect(),
            used: Slot::new("the images that the cluster names"),
        }
    }
}

/// Each registry is asked for all that it holds.
#[must_use]
pub fn list_held_images(site: &Site, seen: &ImagesSeen) -> Task {
    let list = |host: &str, held: &Slot<Vec<HeldImage>>| -> Option<Arc<dyn Step>> {
        let (registry, login) = match site.cluster.host(host) {
            Some(host) => (
                reached(site, host),
                RegistryLogin::from(site.credentials.clone()),
            ),
            None => (
                there_before(site)?,
                RegistryLogin::Given(site.registry_login.clone()),
            ),
        };
        Some(Arc::new(ListImages {
            site: registry,
            login,
            held: held.clone(),
        }))
    };
    let registries = seen.registries.iter();
    registries.fold(Task::new("held images"), |task, (host, held)| {
        match list(host, held) {
            Some(step) => task.on(host, vec![step]),
            None => task,
        }
    })
}

/// The cluster is asked for all that it names.
#[must_use]
pub fn list_used_images(seen: &ImagesSeen) -> Task {
    let list = ListUsedImages {
        used: seen.used.clone(),
    };
    Task::new("used images").on(CONTROL_PLANE, vec![Arc::new(list)])
}

/// Manifests that a registry is to forget, each with its repository, by the registry's host.
pub type Forgotten = BTreeMap<String, BTreeSet<(String, Sha256)>>;

/// Registries that kubexm keeps forget these and free their disks, one after the other: of two, one always answers.
#[must_use]
pub fn forget_images(site: &Site, forgotten: &Forgotten) -> Task {
    let task = Task::new("images");
    let Some((registry, hosts)) = site.registry() else {
        return task;
    };
    let turns = hosts.iter().fold(Rolling::one_by_one(), |turns, host| {
        let Some(collect) = registry.collect_garbage(site, host) else {
            return turns;
        };
        let forget = ForgetImages {
            site: reached(site, host),
            login: RegistryLogin::from(site.credentials.clone()),
            manifests: forgotten.get(&host.name).cloned().unwrap_or_default(),
        };
        let turn = Turn::new(Arc::new(forget)).then(collect);
        turns.on(&host.name, turn)
    });
    task.roll(turns)
}
