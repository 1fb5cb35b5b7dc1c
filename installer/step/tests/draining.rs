//! Nodes that are emptied, before a real API: etcd, apiserver and controller manager on loopback. `draining.sh` starts them where
//! `KUBEXM_LAB_KUBE` names a folder of their programs, and runs this there; nodes and pods are objects alone.

use std::sync::Arc;
use std::time::Duration;

use engine::{Cx, Slot, State, Step};
use event::Progress;
use host::local::LocalHost;
use host::{Command, Host, Redactor};
use step::{
    DrainNode, EtcdCluster, LookAtApiserver, LookAtCluster, Snapshot, TakeSnapshot, UncordonAll,
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

fn drain(node: &str, seconds: u64) -> DrainNode {
    DrainNode {
        node: node.to_owned(),
        by: "here",
        patience: Duration::from_secs(seconds),
    }
}

async fn cordoned(node: &str) -> (bool, bool) {
    let path = "'{.spec.unschedulable} {.metadata.annotations.kubexm\\.io/cordoned}'";
    let said = sh(&format!("kubectl get node {node} --output jsonpath={path}")).await;
    (said.contains("true"), said.contains("upgrade"))
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
        error.contains("pod default/guarded-0 is held by budget default/guarded"),
        "{error}"
    );
    assert!(error.contains("it takes pods again"), "{error}");
    assert_eq!(cordoned("w1").await, (false, false));

    // With another replica it leaves.
    sh("kubectl patch pdb guarded --type merge --patch '{\"spec\":{\"minAvailable\":0}}'; sleep 3")
        .await;
    let step = drain("w1", 60);
    assert_eq!(step.check(&cx).await.unwrap(), State::needed("takes pods"));
    step.apply(&cx).await.unwrap();
    assert_eq!(step.check(&cx).await.unwrap(), State::Satisfied);
    assert_eq!(cordoned("w1").await, (true, true));
    let back = UncordonNode {
        node: "w1".to_owned(),
        by: "here",
    };
    assert_eq!(
        back.check(&cx).await.unwrap(),
        State::needed("was cordoned by kubexm")
    );
    back.apply(&cx).await.unwrap();
    assert_eq!(cordoned("w1").await, (false, false));

    // Somebody else's cordon is left, and what a killed run has left is not.
    sh("kubectl cordon w2").await;
    drain("w2", 60).apply(&cx).await.unwrap();
    assert_eq!(cordoned("w2").await, (true, false));
    sh("kubectl annotate node w3 kubexm.io/cordoned=upgrade; kubectl cordon w3").await;
    assert_eq!(
        UncordonAll.check(&cx).await.unwrap(),
        State::needed("w3 take none")
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
async fn a_snapshot_is_checked_and_kept_with_its_digest() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let keep_in = camino::Utf8PathBuf::try_from(dir.path().join("etcd")).unwrap();
    let step = TakeSnapshot {
        of: Snapshot::Member(EtcdCluster {
            peers: Vec::new(),
            pki: "/etc/etcd/pki".to_owned(),
        }),
        keep_in: keep_in.clone(),
        occasion: "before-v1.36.2".to_owned(),
        taken: Slot::new("the snapshot"),
    };
    step.apply(&cx()).await.unwrap();
    assert_eq!(step.check(&cx()).await.unwrap(), State::Satisfied);
    let mut names: Vec<String> = std::fs::read_dir(&keep_in)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    for name in &names {
        let mode = std::fs::metadata(keep_in.join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    sh(&format!(
        "cd {keep_in} && sha256sum --check --quiet *.sha256"
    ))
    .await;
    sh("[ ! -e /var/lib/kubexm/snapshot/kubexm-snapshot.db ]").await;
}
