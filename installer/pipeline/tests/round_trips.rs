//! How often a run that has nothing to do waits for an answer of its hosts.

mod common;

use std::sync::Arc;

use artifact::Tree;
use common::{complete, config};
use engine::Inventory;
use host::Host;
use host::fake::FakeHost;
use pipeline::{CONTROL_PLANE, InstallStage, OPERATOR, Site, dry_run, install};
use tokio_util::sync::CancellationToken;

/// The lab holds a second run of real hosts to its number; this holds each plan to what its steps let go together.
#[tokio::test]
async fn questions_of_a_whole_plan_go_together() {
    let cluster = config(include_str!("../../../examples/three-etcd.yaml"));
    let names: Vec<String> = cluster.spec.hosts.iter().map(|h| h.name.clone()).collect();
    let tree = Tree::at("/srv/.kubexm/nowhere");
    let contents = complete(&cluster);
    let graph = install(
        &Site::new(cluster, contents, tree, None),
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
    for fake in &fakes[..names.len()] {
        let asked = fake.transcript();
        let questions = asked.lines().filter(|line| line.starts_with("# ")).count();
        let trips = fake.round_trips();
        let name = fake.name();
        // A fake host has nothing of what is looked for, so that a check seldom goes on to a second question.
        assert!(
            trips * 3 <= questions * 2,
            "{name}: {questions} questions in {trips} round trips"
        );
    }
}
