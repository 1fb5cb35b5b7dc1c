//! Whole plans of upgrades, as people read them.

mod common;

use std::time::Duration;

use artifact::{Contents, Tree};
use cluster::Version;
use common::{complete, config};
use engine::Graph;
use pipeline::{ClusterSeen, Emptying, Living, LivingNode, Site, Unavailable, judge, upgrade};

/// A bundle with these releases, the last of which is the config's.
fn releases(text: &str, versions: &[&str]) -> (Contents, cluster::Cluster) {
    let last = config(text);
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
fn living(cluster: &cluster::Cluster, version: &str) -> Living {
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
    }
}

fn graph(text: &str, from: &str, versions: &[&str]) -> Graph {
    let (contents, cluster) = releases(text, versions);
    let living = living(&cluster, from);
    let tree = Tree::at(format!("/srv/.kubexm/{}", cluster.name()));
    let site = Site::new(cluster, contents, tree, None);
    let way = judge(&site, &living).unwrap();
    let emptying = Emptying {
        patience: Duration::from_mins(5),
        unavailable: Unavailable::Nodes(1),
    };
    upgrade(&site, &way, emptying).unwrap()
}

fn lines(graph: &Graph, wanted: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let view = graph.view().into_iter();
    let view = view.filter(|node| wanted(&node.stage, &node.task));
    view.map(|node| format!("{}/{} {}: {}", node.stage, node.task, node.host, node.title))
        .collect()
}

const BINARIES: &str = include_str!("../../../examples/three-etcd.yaml");
const KUBEADM: &str = include_str!("../../../examples/kubeadm.yaml");
const STACKED: &str = include_str!("../../../examples/stacked-etcd.yaml");
const SINGLE: &str = include_str!("../../../examples/single-node.yaml");

#[test]
fn a_hop_of_plain_binaries() {
    insta::assert_snapshot!(
        "hop-kubexm",
        graph(BINARIES, "v1.33.6", &["v1.34.2"]).tree()
    );
}

#[test]
fn a_hop_of_kubeadm() {
    insta::assert_snapshot!(
        "hop-kubeadm",
        graph(KUBEADM, "v1.33.6", &["v1.34.2"]).tree()
    );
}

#[test]
fn a_hop_of_stacked_etcd() {
    let graph = graph(STACKED, "v1.33.6", &["v1.34.2"]);
    let of_masters = lines(&graph, |stage, task| {
        stage.ends_with("control plane") && task == "masters"
    });
    insta::assert_snapshot!("hop-stacked-masters", of_masters.join("\n"));
    let kept = lines(&graph, |stage, _| stage.ends_with("/snapshot"));
    assert_eq!(kept.len(), 1, "{kept:?}");
}

#[test]
fn hops_follow_each_other_under_their_own_names() {
    let graph = graph(BINARIES, "v1.32.4", &["v1.33.6", "v1.34.2"]);
    let mut stages: Vec<String> = graph.view().into_iter().map(|node| node.stage).collect();
    stages.dedup();
    insta::assert_snapshot!("stages-of-two-hops", stages.join("\n"));
}

#[test]
fn what_was_begun_before_needs_no_other_snapshot_and_a_single_node_keeps_its_pods() {
    let begun = graph(BINARIES, "v1.34.2", &["v1.34.2"]);
    assert_eq!(
        lines(&begun, |stage, _| stage.ends_with("/snapshot")),
        Vec::<String>::new()
    );
    let single = graph(SINGLE, "v1.33.6", &["v1.34.2"]);
    let drains = single
        .view()
        .into_iter()
        .filter(|node| node.title.starts_with("drain "));
    assert_eq!(drains.count(), 0);
}

#[test]
fn a_bundle_that_lacks_a_part_of_a_hop_is_refused() {
    let (mut contents, cluster) = releases(BINARIES, &["v1.33.6", "v1.34.2"]);
    contents.files.retain(|file| {
        file.component.as_deref() != Some("kubelet") || file.version.as_deref() != Some("v1.33.6")
    });
    let living = living(&cluster, "v1.32.4");
    let site = Site::new(cluster, contents, Tree::at("/srv/.kubexm/c"), None);
    let way = judge(&site, &living).unwrap();
    let emptying = Emptying {
        patience: Duration::from_mins(5),
        unavailable: Unavailable::Nodes(1),
    };
    let error = upgrade(&site, &way, emptying).err().unwrap().to_string();
    assert!(error.contains("kubelet v1.33.6 for amd64"), "{error}");
}
