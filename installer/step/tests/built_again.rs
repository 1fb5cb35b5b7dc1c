//! Images that were built again under their tag: nodes get the new one, and what runs the old one is restarted.

mod common;

use std::sync::{Arc, Mutex};

use engine::{Cx, Slot, State, Step};
use event::Progress;
use host::Output;
use host::fake::FakeHost;
use serde_json::{Value, json};
use step::{KnownImage, PullSandboxImage, RenewImages, RollPods};

fn known(reference: &str, digests: &[&str]) -> KnownImage {
    KnownImage {
        reference: reference.to_owned(),
        digests: digests
            .iter()
            .map(|digest| format!("sha256:{digest}"))
            .collect(),
    }
}

fn on(host: FakeHost) -> (Cx, Arc<FakeHost>) {
    let host = Arc::new(host);
    (Cx::new(host.clone(), Progress::unseen()), host)
}

fn answer(text: &str) -> Output {
    Output {
        status: 0,
        stdout: text.as_bytes().to_vec(),
        stderr: Vec::new(),
    }
}

const TABLE: &str = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n";

fn listed(reference: &str, digest: &str) -> String {
    let media_type = "application/vnd.oci.image.index.v1+json";
    let pinned = "io.cri-containerd.image=managed,io.cri-containerd.pinned=pinned";
    format!("{reference} {media_type} sha256:{digest} 1.0 MiB linux/amd64 {pinned}\n")
}

#[tokio::test]
async fn a_node_pulls_anew_only_what_it_has_of_another_build() {
    let renew = RenewImages {
        images: vec![
            known("registry.k8s.io/coredns/coredns:v1", &["aa", "ab"]),
            known("registry.k8s.io/kube-proxy:v1", &["ba"]),
            known("registry.k8s.io/kube-vip:v1", &["ca"]),
        ],
        hosts_dir: "/etc/containerd/certs.d".into(),
        pushed: Slot::new("pushed"),
    };
    // It has one by its platform's digest, one of another build, one of its owner's, and one not at all.
    let proxy = Mutex::new("b0");
    let host = FakeHost::new("node1").on_command(move |command, _| {
        let text = command.text();
        if text.contains("pull") {
            *proxy.lock().unwrap() = "ba";
            return Some(Ok(answer("")));
        }
        text.ends_with("ls").then(|| {
            let own = listed("quay.io/own/tool:1", "dd");
            let coredns = listed("registry.k8s.io/coredns/coredns:v1", "ab");
            let proxy = listed("registry.k8s.io/kube-proxy:v1", *proxy.lock().unwrap());
            Ok(answer(&format!("{TABLE}{own}{coredns}{proxy}")))
        })
    });
    let (cx, host) = on(host);
    assert_eq!(
        renew.check(&cx).await.unwrap(),
        State::needed("registry.k8s.io/kube-proxy:v1 is another build of it")
    );
    renew.apply(&cx).await.unwrap();
    assert_eq!(renew.check(&cx).await.unwrap(), State::Satisfied);
    let pulls = host.transcript();
    let pulls: Vec<&str> = pulls.lines().filter(|line| line.contains("pull")).collect();
    assert_eq!(
        pulls,
        [
            "# /usr/local/bin/ctr --namespace k8s.io images pull --hosts-dir /etc/containerd/certs.d registry.k8s.io/kube-proxy:v1"
        ]
    );
}

#[tokio::test]
async fn a_host_without_containerd_has_nothing_of_another_build() {
    let renew = RenewImages {
        images: vec![known("registry.k8s.io/kube-proxy:v1", &["ba"])],
        hosts_dir: "/etc/containerd/certs.d".into(),
        pushed: Slot::new("pushed"),
    };
    let (cx, _) = on(FakeHost::new("bare").on("images ls", 127, ""));
    assert_eq!(renew.check(&cx).await.unwrap(), State::Satisfied);
    let (cx, _) = on(FakeHost::new("ill").on("images ls", 1, ""));
    let error = renew.check(&cx).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot list the images: status 1");
}

#[tokio::test]
async fn the_sandbox_image_is_the_bundles_build() {
    let pull = PullSandboxImage {
        image: known("registry.k8s.io/pause:3.10", &["aa"]),
        hosts_dir: "/etc/containerd/certs.d".into(),
        pushed: None,
    };
    let state = async |digest: &str| {
        let table = format!("{TABLE}{}", listed("registry.k8s.io/pause:3.10", digest));
        let (cx, _) = on(FakeHost::new("node1").on("images ls", 0, table));
        pull.check(&cx).await.unwrap()
    };
    assert_eq!(state("aa").await, State::Satisfied);
    assert_eq!(state("bb").await, State::needed("is another build of it"));
}

fn pod(name: &str, owner: (&str, &str), digest: &str, more: &Value) -> Value {
    let mut pod = json!({
        "metadata": {
            "name": name, "namespace": "kube-system",
            "labels": { "pod-template-hash": "7d76" },
            "ownerReferences": [{ "kind": owner.0, "name": owner.1 }],
        },
        "spec": { "nodeName": "node1",
                  "containers": [{ "name": "main", "image": "registry.k8s.io/kube-proxy:v1" }] },
        "status": { "containerStatuses": [{ "name": "main", "ready": true, "restartCount": 0,
                    "imageID": format!("registry.k8s.io/kube-proxy@sha256:{digest}") }] },
    });
    for (key, value) in more.as_object().unwrap() {
        pod["metadata"][key] = value.clone();
    }
    pod
}

#[tokio::test]
async fn workloads_of_the_system_that_run_another_build_are_restarted() {
    let roll = RollPods {
        images: vec![known("registry.k8s.io/kube-proxy:v1", &["ba"])],
    };
    let plain = json!({});
    let pods = [
        pod("proxy-1", ("DaemonSet", "kube-proxy"), "b0", &plain),
        pod("proxy-2", ("DaemonSet", "kube-proxy"), "ba", &plain),
        pod("dns-7d76-x", ("ReplicaSet", "coredns-7d76"), "b0", &plain),
        pod(
            "own-1",
            ("DaemonSet", "own"),
            "b0",
            &json!({ "namespace": "shop" }),
        ),
        pod(
            "old-1",
            ("DaemonSet", "gone"),
            "b0",
            &json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" }),
        ),
        // What a host's file makes again is started by nobody else.
        pod("kube-vip-node1", ("Node", "node1"), "b0", &plain),
    ];
    let before = json!({ "items": pods }).to_string();
    let restarted = Mutex::new(false);
    let host = FakeHost::new("m1").on_command(move |command, _| {
        let text = command.text();
        if text.contains("rollout") {
            *restarted.lock().unwrap() = true;
            return Some(Ok(answer("")));
        }
        let after = json!({ "items": [] }).to_string();
        let list = if *restarted.lock().unwrap() {
            &after
        } else {
            &before
        };
        text.contains("pods").then(|| Ok(answer(list)))
    });
    let (cx, host) = on(host);
    assert_eq!(
        roll.check(&cx).await.unwrap(),
        State::needed(
            "daemonset/kube-proxy runs an earlier build of registry.k8s.io/kube-proxy:v1; \
             deployment/coredns runs an earlier build of registry.k8s.io/kube-proxy:v1"
        )
    );
    roll.apply(&cx).await.unwrap();
    assert_eq!(roll.check(&cx).await.unwrap(), State::Satisfied);
    let acts = host.transcript();
    let acts: Vec<&str> = acts
        .lines()
        .filter_map(|line| line.split_once("rollout ").map(|(_, act)| act))
        .collect();
    assert_eq!(
        acts,
        [
            "restart --namespace kube-system daemonset/kube-proxy",
            "restart --namespace kube-system deployment/coredns",
            "status --namespace kube-system daemonset/kube-proxy --timeout=600s",
            "status --namespace kube-system deployment/coredns --timeout=600s",
        ]
    );
}
