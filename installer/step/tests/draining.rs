//! Nodes that are emptied, before a real API: etcd, apiserver and controller manager on loopback. `draining.sh` starts them where
//! `KUBEXM_LAB_KUBE` names a folder of their programs, and runs this there; nodes and pods are objects alone.

use std::sync::Arc;
use std::time::Duration;

use engine::{Cx, Slot, State, Step};
use event::Progress;
use host::local::LocalHost;
use host::{Command, Host, Redactor};
use step::{
    DrainNode, EmptyNode, InsistOnNewPods, LocalData, LookAtApiserver, LookAtCluster, RefillNode,
    UncordonAll, UncordonNode,
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

#[tokio::test]
#[ignore = "needs real Kubernetes programs: draining.sh"]
async fn no_node_is_emptied_while_nobody_answers_for_new_pods() {
    let (cx, insist) = (
        cx(),
        InsistOnNewPods {
            node: "w3".to_owned(),
            patience: Duration::ZERO,
        },
    );
    assert_eq!(insist.check(&cx).await.unwrap(), State::Satisfied);
    let webhook = |client: &str| {
        format!(
            r#"{{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                "metadata": {{"name": "policy"}}, "webhooks": [{{"name": "pods.policy.example", "failurePolicy": "Fail",
                "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 2, "clientConfig": {client},
                "rules": [{{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}}]}}]}}"#
        )
    };
    for (client, said) in [
        (
            r#"{"service": {"namespace": "policy", "name": "guard"}}"#,
            "there is no service policy/guard",
        ),
        (
            r#"{"url": "https://127.0.0.1:9/"}"#,
            "failed calling webhook \"pods.policy.example\"",
        ),
    ] {
        sh(&format!(
            "kubectl apply -f - <<'END'\n{}\nEND",
            webhook(client)
        ))
        .await;
        // The apiserver hears of it a moment later.
        let mut told = String::new();
        for _ in 0..20 {
            if let Err(error) = insist.check(&cx).await {
                told = error.to_string();
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert!(
            told.contains("so w3 is not emptied: ") && told.contains(said),
            "{told}"
        );
    }
    sh("kubectl delete validatingwebhookconfiguration policy; sleep 3").await;
    assert_eq!(insist.check(&cx).await.unwrap(), State::Satisfied);
    let made = sh("kubectl get pods --output name").await;
    assert!(!made.contains("kubexm-dry-run"), "{made}");
}

#[tokio::test]
#[ignore = "needs real Kubernetes programs: draining.sh"]
async fn some_budgets_let_go_when_their_node_is_cordoned() {
    sh(r#"kubectl create -f - <<'END'
{"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "manager"},
 "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "manager"}}}}
END
kubectl create -f - <<'END'
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "manager-0", "labels": {"app": "manager"},
 "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "x", "controller": true}]},
 "spec": {"nodeName": "w3", "terminationGracePeriodSeconds": 1, "containers": [{"name": "x", "image": "x"}]}}
END
kubectl patch pod manager-0 --subresource status --type merge --patch \
  '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}'; sleep 3"#)
    .await;
    // As longhorn does it.
    let lets_go = tokio::spawn(async {
        while !cordoned("w3").await.0 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        sh("sleep 4; kubectl delete pdb manager").await;
    });
    let step = drain("w3", 60);
    step.apply(&cx()).await.unwrap();
    lets_go.await.unwrap();
    assert_eq!(step.check(&cx()).await.unwrap(), State::Satisfied);
}
