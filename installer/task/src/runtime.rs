//! The container runtime of every node: which one, and what all others need to know of it.

pub(crate) mod classes;
mod containerd;
mod crio;
mod docker;
mod toml_settings;
mod turn;

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use camino::Utf8PathBuf;
use cluster::{Host, RuntimeType};
use engine::{Data, Rolling, Slot, SlotId, Step, Task};
use secrecy::ExposeSecret;
use step::{
    Component, Content, ImageArchives, KnownImage, NodeImage, Requirements, Resource,
    RuntimeChange, RuntimeFacts, TakeBack,
};
use templates::{Crictl, DockerLogin, DockerLogins};

use crate::Site;
use crate::files::{text, upload};
use crate::nodes::ROLL;
use crate::os::{rendered, rendered_late};
use crate::registries::LateLogin;
use crate::site::names;

pub(crate) use containerd::authorities_file as containerd_authorities;

/// A container runtime.
pub(crate) trait Runtime: Sync {
    /// What steps have to know of it.
    fn facts(&self) -> &'static RuntimeFacts;

    /// Where kubelets and kubeadm find it.
    fn endpoint(&self) -> &'static str;

    /// What `get hosts` looks for.
    fn carried(&self) -> &'static [Component];

    /// Where a node keeps the authority of the site's registry, and a file with its login there.
    fn registry_trust(&self, site: &Site) -> RegistryTrust;

    /// What it asks of a node that is none yet, beyond what every node is asked for.
    fn requirements(&self, wanted: &mut Requirements);

    /// Where its data is on every node.
    fn data_dir(&self, site: &Site) -> Utf8PathBuf;

    /// Its programs and files on a node, with no way to pull from anywhere but the site's registry.
    fn files(&self, site: &Site, host: &Host) -> Vec<Arc<dyn Step>>;

    /// Its services on a node, and what is brought when they run.
    fn services(&self, site: &Site) -> Vec<Arc<dyn Step>>;

    /// What shows that they go on to run.
    fn steady(&self) -> Vec<Arc<dyn Step>>;

    /// How it learns whom to ask for images, without being started anew.
    fn registries(&self, site: &Site) -> Vec<Arc<dyn Step>>;

    /// Images from the operator's machine, where the site has no registry.
    fn import(&self, images: Vec<NodeImage>, archives: Arc<ImageArchives>)
    -> Option<Arc<dyn Step>>;

    /// What of the bundle a node must have before pods ask for it, and what it has of earlier builds: pulled from the site's
    /// registry when that is full. `sandbox` is the image that every pod needs.
    fn pull(
        &self,
        site: &Site,
        sandbox: KnownImage,
        pushed: Option<Slot<()>>,
    ) -> Vec<Arc<dyn Step>>;

    /// Images that the site does not have can be had from nobody.
    fn image_source(&self) -> ImageSource;

    /// Settings of kubelets that go with it.
    fn kubelet_settings(&self) -> Vec<(&'static str, u32)> {
        Vec::new()
    }
}

/// How a runtime shows that nobody but the site is asked for images.
pub(crate) struct ImageSource {
    /// What it says of an image that the site does not have.
    pub refusals: &'static [&'static str],
    /// Where to look if it has one all the same.
    pub look: &'static str,
}

/// How a node knows the site's registry.
pub(crate) struct RegistryTrust {
    pub authority: Utf8PathBuf,
    pub login: Utf8PathBuf,
}

const ALL: [&dyn Runtime; 3] = [&containerd::Containerd, &docker::Docker, &crio::Crio];

impl Site {
    /// The runtime of the config.
    pub(crate) fn runtime(&self) -> &'static dyn Runtime {
        match self.cluster.spec.kubernetes.container_runtime.kind {
            RuntimeType::Containerd => &containerd::Containerd,
            RuntimeType::Docker => &docker::Docker,
            RuntimeType::CriO => &crio::Crio,
        }
    }

    /// Where kubelets find the runtime.
    pub(crate) fn runtime_endpoint(&self) -> &'static str {
        self.runtime().endpoint()
    }

    /// Its components, with what goes with every runtime.
    pub(crate) fn runtime_components(&self) -> Vec<&'static str> {
        let own = self.cluster.spec.kubernetes.container_runtime.kind.parts();
        let parts = own.components.iter();
        let parts = parts.chain(RuntimeType::common_parts().components);
        parts.map(|part| part.component).collect()
    }
}

/// A file of a node with its logins at all registries that it asks, as Docker and its kin keep them; none where nobody logs in.
fn docker_logins(site: &Site, path: &str) -> Option<Arc<dyn Step>> {
    let registries = site.asked_registries().into_iter();
    let logins = registries.map(|registry| (site.login_at(&registry), registry.authority));
    let logins: Vec<(LateLogin, String)> = logins
        .filter(|(login, _)| !matches!(login, LateLogin::Nobody))
        .collect();
    if logins.is_empty() {
        return None;
    }
    let takes = logins.iter().filter_map(|(login, _)| login.takes());
    let takes: Vec<SlotId> = takes.take(1).collect();
    let render = Arc::new(move || {
        let mut known = Vec::new();
        for (login, registry) in &logins {
            if let Some(login) = login.get()? {
                let pair = format!("{}:{}", login.username, login.password.expose_secret());
                known.push(DockerLogin {
                    registry: registry.clone(),
                    login: BASE64_STANDARD.encode(pair),
                });
            }
        }
        rendered_late(&DockerLogins { logins: known })
    });
    Some(upload(path, Content::Late { takes, render }, 0o600))
}

/// Where Docker and its kin look for the authority of a registry.
fn authority_below(folder: &str, registry: &str) -> Utf8PathBuf {
    format!("{folder}/{registry}/ca.crt").into()
}

/// The authorities of all registries that a node asks, each in a folder of its own below this one.
fn authorities(site: &Site, below: &str) -> Vec<Arc<dyn Step>> {
    let registries = site.asked_registries().into_iter();
    let steps = registries.filter_map(|registry| {
        let local = site.authorities_of(&registry)?;
        let to = authority_below(below, &registry.authority);
        Some(upload(to, Content::Local(local), 0o644))
    });
    steps.collect()
}

/// The container runtime, on every host that runs containers.
#[must_use]
pub fn container_runtime(site: &Site) -> Task {
    let runtime = site.runtime();
    let hosts = site.runtime_hosts();
    let batch = site.hop.as_ref().map_or(ROLL, |hop| hop.draining.batch);
    let rolling = hosts.iter().fold(Rolling::new(batch), |rolling, host| {
        rolling.on(&host.name, turn::of(site, runtime, host))
    });
    let task = Task::new(runtime.facts().name);
    let task = match site.runtime_change {
        // It is crictl's alone: no reason for a turn.
        RuntimeChange::Refused => {
            let crictl = crictl(runtime);
            task.on_each(&names(hosts), |_| vec![crictl.clone()])
        }
        // Until its turn, a node has the runtime of before.
        RuntimeChange::Wanted => task,
    };
    let task = task.roll(rolling);
    let crictl = crictl(runtime);
    match site.runtime_change {
        RuntimeChange::Refused => task,
        RuntimeChange::Wanted => {
            task.on_each(&names(site.runtime_hosts()), |_| vec![crictl.clone()])
        }
    }
}

fn crictl(runtime: &dyn Runtime) -> Arc<dyn Step> {
    let endpoint = runtime.endpoint().to_owned();
    text("/etc/crictl.yaml", rendered(&Crictl { endpoint }))
}

/// What other runtimes than the node's have left, as far as it was kubexm that set them up. Images, and what containers have
/// written, are data.
#[must_use]
pub fn former_runtimes(site: &Site) -> Task {
    let now = site.runtime();
    let stays = now.facts().leaves;
    let mut what: Vec<Resource> = Vec::new();
    for old in ALL.iter().filter(|old| old.facts() != now.facts()) {
        let leaves = old.facts().leaves.iter();
        let leaves = leaves.filter(|path| !stays.contains(path));
        what.extend(leaves.map(|path| Resource::Tree((*path).into())));
        if site.former_data == Data::Purge {
            what.push(Resource::Data(old.data_dir(site)));
        }
    }
    let title = "remove what former runtimes left".to_owned();
    let step: Arc<dyn Step> = Arc::new(TakeBack { title, what });
    Task::new("former runtimes").on_each(&names(site.runtime_hosts()), |_| vec![step.clone()])
}

/// A runtime of nodes that gives way to one that does not take over its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacedRuntime {
    pub from: RuntimeSeen,
    pub to: RuntimeSeen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeSeen {
    pub name: &'static str,
    pub version: String,
}

impl ReplacedRuntime {
    /// What of two sites is such a change.
    #[must_use]
    pub fn of(before: &Site, now: &Site) -> Option<Self> {
        let seen = |site: &Site| {
            let name = site.runtime().facts().name;
            let version = site.release.version_of(name).unwrap_or_default();
            RuntimeSeen {
                name,
                version: version.to_owned(),
            }
        };
        let (from, to) = (seen(before), seen(now));
        let moves = before.runtime().data_dir(before) != now.runtime().data_dir(now);
        let stays = from.name == to.name
            && !moves
            && now.runtime().facts().takes_over(&from.version, &to.version);
        (!stays).then_some(Self { from, to })
    }
}

#[cfg(test)]
mod tests {
    use engine::Data;

    use super::*;

    /// What pods have mounted there would keep their disk busy.
    #[test]
    fn what_a_kubelet_keeps_elsewhere_is_left_behind_by_no_runtime() {
        for kind in ["containerd", "cri-o", "docker"] {
            let text = include_str!("../../../examples/three-etcd.yaml")
                .replace("type: containerd", &format!("type: {kind}"))
                .replace(
                    "  kubernetes:\n",
                    "  kubernetes:\n    kubeletArgs: [--root-dir=/data/kubelet]\n",
                );
            let cluster = cluster::parse("config.yaml", &text).unwrap().cluster;
            let contents = artifact::Contents::new(cluster.name(), "0.1.0");
            let site = Site::new(cluster, contents, artifact::Tree::at("/srv"), None);
            let services = site.runtime().services(&site);
            let back = services
                .iter()
                .filter_map(|step| step.counterpart(Data::Keep));
            let back: Vec<String> = back.map(|step| step.inputs()).collect();
            assert!(
                back.concat().contains("/data/kubelet/pods"),
                "{kind}: {back:?}"
            );
        }
    }
}
