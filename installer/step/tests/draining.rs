//! Nodes that are emptied, before a real API: etcd, apiserver and controller manager on loopback. `draining.sh` starts them where
//! `KUBEXM_LAB_KUBE` names a folder of their programs, and runs this there; nodes and pods are objects alone.

use std::sync::Arc;
use std::time::Duration;

use engine::{Cx, Slot, State, Step};
use event::Progress;
use host::local::LocalHost;
use host::{Command, Host, Redactor};
use step::{
    DrainNode, EmptyNode, LocalData, LookAtApiserver, LookAtCluster, RefillNode, UncordonAll,
    UncordonNode,
};

fn cx() -> Cx {
    let host = LocalHost::new("here", Redactor::default());
    Cx::new(Arc::new(host), Progress::unseen())
}

async fn sh(script: &str) -> String {
    let host = LocalHost::new("here", Redactor::default());
    let script = format!(
        "kubectl() {{ /usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf \"$@\"; }}\n{script}"
    );
    let output = host.run(&Command::script(&*script)).await.unwrap();
    assert!(output.ok(), "{script}\n{}", output.last_words());
    output.text()
}

fn drain(node: &str, seconds: u64) -> EmptyNode {
    EmptyNode {
        drain: DrainNode {
            node: node.to_owned(),
            timeout: Duration::from_secs(seconds),
            local: LocalData::Lose,
        },
        by: "here",
    }
}

async fn cordoned(node: &str) -> (bool, bool) {
    let path = "'{.spec.unschedulable} {.metadata.annotations.kubexm\\.io/cordoned-by-kubexm}'";
    let said = sh(&format!("kubectl get node {node} --output jsonpath={path}")).await;
    (said.starts_with("true"), said.ends_with(" true"))
}

#[tokio::test]
#[ignore = "needs real Kubernetes programs: draining.sh"]
async fn a_node_is_emptied_as_its_budgets_allow_and_given_back_as_it_was() {
    let (cx, seen) = (cx(), Slot::new("cluster"));
    let look = LookAtCluster { seen: seen.clone() };
    look.check(&cx).await.unwrap();
    let seen = seen.get().unwrap();
    assert_eq!(seen.nodes.len(), 3);
    assert!(
        seen.nodes.iter().all(|node| node.unready.is_none()),
        "{seen:?}"
    );
    let held: Vec<String> = seen.guarded.iter().map(step::Guarded::told).collect();
    insta::assert_snapshot!(held.join("\n"), @"pod default/guarded-0 is held by budget default/guarded, which allows no eviction now (1 healthy, 1 wanted)");
    assert_eq!(seen.alone, []);
    let version = Slot::new("version");
    let apiserver = LookAtApiserver {
        server: "https://127.0.0.1:16443".to_owned(),
        version: version.clone(),
    };
    apiserver.check(&cx).await.unwrap();
    assert!(version.get().unwrap().starts_with("v1."));

    // What may not leave is named, and the node takes pods again.
    let error = drain("w1", 8).apply(&cx).await.unwrap_err().to_string();
    assert!(
        error.contains("pod default/guarded-0: the budget guarded needs 1 healthy pods and has 1"),
        "{error}"
    );
    assert!(error.contains("it takes pods again"), "{error}");
    assert_eq!(cordoned("w1").await, (false, false));

    // With another replica it leaves.
    sh("kubectl patch pdb guarded --type merge --patch '{\"spec\":{\"minAvailable\":0}}'; sleep 3")
        .await;
    let step = drain("w1", 60);
    assert!(matches!(step.check(&cx).await.unwrap(), State::Needed(_)));
    step.apply(&cx).await.unwrap();
    assert_eq!(step.check(&cx).await.unwrap(), State::Satisfied);
    assert_eq!(cordoned("w1").await, (true, true));
    let back = RefillNode {
        cordon: UncordonNode {
            node: "w1".to_owned(),
        },
        by: "here",
    };
    assert_eq!(
        back.check(&cx).await.unwrap(),
        State::needed("kubexm has cordoned it")
    );
    back.apply(&cx).await.unwrap();
    assert_eq!(cordoned("w1").await, (false, false));

    // Somebody else's cordon is left, and what a killed run has left is not.
    sh("kubectl cordon w2").await;
    drain("w2", 60).apply(&cx).await.unwrap();
    assert_eq!(cordoned("w2").await, (true, false));
    sh("kubectl annotate node w3 kubexm.io/cordoned-by-kubexm=true; kubectl cordon w3").await;
    assert_eq!(
        UncordonAll.check(&cx).await.unwrap(),
        State::needed("kubexm has cordoned w3")
    );
    UncordonAll.apply(&cx).await.unwrap();
    assert_eq!(UncordonAll.check(&cx).await.unwrap(), State::Satisfied);
    assert_eq!(
        (cordoned("w2").await, cordoned("w3").await),
        ((true, false), (false, false))
    );
}
