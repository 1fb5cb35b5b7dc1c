use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use event::Progress;
use host::fake::FakeHost;
use host::{HostError, Output};

use super::*;
use crate::{CordonNode, DeleteNode, EmptyNode, UncordonNode};

const NODE: &str = r#"{"metadata": {"name": "w1"}, "spec": {}}"#;
const CORDONED: &str = r#"{"metadata": {"name": "w1"}, "spec": {"unschedulable": true}}"#;
const OURS: &str = r#"{"metadata": {"name": "w1", "annotations": {"kubexm.io/cordoned-by-kubexm": "true"}}, "spec": {"unschedulable": true}}"#;
/// Somebody has uncordoned it by hand, and the mark has stayed.
const FREED: &str = r#"{"metadata": {"name": "w1", "annotations": {"kubexm.io/cordoned-by-kubexm": "true"}}, "spec": {}}"#;
const WEB: &str = r#"{"metadata": {"name": "web-1", "namespace": "shop", "labels": {"app": "web"}, "ownerReferences": [{"kind": "ReplicaSet", "name": "web"}]}}"#;
const AGENT: &str = r#"{"metadata": {"name": "agent", "namespace": "shop", "ownerReferences": [{"kind": "DaemonSet", "name": "agent"}]}}"#;
const PROXY: &str = r#"{"metadata": {"name": "proxy", "namespace": "kube-system", "annotations": {"kubernetes.io/config.mirror": "1"}, "ownerReferences": [{"kind": "Node", "name": "w1"}]}}"#;
const LONE: &str = r#"{"metadata": {"name": "lone", "namespace": "shop"}, "spec": {"volumes": [{"name": "scratch", "emptyDir": {}}]}}"#;
const ENDED: &str =
    r#"{"metadata": {"name": "job-1", "namespace": "shop"}, "status": {"phase": "Succeeded"}}"#;
const BUDGETS: &str = r#"{"items": [
    {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}, "status": {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2}},
    {"metadata": {"name": "other", "namespace": "shop"}, "spec": {"selector": {"matchLabels": {"app": "db"}}}, "status": {"disruptionsAllowed": 0}}]}"#;
const VOLUMES: &str = r#"{"items": [{"metadata": {"name": "pv1"}, "spec": {"claimRef": {"namespace": "shop", "name": "data"},
    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["w1"]}]}]}}}}]}"#;

/// A master with this node and these pods on it, until one is evicted.
fn master(node: &'static str, pods: &[&str]) -> FakeHost {
    let list = format!("{{\"items\": [{}]}}", pods.join(","));
    let empty = "{\"items\": []}";
    let gone = Arc::new(AtomicBool::new(false));
    let evicted = gone.clone();
    FakeHost::new("m1")
        .on_command(move |command, _| {
            let text = command.text();
            let said = if text.contains(" nodes ") || text.contains(" node w1") {
                node.to_owned()
            } else if text.contains("fieldSelector") || text.contains("--field-selector") {
                if gone.load(Ordering::Relaxed) {
                    empty.to_owned()
                } else {
                    list.clone()
                }
            } else if text.contains("persistentvolumes") || text.contains("poddisruptionbudgets") {
                empty.to_owned()
            } else {
                return None;
            };
            Some(Ok(output(said)))
        })
        .on_command(move |command, _| {
            let is_eviction = command.text().contains("/eviction");
            is_eviction.then(|| {
                evicted.store(true, Ordering::Relaxed);
                Ok(output(String::new()))
            })
        })
}

fn output(text: String) -> Output {
    Output {
        status: 0,
        stdout: text.into(),
        stderr: Vec::new(),
    }
}

fn cx(host: FakeHost) -> (Cx, Arc<FakeHost>) {
    let host = Arc::new(host);
    (Cx::new(host.clone(), Progress::unseen()), host)
}

fn drain(local: LocalData) -> DrainNode {
    DrainNode {
        node: "w1".to_owned(),
        timeout: Duration::from_millis(1),
        local,
    }
}

/// What ends it decides whether it is tried again, or is no failure at all.
#[tokio::test]
async fn a_drain_that_ends_early_says_of_which_kind_its_end_is() {
    let empty = EmptyNode {
        drain: DrainNode {
            timeout: Duration::from_secs(30),
            ..drain(LocalData::Refuse)
        },
        by: "m1",
    };
    let lost = FakeHost::new("m1");
    lost.fail("", 1000, || HostError::Lost {
        address: "m1".to_owned(),
        why: "cut".to_owned(),
    });
    let error = empty.apply(&cx(lost).0).await.unwrap_err();
    assert!(error.may_pass() && error.hint().is_none(), "{error}");

    let (cx, _) = cx(master(NODE, &[WEB]).on("/eviction", 0, ""));
    cx.stop.cancel();
    let error = empty.apply(&cx).await.unwrap_err();
    assert!(error.is_interrupted(), "{error}");
    assert!(error.to_string().contains("it takes no pods"), "{error}");
}

#[tokio::test]
async fn what_ends_with_the_node_stays_and_all_else_is_evicted() {
    let (cx, host) = cx(master(NODE, &[WEB, AGENT, PROXY, ENDED]));
    let step = DrainNode {
        timeout: Duration::from_secs(30),
        ..drain(LocalData::Refuse)
    };
    assert_eq!(step.check(&cx).await.unwrap(), State::needed("has 1 pods"));
    step.apply(&cx).await.unwrap();
    let done = host.transcript();
    let evictions: Vec<&str> = done
        .lines()
        .filter(|line| line.contains("/eviction"))
        .collect();
    assert_eq!(evictions.len(), 1, "{done}");
    assert!(
        evictions[0].contains("namespaces/shop/pods/web-1/eviction"),
        "{done}"
    );
    let cordon = done.find("patch node w1").unwrap();
    assert!(cordon < done.find("/eviction").unwrap() && done.contains("cordoned-by-kubexm"));
}

/// It is there under another identity as soon as it has gone.
#[tokio::test]
async fn a_pod_that_bears_the_cordon_and_comes_back_is_evicted_once() {
    let operator = |uid: u8| {
        format!(
            r#"{{"items": [{{"metadata": {{"name": "operator", "namespace": "shop", "uid": "{uid}", "ownerReferences": [{{"kind": "ReplicaSet", "name": "x"}}]}},
                "spec": {{"tolerations": [{{"operator": "Exists"}}]}}}}]}}"#
        )
    };
    let evictions = Arc::new(AtomicU8::new(0));
    let seen = evictions.clone();
    let host = master(NODE, &[]).on_command(move |command, _| {
        let text = command.text();
        if text.contains("/eviction") {
            seen.fetch_add(1, Ordering::Relaxed);
            return Some(Ok(output(String::new())));
        }
        text.contains("--field-selector")
            .then(|| Ok(output(operator(seen.load(Ordering::Relaxed)))))
    });
    let (there, _) = cx(host);
    let step = DrainNode {
        timeout: Duration::from_secs(30),
        ..drain(LocalData::Lose)
    };
    step.apply(&there).await.unwrap();
    assert_eq!(evictions.load(Ordering::Relaxed), 1);
    let (cordoned, _) = cx(master(OURS, &[]).on("--field-selector", 0, operator(7)));
    assert_eq!(step.check(&cordoned).await.unwrap(), State::Satisfied);
}

#[tokio::test]
async fn what_a_killed_check_has_left_keeps_nothing_from_going_on() {
    let probe = r#"{"metadata": {"name": "probe-1", "namespace": "kubexm-check"}}"#;
    let (cx, host) = cx(master(NODE, &[probe]));
    let step = DrainNode {
        timeout: Duration::from_secs(30),
        ..drain(LocalData::Refuse)
    };
    step.apply(&cx).await.unwrap();
    assert!(!host.transcript().contains("/eviction"));
}

#[tokio::test]
async fn what_blocks_is_named_by_pod_and_budget() {
    let stays = master(NODE, &[WEB])
        .on("poddisruptionbudgets", 0, BUDGETS)
        .on_command(|command, _| {
            command.text().contains("/eviction").then(|| {
                Ok(Output {
                    status: 1,
                    stdout: Vec::new(),
                    stderr: b"Error from server (TooManyRequests): Cannot evict pod as it would violate the pod's disruption budget.".to_vec(),
                })
            })
        });
    let (cx, _) = cx(stays);
    let error = drain(LocalData::Refuse).apply(&cx).await.unwrap_err();
    insta::assert_snapshot!(error, @"w1 is not drained after 0 s: pod shop/web-1: the budget web needs 2 healthy pods and has 2");
    insta::assert_snapshot!(error.hint().unwrap(), @"see that these pods may go (kubectl get poddisruptionbudgets -A), or give more time with --drain-timeout, and run again; the node stays cordoned until then: kubectl uncordon w1 && kubectl annotate node w1 kubexm.io/cordoned-by-kubexm-");
}

#[tokio::test]
async fn what_is_on_the_node_alone_is_named_before_anything_is_touched() {
    let with_volume = || master(NODE, &[WEB, LONE]).on("persistentvolumes", 0, VOLUMES);
    let (there, host) = cx(with_volume());
    let look = LookAtPods {
        node: "w1".to_owned(),
        local: LocalData::Refuse,
    };
    let error = look.check(&there).await.unwrap_err();
    insta::assert_snapshot!(error, @"w1 holds what would be lost with it: pod shop/lone: nobody makes it again; pod shop/lone: its emptyDir scratch; claim shop/data: its volume is there");
    assert_eq!(
        drain(LocalData::Refuse).apply(&there).await.unwrap_err(),
        error
    );
    assert!(!host.transcript().contains("patch"));
    let comes_back = drain(LocalData::RefuseFleeting).apply(&there).await;
    let fleeting = comes_back.unwrap_err().to_string();
    assert!(
        fleeting.contains("emptyDir") && !fleeting.contains("claim"),
        "{fleeting}"
    );
    let (there, host) = cx(with_volume());
    let step = DrainNode {
        timeout: Duration::from_secs(30),
        ..drain(LocalData::Lose)
    };
    step.apply(&there).await.unwrap();
    assert!(host.transcript().contains("pods/lone/eviction"));
}

#[tokio::test]
async fn a_node_takes_pods_again_only_if_kubexm_had_cordoned_it() {
    let uncordon = UncordonNode {
        node: "w1".to_owned(),
    };
    let cordon = CordonNode {
        node: "w1".to_owned(),
    };
    for (node, ours, takes) in [
        (NODE, false, true),
        (CORDONED, false, false),
        (OURS, true, false),
        (FREED, false, true),
    ] {
        let (cx, host) = cx(master(node, &[]));
        let state = uncordon.check(&cx).await.unwrap();
        assert_eq!(state != State::Satisfied, ours, "{node}");
        uncordon.apply(&cx).await.unwrap();
        assert_eq!(host.transcript().contains("patch node w1"), ours, "{node}");
        let state = cordon.check(&cx).await.unwrap();
        assert_eq!(state != State::Satisfied, takes, "{node}");
    }
}

#[tokio::test]
async fn a_node_that_is_gone_needs_nothing() {
    let (cx, host) = cx(master("", &[]));
    assert_eq!(
        drain(LocalData::Refuse).check(&cx).await.unwrap(),
        State::Satisfied
    );
    let delete = DeleteNode {
        node: "w1".to_owned(),
    };
    assert_eq!(delete.check(&cx).await.unwrap(), State::Satisfied);
    drain(LocalData::Refuse).apply(&cx).await.unwrap();
    assert!(!host.transcript().contains("patch"));
}
