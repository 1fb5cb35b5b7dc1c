//! How often a run that has nothing to do waits for an answer of its hosts.

mod common;

use std::fmt::Write as _;
use std::sync::Arc;

use artifact::Tree;
use common::{complete, config};
use engine::Inventory;
use host::Host;
use host::fake::FakeHost;
use pipeline::{CONTROL_PLANE, InstallStage, OPERATOR, Site, dry_run, install};
use tokio_util::sync::CancellationToken;

/// What is asked of each host, and in how many round trips. Steps that ask something in their turn are what is left of them:
/// the cluster's state, members of etcd, what a step finds out for others.
#[tokio::test]
async fn what_is_asked_of_each_host_where_nothing_is_done() {
    let cluster = config(include_str!("../../../examples/three-etcd.yaml"));
    let names: Vec<String> = cluster.spec.hosts.iter().map(|h| h.name.clone()).collect();
    let tree = Tree::at("/srv/.kubexm/nowhere");
    let manifest = complete(&cluster);
    let graph = install(
        &Site::new(cluster, manifest, tree, None),
        None,
        InstallStage::LAST,
    )
    .unwrap();
    let fakes: Vec<Arc<FakeHost>> = names
        .iter()
        .map(String::as_str)
        .chain([OPERATOR, CONTROL_PLANE])
        .map(|name| Arc::new(FakeHost::new(name)))
        .collect();
    let inventory: Inventory = fakes
        .iter()
        .map(|fake| {
            let host: Arc<dyn Host> = fake.clone();
            (fake.name().to_owned(), host)
        })
        .collect();
    dry_run(&graph, &inventory, 16, &CancellationToken::new()).await;
    let mut told = String::new();
    for fake in &fakes[..names.len()] {
        let asked = fake.transcript();
        let questions = asked.lines().filter(|line| line.starts_with("# "));
        let (name, questions) = (fake.name(), questions.count());
        let trips = fake.round_trips();
        writeln!(told, "{name}: {questions} questions, {trips} round trips").unwrap();
    }
    insta::assert_snapshot!(told);
}
