//! Nodes that go: what is asked for, what a living cluster cannot bear, and the plan of it.

use std::time::Duration;

use cluster::{Cluster, KubernetesType, Role};
use engine::{Data, Graph, Order, Plan};
use module::{LocalData, Site};

use crate::PipelineError;
use crate::install::{InstallStage, plan};

/// Hosts, or roles of theirs, that go.
pub struct Departure {
    pub hosts: Vec<String>,
    /// Only these roles; none means the hosts themselves.
    pub roles: Vec<Role>,
    pub reach: Reach,
    pub data: Data,
    pub drain_timeout: Duration,
    pub local: LocalData,
}

/// Whether the hosts can be asked for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Alive,
    /// They are lost: no packet goes there.
    Dead,
}

/// A cluster with the hosts that go, and without them.
pub struct Parting {
    pub before: Cluster,
    pub after: Cluster,
}

impl Departure {
    /// What becomes of the cluster as it was `applied` last. `config` tells how to log in. `taken_out` are the configs from
    /// which those of the hosts were taken that are out already, by host.
    pub fn of(
        &self,
        applied: &Cluster,
        config: &Cluster,
        taken_out: &[(String, Cluster)],
    ) -> Result<Parting, PipelineError> {
        let mut before = applied.clone();
        for name in &self.hosts {
            if applied.host(name).is_some() {
                continue;
            }
            let mut known = taken_out.iter();
            let was = known.find(|(host, _)| host == name).map(|(_, was)| was);
            let from = was.or_else(|| config.host(name).map(|_| config));
            let from = from.ok_or_else(|| unknown(name, applied))?;
            before = before.with(from, std::slice::from_ref(name));
        }
        let before = before.with_logins_of(config);
        let after = if self.roles.is_empty() {
            before.without(&self.hosts)
        } else {
            before.without_roles(&self.hosts, &self.roles)
        };
        let refusals = self.refusals(&before, &after);
        if !refusals.is_empty() {
            return Err(PipelineError::Parting(refusals));
        }
        let text = after.to_yaml().unwrap_or_default();
        if let Err(problems) = cluster::parse("the config without them", &text) {
            return Err(PipelineError::Parting(vec![problems.render()]));
        }
        Ok(Parting { before, after })
    }

    /// What the cluster cannot bear, each with what to do instead.
    fn refusals(&self, before: &Cluster, after: &Cluster) -> Vec<String> {
        let mut refusals = Vec::new();
        let endpoint = &before.spec.control_plane_endpoint;
        for (role, is_needed, what, instead) in [
            (
                Role::Master,
                true,
                "the last master",
                "add another first (kubexm add nodes), or take the whole cluster off its hosts: kubexm delete cluster",
            ),
            (
                Role::Etcd,
                before.spec.etcd.kind == cluster::EtcdType::Kubexm,
                "the last member of etcd",
                "add another first (kubexm add nodes)",
            ),
            (
                Role::Registry,
                true,
                "the only registry",
                "name another host under roleGroups.registry and run kubexm install: the new one is filled before the old one goes",
            ),
            (
                Role::LoadBalancer,
                endpoint.external_load_balancer.is_ours(),
                "the last load balancer",
                "add another first (kubexm install), or choose another controlPlaneEndpoint",
            ),
        ] {
            let had = before.hosts_in(role);
            if !is_needed || had.is_empty() || !after.hosts_in(role).is_empty() {
                continue;
            }
            let names: Vec<&str> = had.iter().map(|host| host.name.as_str()).collect();
            refusals.push(format!("{} is {what}: {instead}", names.join(" and ")));
        }
        if self.roles.is_empty() {
            return refusals;
        }
        for name in &self.hosts {
            let role = self.roles.iter().find(|role| !before.is_in(name, **role));
            if let Some(role) = role {
                refusals.push(format!("{name} has no role {role}"));
            }
            let is_kubeadm = before.spec.kubernetes.kind == KubernetesType::Kubeadm;
            let stays_node = after.is_in(name, Role::Worker);
            if is_kubeadm && stays_node && self.roles.contains(&Role::Master) {
                refusals.push(format!(
                    "{name} is a master and a worker, and kubeadm makes no worker of a master: take the host out as a whole \
                     (kubexm delete node {name}), then add it as a worker (kubexm add nodes)"
                ));
            }
        }
        refusals
    }
}

fn unknown(name: &str, applied: &Cluster) -> PipelineError {
    let hosts = applied.spec.hosts.iter();
    let hosts: Vec<&str> = hosts.map(|host| host.name.as_str()).collect();
    PipelineError::Parting(vec![format!(
        "{name} is no host of the cluster, which has {}",
        hosts.join(", ")
    )])
}

/// From a cluster with these hosts to one without them, and the hosts back to how they were.
pub fn delete_nodes(
    before: &Site,
    after: &Site,
    departure: &Departure,
) -> Result<Graph, PipelineError> {
    let missing = after.missing();
    if !missing.is_empty() {
        return Err(PipelineError::Missing(missing));
    }
    let Departure { hosts, data, .. } = departure;
    let stay = after.nodes_among(hosts);
    let mut nodes = before.nodes_among(hosts);
    nodes.retain(|name| !stay.contains(name));
    let mut stages = Vec::new();
    match departure.reach {
        Reach::Alive => {
            stages.push(module::recognise_leaving(before, hosts, *data));
            stages.push(module::drain(
                &nodes,
                departure.drain_timeout,
                departure.local,
            ));
        }
        Reach::Dead => stages.push(module::note_taken_out(before, hosts)),
    }
    let lost = |role| before.cluster.hosts_in(role).len() > after.cluster.hosts_in(role).len();
    if lost(Role::Master) {
        stages.push(module::make_way(after));
    }
    let mut leave = module::leave_etcd(before, after);
    let mut forget = module::forget(before, &nodes);
    if departure.reach == Reach::Dead {
        // Nobody reaches the dead, whoever still has its address: as long as they count as members of etcd they are missed
        // there. So a host that is down, and does not hear of it, keeps them no longer in the cluster.
        leave.wait(Order::Settled);
        forget.wait(Order::Host(module::ETCD.to_owned()));
    }
    stages.push(leave);
    if departure.reach == Reach::Alive {
        let gone = plan(before, InstallStage::LAST).given_up(
            plan(after, InstallStage::LAST),
            hosts,
            *data,
        );
        let mut gone = Plan::within("take back", gone).into_stages();
        if let Some(first) = gone.first_mut() {
            first.wait(Order::AllHosts);
        }
        stages.append(&mut gone);
    }
    stages.push(forget);
    let mut rest = plan(after, InstallStage::LAST).into_stages();
    // That the hosts that stay will do is known, but for their clocks.
    rest[0] = module::clocks(after);
    if let Some(first) = rest.first_mut() {
        first.wait(Order::AllHosts);
    }
    stages.append(&mut rest);
    if departure.reach == Reach::Alive && departure.roles.is_empty() {
        stages.push(module::given_back(after, hosts));
    }
    Graph::of(Plan::new("delete node", stages)).map_err(PipelineError::Plan)
}
