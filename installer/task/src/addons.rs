//! Addons of the config, in the order of the config: what a later one needs of an earlier one is there.

use std::sync::Arc;

use artifact::addon_component;
use cluster::KnownAddon;
use engine::{Retry, Step, Task};
use step::{
    ApplyAddon, Feature, KernelModule, PodNetworkTraces, ProveAddon, RemoveAddon, RunService,
};

use crate::control_plane::once;
use crate::site::names;
use crate::{CONTROL_PLANE, Site};

/// Applies each as the bundle holds it.
#[must_use]
pub fn addons(site: &Site) -> Task {
    let task = Task::new("addons");
    let addons = site.cluster.addons().into_iter();
    let steps: Vec<Arc<dyn Step>> = addons.filter_map(|addon| apply(site, addon.name)).collect();
    if steps.is_empty() {
        return task;
    }
    once(site, task, steps)
}

/// `missing()` has found one that the bundle lacks before anything was touched.
fn apply(site: &Site, name: String) -> Option<Arc<dyn Step>> {
    let component = addon_component(&name);
    let file = site.contents.files_in(&site.release, &component).next()?;
    let version = file.version.clone().unwrap_or_default();
    Some(Arc::new(ApplyAddon {
        path: site.tree.path(&file.path),
        name,
        version,
    }))
}

/// Takes out those that were applied before and are asked for no more, the last one first.
#[must_use]
pub fn former_addons(before: &Site, now: &Site) -> Task {
    let task = Task::new("former addons");
    let wanted = now.cluster.addons();
    let addons = before.cluster.addons().into_iter().rev();
    let gone = addons.filter(|addon| !wanted.iter().any(|it| it.name == addon.name));
    let steps: Vec<Arc<dyn Step>> = gone
        .map(|addon| -> Arc<dyn Step> { Arc::new(RemoveAddon { name: addon.name }) })
        .collect();
    if steps.is_empty() {
        return task;
    }
    once(now, task, steps)
}

/// Everything of each is ready.
#[must_use]
pub fn prove_addons(site: &Site, patience: Retry) -> Task {
    let addons = site.cluster.addons().into_iter();
    let steps: Vec<Arc<dyn Step>> = addons
        .map(|addon| -> Arc<dyn Step> {
            Arc::new(ProveAddon {
                name: addon.name,
                patience,
            })
        })
        .collect();
    let task = Task::new("addons").apart();
    if steps.is_empty() {
        return task;
    }
    task.on(CONTROL_PLANE, steps)
}

/// The services of nodes that addons need.
#[must_use]
pub fn addon_services(site: &Site) -> Task {
    let addons = site.cluster.known_addons().into_iter();
    let units: Vec<(&str, &str)> = addons.flat_map(KnownAddon::units).copied().collect();
    let task = Task::new("services of addons");
    if units.is_empty() {
        return task;
    }
    task.on_each(&names(site.runtime_hosts()), |_| {
        let service = |(unit, reads): &(&'static str, &str)| -> Arc<dyn Step> {
            Arc::new(RunService {
                unit,
                reads: vec![(*reads).into()],
            })
        };
        units.iter().map(service).collect()
    })
}

/// What multus leaves on a node where it is ended and not asked to go. Its configuration comes before every other: a runtime that
/// still finds it makes no pod.
const MULTUS: PodNetworkTraces = PodNetworkTraces {
    name: "multus",
    paths: &[
        "/etc/cni/net.d/00-multus.conf",
        "/etc/cni/multus",
        "/opt/cni/bin/multus-shim",
        "/opt/cni/bin/passthru",
        "/run/multus",
        "/var/lib/cni/multus",
    ],
    links: &[],
    protocols: &[],
    through: &[],
    rules: &[],
};

impl Site {
    /// What of addons is on each node, beside what goes with the cluster's store.
    pub(crate) fn addon_traces(&self) -> Option<PodNetworkTraces> {
        let addons = self.cluster.known_addons();
        addons.contains(&KnownAddon::Multus).then_some(MULTUS)
    }

    /// The modules of the kernel that addons need on each node.
    pub(crate) fn addon_modules(&self) -> impl Iterator<Item = KernelModule> {
        let addons = self.cluster.known_addons().into_iter();
        addons
            .flat_map(KnownAddon::modules)
            .map(|name| KernelModule {
                name,
                shows: Feature::Module,
            })
    }
}
