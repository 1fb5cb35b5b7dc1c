//! A registry that was there before: it is spoken to, and nothing else is done to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster::{ImageHome, NodeRegistry, RegistryTrust};
use engine::{Step, Task};
use step::{AskRegistry, Keeper, LearnLogin, SiteRegistry, Trust};

use crate::{OPERATOR, Site};

/// The registry as the operator's machine reaches it.
pub(crate) fn there_before(site: &Site) -> Option<SiteRegistry> {
    let registries = site.cluster.site_registries();
    let (ImageHome::External, [registry]) = (site.cluster.image_home(), registries.as_slice())
    else {
        return None;
    };
    let trust = match (&registry.trust, site.authorities_of(registry)) {
        (RegistryTrust::Unchecked, _) => Trust::Unchecked,
        (_, Some(kept)) => Trust::File(kept),
        (_, None) => Trust::System,
    };
    Some(spoken_to(site, registry, trust))
}

fn spoken_to(site: &Site, registry: &NodeRegistry, trust: Trust) -> SiteRegistry {
    SiteRegistry {
        url: registry.url(),
        at: site.cluster.spec.registry.address.iter().collect(),
        trust,
        names: site.registry_names(),
        keeper: Keeper::Others,
    }
}

/// Whether it answers, lets in who is to push and who is to pull, and takes images where they will go. Before anything is touched; so
/// what it is known by is not in the tree yet.
#[must_use]
pub fn ask_registry(site: &Site) -> Task {
    let task = Task::new("registry");
    let registries = site.cluster.site_registries();
    let (ImageHome::External, [registry]) = (site.cluster.image_home(), registries.as_slice())
    else {
        return task;
    };
    let trust = match &registry.trust {
        RegistryTrust::Folder(folder) if folder.exists() => Trust::Folder(folder.clone()),
        RegistryTrust::Folder(_) => return ask(site, task, there_before(site)),
        RegistryTrust::Unchecked => Trust::Unchecked,
        RegistryTrust::System | RegistryTrust::Site => Trust::System,
    };
    ask(site, task, Some(spoken_to(site, registry, trust)))
}

fn ask(site: &Site, task: Task, registry: Option<SiteRegistry>) -> Task {
    let Some(registry) = registry else {
        return task;
    };
    let ask = AskRegistry {
        site: registry,
        push: site.registry_login.clone(),
        pull: site.node_logins.site.clone(),
        repositories: places(site),
    };
    task.on(OPERATOR, vec![Arc::new(ask)])
}

/// A repository of each project that images go to: the first part of a name is one.
fn places(site: &Site) -> Vec<String> {
    let names = site.registry_names();
    let images = site.contents.images.iter();
    let repositories = images.filter_map(|image| names.repository(&image.reference, image.digest));
    let by_project: BTreeMap<String, String> = repositories
        .map(|name| {
            let project = name.split('/').next().unwrap_or_default();
            (project.to_owned(), name)
        })
        .collect();
    by_project.into_values().collect()
}

pub(super) fn learn_login(site: &Site) -> Arc<dyn Step> {
    let registry = there_before(site).expect("it is asked of a registry that was there before");
    Arc::new(LearnLogin {
        site: registry,
        login: site.node_login().cloned(),
        manner: site.login_manner.clone(),
    })
}
