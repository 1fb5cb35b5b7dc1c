//! A node's turn in which its runtime changes. Where its containers run on, that is a restart; where they do not, its pods go
//! elsewhere before, and those that no drain takes end by the runtime that has made them.

use std::sync::Arc;
use std::time::Duration;

use cluster::{EtcdType, Host, KubernetesType, Role};
use engine::{Slot, Step, Turn};
use step::{
    EndPods, EndReplacement, IfReplaced, LookAtRuntime, PointKubelet, PointNode, ProveApiserver,
    ResumeKubelet, RuntimeChange, SpareStackedEtcd, WantedRuntime,
};

use super::{Runtime, crictl};
use crate::Site;
use crate::check::CONTROL_PLANE;
use crate::nodes::kubelet::{UNIT as KUBELET, heartbeat, kubelet_files, kubelet_service};
use crate::restart::COMES_UP;
use crate::site::url_address;

/// How long pods may take to leave, where nobody says.
const PATIENCE: Duration = Duration::from_mins(5);

/// A step that has something to do where containers do not run on, and what it does.
type Replacing = (&'static str, Arc<dyn Step>);

pub(super) fn of(site: &Site, runtime: &dyn Runtime, host: &Host) -> Turn {
    let wanted = wanted(site, runtime);
    let seen = Slot::new(&host.name);
    let replaced = |(title, step): Replacing| -> Arc<dyn Step> {
        let seen = seen.clone();
        Arc::new(IfReplaced { title, seen, step })
    };
    let look = LookAtRuntime {
        wanted: wanted.clone(),
        seen: seen.clone(),
    };
    let mut before: Vec<Arc<dyn Step>> = vec![Arc::new(look)];
    before.extend(leaving(site, host).into_iter().map(replaced));
    let mut files: Vec<Arc<dyn Step>> = vec![Arc::new(EndPods {
        wanted,
        kubelet: KUBELET,
    })];
    files.extend(runtime.files(site, host));
    let mut services = runtime.services(site).into_iter();
    let first = services.next().expect("a runtime runs as a service");
    let turn = Turn::new(first).before(before).with(files);
    let turn = services.fold(turn, Turn::then);
    let back = coming_back(site, runtime, host).into_iter();
    let turn = turn
        .healthy(runtime.steady())
        .healthy(back.map(replaced).collect())
        .healthy(vec![Arc::new(EndReplacement)]);
    if site.cluster.is_in(&host.name, Role::Master) {
        turn.alone()
    } else {
        turn
    }
}

fn is_master_by_pods(site: &Site, host: &Host) -> bool {
    let by_pods = site.cluster.spec.kubernetes.kind == KubernetesType::Kubeadm;
    by_pods && site.cluster.is_in(&host.name, Role::Master)
}

/// Ahead of all else.
fn leaving(site: &Site, host: &Host) -> Vec<Replacing> {
    let mut steps: Vec<Replacing> = Vec::new();
    let stacked = site.cluster.spec.etcd.kind == EtcdType::Kubeadm && site.masters().len() > 1;
    if stacked && is_master_by_pods(site, host) {
        let others_bear_it = "see that the others bear the loss of this member of etcd";
        steps.push((others_bear_it, Arc::new(SpareStackedEtcd)));
    }
    if let Some([insist, empty]) = site.emptied(host, PATIENCE) {
        steps.push(("see that others can be made", insist));
        steps.push(("have its pods go elsewhere", empty));
    }
    steps
}

/// When the runtime is well.
fn coming_back(site: &Site, runtime: &dyn Runtime, host: &Host) -> Vec<Replacing> {
    let mut steps = kubelet(site, runtime, host);
    let resume = ResumeKubelet { kubelet: KUBELET };
    steps.push(("start the kubelet again", Arc::new(resume)));
    steps.push(("wait for its heartbeat", heartbeat(host)));
    if is_master_by_pods(site, host) {
        let port = site.cluster.spec.control_plane_endpoint.port;
        let apiserver = ProveApiserver {
            server: format!("https://{}:{port}", url_address(host)),
            patience: COMES_UP,
        };
        steps.push(("the apiserver is ready", Arc::new(apiserver)));
    }
    steps.push(("have it take pods as before", Site::refilled(host)));
    steps
}

/// What kubelets know of their runtime, where that may be another: each place in which its socket stands.
fn kubelet(site: &Site, runtime: &dyn Runtime, host: &Host) -> Vec<Replacing> {
    if site.runtime_change == RuntimeChange::Refused {
        return Vec::new();
    }
    let endpoint = runtime.endpoint();
    let node = PointNode {
        node: host.name.clone(),
        endpoint,
        by: CONTROL_PLANE,
    };
    let mut steps: Vec<Replacing> = vec![("lead crictl to it", crictl(runtime))];
    let files = kubelet_files(site, host).into_iter();
    steps.extend(files.map(|step| ("bring the kubelet's files", step)));
    steps.push((
        "lead the kubelet to it",
        Arc::new(PointKubelet { endpoint }),
    ));
    steps.push(("run the kubelet", Arc::new(kubelet_service(site))));
    steps.push(("note it in the cluster", Arc::new(node)));
    steps
}

fn wanted(site: &Site, runtime: &dyn Runtime) -> WantedRuntime {
    let facts = runtime.facts();
    WantedRuntime {
        runtime: facts,
        version: site
            .release
            .version_of(facts.name)
            .unwrap_or_default()
            .to_owned(),
        data_dir: runtime.data_dir(site),
        change: site.runtime_change,
    }
}
