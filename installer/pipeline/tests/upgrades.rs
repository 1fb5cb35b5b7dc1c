//! Whole plans of upgrades, as people read them.

mod common;
mod upgrading;

use std::fmt::Write as _;
use std::sync::Arc;

use artifact::{ImageEntry, ImageSet, Tree};
use common::config;
use engine::{Graph, Inventory};
use host::Host;
use host::fake::FakeHost;
use pipeline::{
    CONTROL_PLANE, DryState, HeldPods, Line, Living, MemberSeen, MemberState, MemberTold, OPERATOR,
    OffsetDateTime, Scope, Site, Told, dry_run, insist_on_versions, judge, roll_back, tree,
    upgrade, way_back,
};
use tokio_util::sync::CancellationToken;
use upgrading::{EMPTYING, living, releases, upgraded};

fn graph(text: &str, from: &str, versions: &[&str]) -> Graph {
    part(text, from, versions, Scope::Whole)
}

fn part(text: &str, from: &str, versions: &[&str], scope: Scope) -> Graph {
    let (contents, cluster) = releases(text, versions);
    let living = living(&cluster, from);
    let tree = Tree::at(format!("/srv/.kubexm/{}", cluster.name()));
    let site = Site::new(cluster, contents, tree, None);
    upgraded(&site, &living, scope)
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

/// The stacked members of a cluster of three masters, all of this version.
fn with_members(cluster: &cluster::Cluster, version: &str) -> Told<MemberSeen> {
    let masters = cluster.hosts_in(cluster::Role::Master).into_iter();
    let seen = |(at, host): (usize, &cluster::Host)| {
        let told = MemberTold {
            id: at.to_string(),
            cluster_id: "1".to_owned(),
            version: version.to_owned(),
            leader: at == 0,
            learner: false,
            revision: 7,
            raft_term: 2,
            raft_index: 9,
            raft_applied: 9,
            db_bytes: 3 << 20,
            in_use_bytes: 1 << 20,
            quota_bytes: 8 << 30,
            read_ms: Some(1.0),
        };
        let member = MemberSeen {
            name: host.name.clone(),
            endpoint: format!("https://{}:2379", host.address),
            state: MemberState::Healthy,
            trouble: None,
            backup: None,
            told: Some(told),
            alarms: Vec::new(),
            knows: Vec::new(),
        };
        (host.name.clone(), Ok(member))
    };
    masters.enumerate().map(seen).collect()
}

#[test]
fn stacked_members_that_are_too_old_for_a_hop_change_ahead_of_its_masters() {
    let (mut contents, cluster) = releases(STACKED, &["v1.34.2", "v1.35.1"]);
    let held = contents.images.iter();
    let mut held = held.filter(|image| image.reference.starts_with("registry.k8s.io/etcd:"));
    let held = held.next().unwrap().clone();
    for (release, etcd) in contents.releases.iter_mut().zip(["3.6.5-0", "3.6.6-0"]) {
        let reference = format!("registry.k8s.io/etcd:{etcd}");
        release
            .images
            .insert(ImageSet::Etcd, vec![reference.clone()]);
        contents.images.push(ImageEntry {
            reference,
            ..held.clone()
        });
    }
    let previous = vec!["quay.io/coreos/etcd:v3.5.33".to_owned()];
    contents.releases[0]
        .images
        .insert(ImageSet::EtcdPrevious, previous);
    let site = Site::new(cluster.clone(), contents, Tree::at("/srv/.kubexm/c"), None);
    let of = |version: &str, scope: Scope| {
        let living = Living {
            etcd: with_members(&cluster, version),
            ..living(&cluster, "v1.33.6")
        };
        let graph = upgraded(&site, &living, scope);
        lines(&graph, |stage, task| {
            stage.ends_with("etcd first") || stage.ends_with("control plane") && task == "masters"
        })
    };
    let all = of("3.5.24", Scope::Whole);
    let first = all.iter().filter(|line| line.contains("etcd first"));
    let first: Vec<&str> = first.map(String::as_str).collect();
    insta::assert_snapshot!(first.join("\n"), @r"
    v1.34/etcd first/members master2: run etcd 3.5.33 on this master, if it is older
    v1.34/etcd first/members master3: run etcd 3.5.33 on this master, if it is older
    v1.34/etcd first/members master1: run etcd 3.5.33 on this master, if it is older
    ");
    assert!(
        all[..first.len()] == first[..],
        "they are the first: {all:?}"
    );
    let plane = of("3.5.24", Scope::ControlPlane);
    assert!(plane[0].contains("etcd first"), "{plane:?}");
    let sound = of("3.5.26", Scope::Whole);
    assert!(!sound.iter().any(|line| line.contains("etcd first")));
}

#[test]
fn hops_follow_each_other_under_their_own_names() {
    let graph = graph(BINARIES, "v1.32.4", &["v1.33.6", "v1.34.2"]);
    let mut stages: Vec<String> = graph.views().map(|node| node.stage.to_string()).collect();
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
    let way = judge(
        &site,
        &living,
        Scope::Whole,
        HeldPods::Refuse,
        OffsetDateTime::UNIX_EPOCH,
    )
    .unwrap();
    let error = upgrade(&site, &way, EMPTYING).err().unwrap().to_string();
    assert!(error.contains("kubelet v1.33.6 for amd64"), "{error}");
}

/// Where something is done, by stage.
fn places(graph: &Graph) -> String {
    let mut places: Vec<(String, Vec<String>)> = Vec::new();
    for node in graph.views() {
        let (stage, host) = (node.stage.to_string(), node.host.to_string());
        if places.last().is_none_or(|(last, _)| *last != stage) {
            places.push((stage, Vec::new()));
        }
        if let Some((_, hosts)) = places.last_mut()
            && !hosts.contains(&host)
        {
            hosts.push(host);
        }
    }
    let told = places.into_iter().map(|(stage, mut hosts)| {
        hosts.sort();
        format!("{stage}: {}", hosts.join(" "))
    });
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_part_is_upgraded_on_its_own_hosts() {
    for (name, text) in [("kubexm", BINARIES), ("kubeadm", KUBEADM)] {
        let plane = part(text, "v1.33.6", &["v1.34.2"], Scope::ControlPlane);
        let worker = config(text);
        let workers = worker.hosts_in(cluster::Role::Worker);
        let worker = workers.last().unwrap().name.clone();
        let (contents, cluster) = releases(text, &["v1.34.2"]);
        let mut living = living(&cluster, "v1.34.2");
        for node in &mut living.cluster.nodes {
            if node.name == worker {
                node.kubelet = "v1.33.6".to_owned();
            }
        }
        let site = Site::new(cluster, contents, Tree::at("/srv/.kubexm/c"), None);
        let scope = Scope::Nodes(vec![worker]);
        let node = upgraded(&site, &living, scope);
        let told = format!(
            "--only control-plane\n{}\n\n--only NODE\n{}",
            places(&plane),
            places(&node)
        );
        insta::assert_snapshot!(format!("parts-{name}"), told);
    }
}

#[test]
fn a_worker_goes_back_alone() {
    for (name, text) in [("kubexm", BINARIES), ("kubeadm", KUBEADM)] {
        let (contents, cluster) = releases(text, &["v1.33.6", "v1.34.2"]);
        let living = living(&cluster, "v1.34.2");
        let workers = cluster.hosts_in(cluster::Role::Worker);
        let worker = workers.last().unwrap().name.clone();
        let site = Site::new(cluster, contents, Tree::at("/srv/.kubexm/c"), None);
        let back = way_back(&site, &living, &worker, HeldPods::Refuse).unwrap();
        let graph = roll_back(&site, &back, EMPTYING).unwrap();
        insta::assert_snapshot!(format!("back-{name}"), graph.tree());
    }
}

/// What is said of a hop by a dry run, with hosts that have nothing of what is looked for.
async fn transcript(text: &str, minor: u64) -> String {
    let (from, to) = (format!("v1.{minor}.0"), format!("v1.{}.0", minor + 1));
    let graph = graph(text, &from, &[&to]);
    let cluster = config(text);
    let names = cluster.spec.hosts.iter().map(|host| host.name.as_str());
    let inventory: Inventory = names
        .chain([OPERATOR, CONTROL_PLANE])
        .map(|name| {
            let host: Arc<dyn Host> = Arc::new(FakeHost::new(name));
            (name.to_owned(), host)
        })
        .collect();
    let nodes = dry_run(&graph, &inventory, 16, &CancellationToken::new()).await;
    let told = tree(nodes.into_iter().map(|dry| {
        let mut line = Line::from(dry.node);
        let found = match dry.state {
            DryState::Satisfied => ": ok".to_owned(),
            DryState::Needed { reason } => format!(": needed ({reason})"),
            DryState::Unknown { .. } => ": cannot tell".to_owned(),
        };
        line.text.push_str(&found);
        line
    }));
    let hop = format!("v1.{}/", minor + 1);
    told.replace(&to, "TO")
        .replace(&from, "FROM")
        .replace(&hop, "HOP/")
}

/// The lines that one text alone has.
fn difference(before: &str, after: &str) -> String {
    let only = |sign: char, of: &str, not: &str| -> Vec<String> {
        let others: std::collections::BTreeSet<&str> = not.lines().collect();
        let own = of.lines().filter(|line| !others.contains(line));
        own.map(|line| format!("{sign} {line}")).collect()
    };
    [only('-', before, after), only('+', after, before)]
        .concat()
        .join("\n")
}

/// The oldest hop as a whole, and each later one by what it does otherwise than the one before.
#[tokio::test]
async fn every_hop_has_its_transcript() {
    for (name, text) in [
        ("kubexm", BINARIES),
        ("kubeadm", KUBEADM),
        ("stacked", STACKED),
    ] {
        let mut before = transcript(text, 24).await;
        insta::assert_snapshot!(format!("transcript-{name}-1.25"), before);
        let mut told = String::new();
        for minor in 25..36 {
            let after = transcript(text, minor).await;
            let differs = difference(&before, &after);
            writeln!(told, "1.{minor} -> 1.{}\n{differs}", minor + 1).unwrap();
            before = after;
        }
        insta::assert_snapshot!(format!("transcript-{name}-later"), told);
    }
}

#[test]
fn an_upgrade_replaces_nothing_but_versions() {
    let applied = config(BINARIES);
    let mut to = applied.clone();
    to.spec.kubernetes.version = "v1.36.2".parse().unwrap();
    insist_on_versions(&applied, &to).unwrap();
    to.spec.control_plane_endpoint.port = 7443;
    to = to.without_roles(&["worker1".to_owned()], &[cluster::Role::Worker]);
    let mut grown = applied.clone();
    grown.spec.hosts.retain(|host| host.name != "node3");
    to.spec.hosts.retain(|host| host.name != "registry1");
    let refused = insist_on_versions(&grown, &to).unwrap_err();
    insta::assert_snapshot!(format!("{refused}\nhint: {}", refused.hint().unwrap()), @r"
    the config is another than the one applied last, and this is not what was asked for:
      spec.roleGroups.worker
      spec.controlPlaneEndpoint.port
      registry1 is out of it: kubexm delete node registry1
      node3 is new, or has a new role: kubexm add nodes -f CONFIG
      worker1 is new, or has a new role: kubexm add nodes -f CONFIG
    hint: kubexm install with the cluster's bundle does all of it; or give these keys back, and run again
    ");
}
