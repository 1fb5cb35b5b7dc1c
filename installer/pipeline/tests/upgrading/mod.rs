//! Clusters that are to be upgraded, and bundles that lead on.

use std::time::Duration;

use artifact::Contents;
use cluster::Version;
use engine::Graph;
use pipeline::{
    ClusterSeen, Emptying, HeldPods, Living, LivingNode, OffsetDateTime, Scope, Site, Unavailable,
    judge, upgrade,
};

use crate::common::{complete, config};

/// A bundle with these releases, the last of which is the config's.
pub fn releases(text: &str, versions: &[&str]) -> (Contents, cluster::Cluster) {
    let mut last = config(text);
    let version = versions.last().unwrap();
    last.spec.kubernetes.version = version.parse().unwrap();
    let mut contents: Option<Contents> = None;
    for version in versions {
        let mut cluster = last.clone();
        cluster.spec.kubernetes.version = version.parse().unwrap();
        let one = complete(&cluster);
        match &mut contents {
            None => contents = Some(one),
            Some(all) => {
                all.releases.extend(one.releases);
                all.files.extend(one.files);
                all.files.sort_by(|a, b| a.path.cmp(&b.path));
                all.files.dedup_by(|a, b| a.path == b.path);
            }
        }
    }
    (contents.unwrap(), last)
}

/// A cluster all of this version.
pub fn living(cluster: &cluster::Cluster, version: &str) -> Living {
    let of: Version = version.parse().unwrap();
    let node = |host: &cluster::Host| LivingNode {
        name: host.name.clone(),
        kubelet: version.to_owned(),
        takes_pods: cluster.is_in(&host.name, cluster::Role::Worker),
        ..LivingNode::default()
    };
    let roles = [cluster::Role::Master, cluster::Role::Worker].into_iter();
    let mut nodes: Vec<LivingNode> = Vec::new();
    for host in roles.flat_map(|role| cluster.hosts_in(role)) {
        if !nodes.iter().any(|node| node.name == host.name) {
            nodes.push(node(host));
        }
    }
    let masters = cluster.hosts_in(cluster::Role::Master).into_iter();
    Living {
        apiservers: masters
            .map(|host| (host.name.clone(), Ok(of.clone())))
            .collect(),
        cluster: ClusterSeen {
            nodes,
            ..ClusterSeen::default()
        },
        ..Living::default()
    }
}

pub const EMPTYING: Emptying = Emptying {
    patience: Duration::from_mins(5),
    unavailable: Unavailable::Nodes(1),
    held: HeldPods::Refuse,
};

/// What brings this part of a cluster to the site's version.
pub fn upgraded(site: &Site, living: &Living, scope: Scope) -> Graph {
    let now = OffsetDateTime::UNIX_EPOCH;
    let way = judge(site, living, scope, HeldPods::Refuse, now).unwrap();
    upgrade(site, &way, EMPTYING).unwrap()
}
