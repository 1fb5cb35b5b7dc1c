//! What a cluster is told of its nodes.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::told;
use engine::{Cx, State, Step, StepError};
use event::Progress;
use host::fake::FakeHost;
use host::{Command, Output};
use serde_json::json;
use step::{MarkNodes, NodeMarks};

fn marks() -> MarkNodes {
    let mut marks = BTreeMap::new();
    for name in ["a", "b"] {
        let labels = BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]);
        let taints = ["gpu:NoSchedule".parse().unwrap()].into();
        marks.insert(name.to_owned(), NodeMarks { labels, taints });
    }
    MarkNodes { marks }
}

fn nodes(names: &[&str]) -> String {
    let node =
        |name: &&str| json!({"metadata": {"name": name, "resourceVersion": "7"}, "spec": {}});
    json!({"items": names.iter().map(node).collect::<Vec<_>>()}).to_string()
}

fn cx(host: FakeHost) -> (Arc<FakeHost>, Cx) {
    let host = Arc::new(host);
    let cx = Cx::new(host.clone(), Progress::unseen());
    (host, cx)
}

fn refusing(host: FakeHost, words: &'static str) -> FakeHost {
    host.on_command(move |command: &Command, _| {
        let output = Output {
            status: 1,
            stdout: Vec::new(),
            stderr: words.into(),
        };
        command.text().contains("patch node").then_some(Ok(output))
    })
}

async fn refused(words: &'static str) -> StepError {
    let host = FakeHost::new("m1").on("get", 0, nodes(&["a", "b"]));
    let (_, cx) = cx(refusing(host, words));
    marks().apply(&cx).await.unwrap_err()
}

#[tokio::test]
async fn a_node_that_has_not_joined_keeps_the_others_from_nothing() {
    let host = FakeHost::new("m1")
        .on("get", 0, nodes(&["a"]))
        .on("patch node a", 0, "");
    let (host, cx) = cx(host);
    let state = marks().check(&cx).await.unwrap();
    assert_eq!(state, State::needed("those of a differ"));
    let error = marks().apply(&cx).await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r"
    the cluster has no node b
    hint: on the host: journalctl -u kubelet
    ");
    let transcript = host.transcript();
    let commands = transcript.lines().map(str::trim);
    let commands = commands.filter(|line| line.contains("kubectl"));
    insta::assert_snapshot!(commands.collect::<Vec<_>>().join("\n"), @r#"
    packed /usr/local/bin/kubectl --cache-dir=/var/lib/kubexm/kubectl --kubeconfig /etc/kubernetes/admin.conf get --output json nodes
    packed /usr/local/bin/kubectl --cache-dir=/var/lib/kubexm/kubectl --kubeconfig /etc/kubernetes/admin.conf get --output json nodes
    # /usr/local/bin/kubectl --cache-dir=/var/lib/kubexm/kubectl --kubeconfig /etc/kubernetes/admin.conf patch node a --type=merge '--patch={"metadata":{"annotations":{"kubexm.mensylisir.io/marks":"{\"labels\":{\"disk\":\"ssd\"},\"taints\":[{\"effect\":\"NoSchedule\",\"key\":\"gpu\"}]}"},"labels":{"disk":"ssd"},"resourceVersion":"7"},"spec":{"taints":[{"effect":"NoSchedule","key":"gpu"}]}}'
    "#);
}

#[tokio::test]
async fn a_change_that_crosses_anothers_is_tried_again() {
    let crossed = "Error from server (Conflict): Operation cannot be fulfilled on nodes \"a\": the object has been modified; please apply your changes to the latest version and try again";
    assert!(refused(crossed).await.may_pass());
    let error = refused("Error from server (Forbidden): nodes is forbidden").await;
    assert!(!error.may_pass());
    insta::assert_snapshot!(told(&error), @"cannot label and taint a: Error from server (Forbidden): nodes is forbidden");
}

#[tokio::test]
async fn without_a_cluster_there_is_something_to_do() {
    let (_, cx) = cx(FakeHost::new("m1").on_command(|_, _| {
        Some(Ok(Output {
            status: 1,
            stdout: Vec::new(),
            stderr: "connection refused".into(),
        }))
    }));
    let state = marks().check(&cx).await.unwrap();
    assert_eq!(state, State::needed("connection refused"));
}
