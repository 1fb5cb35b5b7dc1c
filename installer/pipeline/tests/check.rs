//! What a check tells of a cluster of which a node is down.

use std::collections::BTreeMap;
use std::sync::Arc;

use artifact::{Contents, Tree};
use host::Host;
use host::fake::FakeHost;
use pipeline::{CONTROL_PLANE, DryState, Inventory, Site, check, dry_run};
use tokio_util::sync::CancellationToken;

const DOWN: &str = "worker1";

fn site() -> Site {
    let text = include_str!("../../../examples/three-etcd.yaml");
    let cluster = cluster::parse("config.yaml", text).unwrap().cluster;
    let contents = Contents::new(cluster.name(), "0.1.0");
    Site::new(cluster, contents, Tree::at("/srv/.kubexm/three-etcd"), None)
}

/// The state of each proof, by host and title.
async fn proofs(down: Option<&str>) -> BTreeMap<(String, String), DryState> {
    let site = site();
    let hosts = site.cluster.spec.hosts.iter();
    let names = hosts.map(|host| host.name.as_str()).chain([CONTROL_PLANE]);
    let inventory: Inventory = names
        .map(|name| {
            let host = FakeHost::new(name);
            if down == Some(name) {
                host.go_down();
            }
            let host: Arc<dyn Host> = Arc::new(host);
            (name.to_owned(), host)
        })
        .collect();
    let asked = dry_run(
        &check(&site).unwrap(),
        &inventory,
        4,
        &CancellationToken::new(),
    )
    .await;
    let proofs = asked.into_iter();
    proofs
        .map(|proof| ((proof.node.host.to_string(), proof.node.title), proof.state))
        .collect()
}

#[tokio::test]
async fn a_node_that_is_down_is_told_and_all_others_are_looked_at() {
    let (up, down) = (proofs(None).await, proofs(Some(DOWN)).await);
    let of_down = |((host, _), _): &(&(String, String), &DryState)| host == DOWN;
    assert!(down.iter().any(|proof| of_down(&proof)));
    for (proof, state) in &down {
        if proof.0 == DOWN {
            assert!(
                matches!(state, DryState::Unknown { because } if because.contains(DOWN)),
                "{state:?}"
            );
        } else {
            assert_eq!(Some(state), up.get(proof), "{proof:?}");
        }
    }
}
