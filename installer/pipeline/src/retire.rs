//! What a changed config no longer asks for.

use cluster::{Cluster, EtcdType, Role};
use engine::{Order, Plan, Stage};
use module::Site;

use crate::PipelineError;
use crate::install::{InstallStage, plan};

/// The stages by which it goes.
#[derive(Default)]
pub(crate) struct Retired {
    /// What would be in the way of its successor: it holds addresses or ports.
    pub first: Vec<Stage>,
    /// All else, when its successor is there.
    pub last: Vec<Stage>,
}

/// The difference of two plans: of what was applied, what the site of now asks for no more. Hosts that are out of the config
/// are left alone.
pub(crate) fn retired(before: &Site, now: &Site) -> Retired {
    let hosts = now.cluster.spec.hosts.iter();
    let hosts: Vec<String> = hosts.map(|host| host.name.clone()).collect();
    let addresses = || Plan::new("retire", vec![module::virtual_addresses(before)]);
    let next = || plan(now, InstallStage::LAST);
    let gone = |scope: &'static str, of: Plan, next: Plan| {
        Plan::within(scope, of.gone(next, &hosts)).into_stages()
    };
    let first = gone("retire first", addresses(), next());
    // By then the first have gone.
    let rest = plan(before, InstallStage::LAST);
    let mut last = gone("retire", rest, next().then(addresses()));
    if let Some(stage) = last.first_mut() {
        stage.wait(Order::AllHosts);
    }
    Retired { first, last }
}

/// What a living cluster cannot be deprived of yet, each as a sentence.
pub(crate) fn refusals(before: &Cluster, now: &Cluster) -> Vec<String> {
    let mut refusals = Vec::new();
    for host in &now.spec.hosts {
        let is_node = |cluster: &Cluster| {
            cluster.is_in(&host.name, Role::Master) || cluster.is_in(&host.name, Role::Worker)
        };
        let lost = |role| before.is_in(&host.name, role) && !now.is_in(&host.name, role);
        let name = &host.name;
        if before.spec.etcd.kind == EtcdType::Kubexm && lost(Role::Etcd) {
            refusals.push(format!(
                "{name}: it is a member of etcd: kubexm delete node {name} --role etcd"
            ));
        }
        if lost(Role::Master) {
            refusals.push(format!(
                "{name}: it is a master: kubexm delete node {name} --role master"
            ));
        } else if is_node(before) && !is_node(now) {
            refusals.push(format!(
                "{name}: it is a node: kubexm delete node {name} --role worker"
            ));
        }
    }
    refusals
}

/// Hosts that are out of the config, on which everything stays as it is.
#[must_use]
pub fn left_out(before: &Cluster, now: &Cluster) -> Vec<String> {
    let names = before.spec.hosts.iter().map(|host| &host.name);
    names
        .filter(|name| now.host(name).is_none())
        .cloned()
        .collect()
}

/// Keys whose change sets up something else in place of what is there, which an upgrade would leave behind.
const REPLACING: &[&str] = &[
    "spec.addons",
    "spec.kubernetes.containerRuntime.type",
    "spec.controlPlaneEndpoint",
    "spec.etcd.dataDir",
    "spec.etcd.type",
    "spec.hosts",
    "spec.kubernetes.type",
    "spec.network",
    "spec.registry",
    "spec.roleGroups",
];

/// Refuses a config that asks for more than other versions: what it replaces is taken away by an install alone.
pub fn insist_on_versions(applied: &Cluster, config: &Cluster) -> Result<(), PipelineError> {
    let mut told = applied.differences(config);
    told.retain(|path| {
        let within = |key: &str| {
            let rest = path.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        !path.ends_with(".version") && REPLACING.iter().any(|key| within(key))
    });
    let gone = left_out(applied, config).into_iter();
    told.extend(gone.map(|name| format!("{name} is out of it: kubexm delete node {name}")));
    let new = new_hosts(applied, config).into_iter();
    told.extend(
        new.map(|name| format!("{name} is new, or has a new role: kubexm add nodes -f CONFIG")),
    );
    if told.is_empty() {
        Ok(())
    } else {
        Err(PipelineError::Changed(told))
    }
}

/// The hosts and roles that a config adds to the one applied last; refused where it differs in anything else.
pub fn added(applied: &Cluster, config: &Cluster) -> Result<Vec<String>, PipelineError> {
    let mut told = applied.differences(config);
    let gone = left_out(applied, config).into_iter();
    told.extend(gone.map(|name| format!("{name} is out of it: kubexm delete node {name}")));
    if !told.is_empty() {
        return Err(PipelineError::Changed(told));
    }
    Ok(new_hosts(applied, config))
}

fn new_hosts(applied: &Cluster, config: &Cluster) -> Vec<String> {
    let is_new = |host: &&cluster::Host| {
        let name = &host.name;
        applied.host(name).is_none() || applied.roles_of(name) != config.roles_of(name)
    };
    let new = config.spec.hosts.iter().filter(is_new);
    new.map(|host| host.name.clone()).collect()
}
