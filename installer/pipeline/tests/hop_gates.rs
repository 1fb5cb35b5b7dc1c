//! What must be so before a hop touches the first master, read from the graphs of all topologies.

mod common;
mod upgrading;

use std::collections::{BTreeMap, BTreeSet};

use artifact::Tree;
use cluster::{Cluster, EtcdType, ImageHome, KubernetesType, Role};
use common::config;
use engine::{Graph, LinkedNode, NodeView};
use pipeline::{OPERATOR, Scope, Site};
use upgrading::{living, releases, upgraded};

const HOPS: [&str; 3] = ["v1.33.6", "v1.34.2", "v1.35.1"];
const FROM: &str = "v1.32.4";

/// Every example with hosts of its own, set up in this way.
fn topologies(kind: KubernetesType) -> Vec<(String, String)> {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let Ok(parsed) = cluster::parse(&name, &text) else {
            continue;
        };
        let mut cluster = parsed.cluster;
        if cluster.hosts_in(Role::Master).is_empty() {
            continue;
        }
        // Members that kubeadm runs are kubeadm's.
        if kind == KubernetesType::Kubexm && cluster.spec.etcd.kind == EtcdType::Kubeadm {
            continue;
        }
        cluster.spec.kubernetes.kind = kind;
        cluster.spec.kubernetes.version = FROM.parse().unwrap();
        let text = cluster.to_yaml().unwrap();
        if cluster::parse(&name, &text).is_ok() && supported(&text) {
            found.push((name, text));
        }
    }
    found.sort();
    found
}

fn site(text: &str) -> Site {
    let (contents, cluster) = releases(text, &HOPS);
    Site::new(cluster, contents, Tree::at("/srv/c"), None)
}

/// Whether it is installed, and by versions that the bundle of these tests has.
fn supported(text: &str) -> bool {
    site(text).missing().is_empty()
}

fn plan(text: &str, scope: Scope) -> (Cluster, Graph) {
    let site = site(text);
    let living = living(&site.cluster, FROM);
    let graph = upgraded(&site, &living, scope);
    (site.cluster, graph)
}

/// All steps, and for each all that it waits for, near and far.
struct Reach {
    steps: BTreeMap<usize, NodeView>,
    after: BTreeMap<usize, Vec<usize>>,
}

impl Reach {
    fn of(graph: &Graph) -> Self {
        let (mut steps, mut links) = (BTreeMap::new(), BTreeMap::new());
        for node in graph.linked() {
            match node {
                LinkedNode::Step { node, after } => {
                    links.insert(node.id, after);
                    steps.insert(node.id, node);
                }
                LinkedNode::Gate { id, after, .. } => {
                    links.insert(id, after);
                }
            }
        }
        Self {
            steps,
            after: links,
        }
    }

    fn ahead_of(&self, id: usize) -> BTreeSet<usize> {
        let (mut ahead, mut next) = (BTreeSet::new(), vec![id]);
        while let Some(id) = next.pop() {
            for before in &self.after[&id] {
                if ahead.insert(*before) {
                    next.push(*before);
                }
            }
        }
        ahead
    }

    fn in_stage<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a NodeView> {
        self.steps.values().filter(move |node| node.stage == name)
    }
}

/// The images of a hop, where a node has them from, and what proves that it has: of each node, or of the registry.
fn brings_images(node: &NodeView) -> bool {
    let mut kinds = ["push images ", "import images", "pull "].into_iter();
    kinds.any(|kind| node.step.starts_with(kind))
}

fn has_its_images_first(name: &str, text: &str, scope: &Scope) {
    let (cluster, graph) = plan(text, scope.clone());
    let reach = Reach::of(&graph);
    let of_role = |role| cluster.hosts_in(role).into_iter();
    let nodes: BTreeSet<&str> = of_role(Role::Master)
        .chain(of_role(Role::Worker))
        .map(|host| host.name.as_str())
        .collect();
    let registry = match cluster.image_home() {
        ImageHome::Nodes => None,
        ImageHome::External => Some(OPERATOR),
        ImageHome::Hosts(hosts) => hosts.first().map(|host| host.name.as_str()),
    };
    for hop in ["v1.33", "v1.34", "v1.35"] {
        let within = |node: &NodeView| node.stage.starts_with(&format!("{hop}/"));
        let masters = format!("{hop}/control plane");
        // On one host each step follows the one before.
        let mut touched = BTreeMap::<&str, &NodeView>::new();
        for node in reach.in_stage(&masters) {
            touched.entry(&node.host).or_insert(node);
        }
        assert!(!touched.is_empty(), "{name}: {masters} is empty");
        for touch in touched.into_values() {
            let ahead = reach.ahead_of(touch.id);
            let images = ahead.iter().filter_map(|id| reach.steps.get(id));
            let images: Vec<&NodeView> = images
                .filter(|node| within(node) && brings_images(node))
                .collect();
            let on = |host: &str, step: &str| {
                let mut images = images.iter();
                images.any(|node| node.host == host && node.step.starts_with(step))
            };
            for node in &nodes {
                let has = match registry {
                    Some(registry) => on(registry, "push images") && on(node, "pull "),
                    None => on(node, "import images"),
                };
                assert!(
                    has,
                    "{name}, {scope:?}: '{}' of {hop} on {} does not wait for the images of {node}",
                    touch.title, touch.host
                );
            }
        }
    }
}

#[test]
fn the_images_of_a_hop_are_on_every_node_before_its_first_master_is_touched() {
    for (kind, least) in [(KubernetesType::Kubexm, 8), (KubernetesType::Kubeadm, 8)] {
        let topologies = topologies(kind);
        assert!(topologies.len() >= least, "{kind:?}: {topologies:?}");
        let registries = topologies.iter();
        let without = registries.filter(|(_, text)| config(text).registry_host().is_none());
        assert!(without.count() > 0, "{kind:?}: all have a registry");
        for (name, text) in &topologies {
            for scope in [Scope::Whole, Scope::ControlPlane] {
                has_its_images_first(name, text, &scope);
            }
        }
    }
}
