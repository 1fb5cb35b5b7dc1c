//! Whether a cluster can be upgraded, and by which hops. Everything that is in the way is told at once.

use artifact::Release;
use cluster::{Cluster, Version, api_gone};
use module::{Guarded, LivingNode, OffsetDateTime, Site, Stand};

use self::observed::{Noted, certificates, etcd, runtimes, snapshots, webhooks};
use super::{HeldPods, Living, Scope, Way};
use crate::PipelineError;

mod observed;

/// So many minors a kubelet may be older than an apiserver.
const LAG: u64 = 3;
/// The same of one that is older than this minor.
const OLD_LAG: (u64, u64) = (25, 2);

/// So many minors this kubelet may be older than an apiserver.
pub(super) const fn lag_of(kubelet: &Version) -> u64 {
    if kubelet.minor().1 < OLD_LAG.0 {
        OLD_LAG.1
    } else {
        LAG
    }
}

/// Whether a kubelet is too old for an apiserver.
pub(super) const fn too_old(kubelet: &Version, apiserver: &Version) -> bool {
    apiserver.minor().1 > kubelet.minor().1 + lag_of(kubelet)
}

/// A version as programs tell it, without who has built them.
pub(super) fn version(text: &str) -> Result<Version, cluster::InvalidVersion> {
    text.split('+').next().unwrap_or(text).parse()
}

/// The way from what a cluster is to what its config asks for.
pub fn judge(
    site: &Site,
    living: &Living,
    scope: Scope,
    held: HeldPods,
    now: OffsetDateTime,
) -> Result<Way, PipelineError> {
    let target = &site.cluster.spec.kubernetes.version;
    let mut found = Findings(Vec::new());
    let apiservers = found.apiservers(living, target);
    let kubelets = found.nodes(living, target, &site.cluster);
    let Some(from) = apiservers.iter().map(|(_, version)| version).min().cloned() else {
        return Err(PipelineError::NoUpgrade(found.0));
    };
    found.skew(&apiservers, &kubelets);
    found
        .0
        .extend(scope.judge(&site.cluster, target, &apiservers, &kubelets));
    let kubelets: Versions = kubelets
        .into_iter()
        .filter(|(node, _)| scope.has(&site.cluster, node))
        .collect();
    let hops = hops(&site.contents.releases, target, &apiservers, &kubelets);
    found.gaps(&from, target, &hops);
    found.settings(&site.cluster, &hops);
    let spared = spared(&living.cluster.nodes);
    let old = |node: &str| {
        let mut kubelets = kubelets.iter();
        kubelets.any(|(name, version)| name == node && version < target)
    };
    let leaves = |node: &str| old(node) && !spared.iter().any(|spared| spared == node);
    let mut remarks = deprecated(living, target);
    remarks.extend(found.pods(living, held, leaves));
    remarks.extend(proxy_mode(&site.cluster, &from, &hops));
    let (of_etcd, etcd_first) = etcd(&living.etcd, &hops);
    for noted in [
        of_etcd,
        certificates(&living.certificates, now),
        webhooks(&living.cluster.webhooks, &living.cluster.nodes),
        runtimes(&living.cluster.nodes, &hops),
    ] {
        let Noted {
            blocks,
            remarks: more,
        } = noted;
        found.0.extend(blocks);
        remarks.extend(more);
    }
    remarks.extend(spared.iter().filter(|node| old(node)).map(|node| {
        format!("{node} is not drained: no other node takes its pods, and they may be away while it changes")
    }));
    if !found.0.is_empty() {
        return Err(PipelineError::NoUpgrade(found.0));
    }
    Ok(Way {
        from,
        scope,
        snapshots: snapshots(&living.etcd, &hops),
        etcd_first,
        spared,
        remarks,
        hops,
    })
}

type Versions = Vec<(String, Version)>;

/// The releases that are gone through: each that an apiserver is older than, and the one that apiservers have where kubelets
/// are still older. Where nothing is left to change, the last one, so that what was cut short is ended.
fn hops(
    releases: &[Release],
    target: &Version,
    apiservers: &Versions,
    kubelets: &Versions,
) -> Vec<(Release, Stand)> {
    let oldest = apiservers.iter().map(|(_, version)| version).min();
    // Kubelets are brought to where apiservers are only as long as none of these is further: it would be taken back.
    let newest = apiservers.iter().map(|(_, version)| version).max();
    let lags = |version: &Version| {
        newest == Some(version) && kubelets.iter().any(|(_, kubelet)| kubelet < version)
    };
    let is_due = |version: &Version| {
        let ahead = oldest.is_some_and(|oldest| version > oldest);
        ahead || oldest == Some(version) && (version == target || lags(version))
    };
    let due = releases.iter().filter(|release| {
        let version = &release.kubernetes;
        version <= target && is_due(version)
    });
    let stand = |release: &Release| {
        let mut all = apiservers.iter().chain(kubelets);
        if all.any(|(_, version)| *version == release.kubernetes) {
            Stand::Begun
        } else {
            Stand::Ahead
        }
    };
    due.map(|release| (release.clone(), stand(release)))
        .collect()
}

/// Where nobody has chosen how services are forwarded to, a release may choose otherwise than the one before.
fn proxy_mode(cluster: &Cluster, from: &Version, hops: &[(Release, Stand)]) -> Vec<String> {
    let mode_of = |version: &Version| {
        let mut kubernetes = cluster.spec.kubernetes.clone();
        kubernetes.version = version.clone();
        kubernetes.proxy_mode()
    };
    let mut before = mode_of(from);
    let mut told = Vec::new();
    for (release, _) in hops {
        let version = &release.kubernetes;
        let after = mode_of(version);
        if after != before {
            told.push(format!(
                "with {version} kube-proxy goes from {} to {} on every node, since the config does not name proxyMode: write \
                 proxyMode: {} into it to keep it as it is",
                before.name(),
                after.name(),
                before.name()
            ));
        }
        before = after;
    }
    told
}

/// Nodes beside which no other takes pods.
fn spared(nodes: &[LivingNode]) -> Vec<String> {
    let alone = |node: &&LivingNode| {
        let mut others = nodes.iter().filter(|other| other.name != node.name);
        !others.any(|other| other.takes_pods)
    };
    let alone = nodes.iter().filter(alone);
    alone.map(|node| node.name.clone()).collect()
}

/// What is asked for and will be gone. Who has asked may have been anybody: it is told, and keeps nothing from going on.
fn deprecated(living: &Living, target: &Version) -> Vec<String> {
    let gone = living.cluster.deprecated.iter();
    let gone = gone.filter(|api| api.removed <= target.minor().1);
    gone.map(|api| {
        let (version, resource) = (&api.version, &api.resource);
        let instead = api_gone(version, resource).map_or_else(String::new, |change| {
            format!(", and is to use {}", change.instead)
        });
        format!(
            "somebody has asked for {version} {resource}, which is gone with 1.{}: whoever it is fails then{instead}",
            api.removed
        )
    })
    .collect()
}

/// What is in the way, each as a sentence.
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, what: String) {
        self.0.push(what);
    }

    fn apiservers(&mut self, living: &Living, target: &Version) -> Versions {
        let mut told = Vec::new();
        for (master, version) in &living.apiservers {
            match version {
                Err(why) => self.add(format!(
                    "the apiserver of {master} does not answer: {why}"
                )),
                Ok(version) if version > target => self.add(format!(
                    "the apiserver of {master} is {version}, newer than {target} of the config: Kubernetes does not go back"
                )),
                Ok(version) => told.push((master.clone(), version.clone())),
            }
        }
        told
    }

    fn nodes(&mut self, living: &Living, target: &Version, config: &Cluster) -> Versions {
        let mut told = Vec::new();
        for node in &living.cluster.nodes {
            let name = &node.name;
            if config.host(name).is_none() {
                self.add(format!(
                    "{name} is a node of the cluster, and the config does not know it"
                ));
                continue;
            }
            if let Some(why) = &node.unready {
                self.add(format!("{name} is not Ready: {why}"));
            }
            match version(&node.kubelet) {
                Err(_) => self.add(format!(
                    "the kubelet of {name} calls itself {}",
                    node.kubelet
                )),
                Ok(version) if version > *target => self.add(format!(
                    "the kubelet of {name} is {version}, newer than {target} of the config: Kubernetes does not go back"
                )),
                Ok(version) => told.push((name.clone(), version)),
            }
        }
        let roles = [cluster::Role::Master, cluster::Role::Worker].into_iter();
        let mut absent: Vec<&str> = roles
            .flat_map(|role| config.hosts_in(role))
            .map(|host| host.name.as_str())
            .filter(|name| !living.cluster.nodes.iter().any(|node| node.name == *name))
            .collect();
        absent.sort_unstable();
        absent.dedup();
        for name in absent {
            self.add(format!(
                "{name} of the config is no node of the cluster yet"
            ));
        }
        told
    }

    fn skew(&mut self, apiservers: &Versions, kubelets: &Versions) {
        let oldest = apiservers.iter().min_by_key(|(_, version)| version);
        let newest = apiservers.iter().max_by_key(|(_, version)| version);
        let (Some((old_host, oldest)), Some((new_host, newest))) = (oldest, newest) else {
            return;
        };
        if newest.minor().1 > oldest.minor().1 + 1 {
            self.add(format!(
                "the apiservers are too far apart: {oldest} on {old_host}, {newest} on {new_host}"
            ));
        }
        for (node, kubelet) in kubelets {
            if kubelet.minor() > oldest.minor() {
                self.add(format!(
                    "the kubelet of {node} is {kubelet}, newer than the apiserver of {old_host} ({oldest})"
                ));
            }
            if too_old(kubelet, newest) {
                self.add(format!(
                    "the kubelet of {node} is {kubelet}, more than {} minors older than the apiserver of {new_host} ({newest})",
                    lag_of(kubelet)
                ));
            }
        }
    }

    fn gaps(&mut self, from: &Version, target: &Version, hops: &[(Release, Stand)]) {
        let mut at = from.minor().1;
        for (release, _) in hops {
            let (_, minor) = release.kubernetes.minor();
            for missing in at + 1..minor {
                self.add(format!(
                    "the bundle holds no release of 1.{missing}, which lies between {from} and {target}: kubexm bundle \
                     --upgrade-from {from} makes one that does"
                ));
            }
            at = at.max(minor);
        }
        if !hops
            .iter()
            .any(|(release, _)| release.kubernetes == *target)
        {
            self.add(format!(
                "the bundle holds no release {target}, which the config asks for"
            ));
        }
    }

    /// What of the config a release does not understand.
    fn settings(&mut self, cluster: &Cluster, hops: &[(Release, Stand)]) {
        for (release, _) in hops {
            let mut at = cluster.clone();
            at.spec.kubernetes.version = release.kubernetes.clone();
            let Ok(text) = at.to_yaml() else { continue };
            let Err(problems) = cluster::parse("config", &text) else {
                continue;
            };
            let version = &release.kubernetes;
            for problem in problems.errors() {
                let (path, message) = (&problem.path, &problem.message);
                let hint = problem.hint.iter().map(|hint| format!(" ({hint})"));
                let hint: String = hint.collect();
                self.add(format!("with {version}, {path}: {message}{hint}"));
            }
        }
    }

    /// Gives what is only to be known.
    fn pods(
        &mut self,
        living: &Living,
        held: HeldPods,
        leaves: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let mut remarks = Vec::new();
        let guarded = living.cluster.guarded.iter();
        for guarded in guarded.filter(|guarded| leaves(&guarded.node)) {
            match held {
                HeldPods::Refuse => self.add(is_held(guarded)),
                HeldPods::Wait => remarks.push(will_be_held(guarded)),
            }
        }
        let alone = living.cluster.alone.iter();
        for (pod, node) in alone.filter(|(_, node)| leaves(node)) {
            self.add(format!(
                "{node} cannot be drained: nobody would make pod {pod} again; delete it, or give it a controller"
            ));
        }
        remarks
    }
}

/// Why a node cannot be drained, and what to do.
pub(super) fn is_held(guarded: &Guarded) -> String {
    format!(
        "{} cannot be drained: {}. Give it another replica; or, where the budget lets go as soon as its node is cordoned, as \
         longhorn's do, say --held-pods wait",
        guarded.node,
        guarded.told()
    )
}

pub(super) fn will_be_held(guarded: &Guarded) -> String {
    format!(
        "{}: its drain waits for that as long as --drain-timeout says, and stops the run where it does not let go",
        guarded.told()
    )
}

#[cfg(test)]
mod tests;
