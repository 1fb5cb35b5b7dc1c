//! Proofs asked of fake machines that answer as real ones do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::{Cx, Retry, Slot, State, Step};
use event::{Event, Events, Sink};
use host::fake::FakeHost;
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use step::{
    EtcdCluster, EtcdPeer, EtcdRuns, KnownImage, LookAtNodes, ProveApiserver, ProveCertificates,
    ProveEndpoint, ProveEtcd, ProveImageSource, ProveImages, ProveNodes, ProveSystemPods,
};
use time::OffsetDateTime;

/// Nobody waits for a fake to change its mind.
const ONCE: Retry = Retry {
    attempts: 1,
    first_delay: Duration::ZERO,
};

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Sink for Heard {
    fn on(&self, _: Timestamp, event: &Event) {
        if let Event::Seen { what, warning, .. } = event {
            let warning = warning.as_ref();
            let warning = warning.map_or_else(String::new, |text| format!("\nwarning: {text}"));
            self.0.lock().unwrap().push(format!("{what}{warning}"));
        }
    }
}

/// What a proof says: what it has seen, or why it fails and what to do.
async fn told(host: FakeHost, step: &dyn Step) -> String {
    let heard = Arc::new(Heard::default());
    let events = Events::to(vec![heard.clone()]);
    let cx = Cx::new(Arc::new(host), events.progress(events.next_id(), None));
    match step.check(&cx).await {
        Ok(State::Satisfied) => heard.0.lock().unwrap().join("\n"),
        Ok(State::Needed(why)) => format!("needed: {why}"),
        Err(error) => match error.hint() {
            Some(hint) => format!("error: {error}\nhint: {hint}"),
            None => format!("error: {error}"),
        },
    }
}

fn list(items: &[Value]) -> String {
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

fn node(name: &str, ready: (&str, &str, &str), kubelet: &str) -> Value {
    let (status, reason, message) = ready;
    json!({
        "metadata": { "name": name, "labels": {
            "kubernetes.io/hostname": name, "node-role.kubernetes.io/control-plane": "",
        }},
        "spec": { "podCIDR": "10.233.64.0/24" },
        "status": {
            "conditions": [
                { "type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory",
                  "message": "kubelet has sufficient memory available" },
                { "type": "Ready", "status": status, "reason": reason, "message": message },
            ],
            "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }, { "type": "Hostname", "address": name }],
            "nodeInfo": { "kubeletVersion": kubelet, "containerRuntimeVersion": "containerd://v2.2.1+unknown" },
        },
    })
}

const READY: (&str, &str, &str) = ("True", "KubeletReady", "kubelet is posting ready status");

fn nodes_proof(nodes: &[&str]) -> ProveNodes {
    ProveNodes {
        nodes: nodes.iter().map(|name| (*name).to_owned()).collect(),
        kubelet: "v1.36.2".into(),
        runtime: Some("containerd://2.2.1".into()),
        patience: Retry::NETWORK,
    }
}

#[tokio::test]
async fn nodes_are_there_ready_and_of_the_right_version() {
    let well = list(&[
        node("node1", READY, "v1.36.2"),
        node("other", READY, "v1.30.0"),
    ]);
    let host = FakeHost::new("m1").on("get --output json nodes", 0, well);
    insta::assert_snapshot!(told(host, &nodes_proof(&["node1"])).await, @r"
    1 node, v1.36.2, containerd://2.2.1
    warning: the config does not list other: add it there, or take it out of the cluster with kubexm delete node
    ");
    let ill = list(&[
        node("node1", READY, "v1.35.0"),
        node(
            "node2",
            (
                "False",
                "KubeletNotReady",
                "container runtime network not ready",
            ),
            "v1.36.2",
        ),
    ]);
    let host = FakeHost::new("m1").on("get --output json nodes", 0, ill);
    insta::assert_snapshot!(told(host, &nodes_proof(&["node1", "node2", "node3"])).await, @r"
    error: node1 runs kubelet v1.35.0, not v1.36.2
    node2 is not Ready: KubeletNotReady: container runtime network not ready
    node3 is not registered
    hint: on the node: systemctl status kubelet; journalctl -u kubelet -n 50
    ");
}

#[tokio::test]
async fn nodes_are_told_as_the_cluster_has_them() {
    let answer = list(&[node("node1", READY, "v1.36.2")]);
    let seen = Slot::new("the nodes");
    let look = LookAtNodes {
        nodes: seen.clone(),
    };
    told(FakeHost::new("m1").on("nodes", 0, answer), &look).await;
    let node = &seen.get().unwrap()[0];
    assert_eq!(
        (node.status.as_str(), &node.roles[..]),
        ("Ready", &["control-plane".to_owned()][..])
    );
    assert_eq!(node.addresses, ["10.0.0.1"]);
}

fn pod(name: &str, ready: &str, status: &Value) -> Value {
    json!({
        "metadata": { "name": name, "namespace": "kube-system" },
        "spec": { "nodeName": "node2", "containers": [{ "name": "coredns", "image": "registry.k8s.io/coredns/coredns:v1.13.1" }] },
        "status": {
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": ready }],
            "containerStatuses": [status],
        },
    })
}

#[tokio::test]
async fn a_pod_in_trouble_is_told_with_its_node_reason_and_last_line() {
    let crashing = json!({
        "name": "coredns", "ready": false, "restartCount": 7, "image": "", "imageID": "",
        "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container" } },
        "lastState": { "terminated": { "exitCode": 1, "reason": "Error", "finishedAt": "2026-11-20T08:00:00Z" } },
    });
    let host = FakeHost::new("m1")
        .on(
            "get --output json pods",
            0,
            list(&[pod("coredns-abc", "False", &crashing)]),
        )
        .on(
            "logs",
            0,
            "plugin/forward: not an IP address or file: \"dns1\"\n",
        );
    let cx = Cx::new(Arc::new(host), event::Progress::unseen());
    let error = ProveSystemPods { patience: ONCE }
        .apply(&cx)
        .await
        .unwrap_err();
    insta::assert_snapshot!(format!("error: {error}\nhint: {}", error.hint().unwrap()), @r#"
    error: coredns-abc on node2: container coredns waits (CrashLoopBackOff), restarted 7 times: back-off 5m0s restarting failed container
      its last line: plugin/forward: not an IP address or file: "dns1"
    hint: kubectl -n kube-system describe pod NAME; kubectl -n kube-system logs NAME --previous
    "#);
}

#[tokio::test]
async fn a_pod_that_is_restarted_over_and_over_is_not_well_while_it_runs() {
    let now = Timestamp::now();
    let ago = |seconds: i64| (now - jiff::SignedDuration::from_secs(seconds)).to_string();
    // So many seconds ago the one before began and ended, and this one began.
    let ask = async |[began, ended, begins]: [i64; 3]| {
        let status = json!({
            "name": "coredns", "ready": true, "restartCount": 6,
            "state": { "running": { "startedAt": ago(begins) } },
            "lastState": { "terminated": {
                "exitCode": 2, "reason": "Error", "startedAt": ago(began), "finishedAt": ago(ended),
            } },
        });
        let pods = list(&[pod("coredns-abc", "True", &status)]);
        let host = FakeHost::new("m1").on("get --output json pods", 0, pods);
        told(host, &ProveSystemPods { patience: ONCE }).await
    };
    let (ill, well) = (
        "has restarted 6 times, the last time ",
        "1 pod, 6 restarts since they were made",
    );
    assert!(ask([70, 40, 10]).await.contains(ill));
    // This one has outlived it, or the one before was none of a storm.
    assert_eq!(ask([150, 120, 90]).await, well);
    assert_eq!(ask([200, 40, 10]).await, well);
}

#[tokio::test]
async fn a_pod_that_was_evicted_is_no_trouble() {
    let running =
        json!({ "name": "coredns", "ready": true, "restartCount": 0, "state": { "running": {} } });
    let mut evicted = pod("coredns-abc", "False", &json!({}));
    evicted["status"] = json!({ "phase": "Failed", "reason": "Evicted" });
    let pods = list(&[evicted, pod("coredns-def", "True", &running)]);
    let host = FakeHost::new("m1").on("get --output json pods", 0, pods);
    let proof = ProveSystemPods { patience: ONCE };
    assert_eq!(told(host, &proof).await, "2 pods");
}

#[tokio::test]
async fn an_apiserver_tells_which_of_its_checks_fails() {
    let proof = ProveApiserver {
        server: "https://10.0.0.1:6443".into(),
        patience: Retry::NETWORK,
    };
    let well = FakeHost::new("m1").on(
        "/readyz",
        0,
        "[+]ping ok\n[+]etcd ok\nreadyz check passed\n",
    );
    assert_eq!(
        told(well, &proof).await,
        "https://10.0.0.1:6443: 2 checks passed, etcd among them"
    );
    let said = "Error from server (InternalError): an error on the server (\"[+]ping ok\\n[-]etcd failed: reason \
                withheld\\nreadyz check failed\") has prevented the request from succeeding";
    let ill = FakeHost::new("m1").on("/readyz", 1, said);
    insta::assert_snapshot!(told(ill, &proof).await, @r"
    error: https://10.0.0.1:6443 is not ready: [-]etcd failed: reason withheld
    hint: on the master: crictl ps -a --name kube-apiserver, or systemctl status kube-apiserver; its log says more
    ");
}

#[tokio::test]
async fn the_endpoint_is_told_with_where_its_name_leads() {
    let proof = ProveEndpoint {
        domain: "lb.kubexm.local".into(),
        port: 6443,
        patience: Retry::NETWORK,
    };
    let well = FakeHost::new("node1").on("readyz", 0, "10.0.0.9 \nok");
    assert_eq!(told(well, &proof).await, "answers at 10.0.0.9");
    let ill = FakeHost::new("node1").on("readyz", 7, "\n");
    insta::assert_snapshot!(told(ill, &proof).await, @r"
    error: lb.kubexm.local, which leads nowhere, does not answer: no answer
    hint: on the host: getent hosts lb.kubexm.local; is the load balancer up, and does it reach a master?
    ");
}

/// A certificate as a host hands it out.
fn certificate(file: &str, days: i64) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_after =
        OffsetDateTime::now_utc() + time::Duration::days(days) + time::Duration::hours(1);
    let pem = params
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap()
        .pem();
    format!("== {file}\n{pem}")
}

#[tokio::test]
async fn certificates_are_judged_by_the_days_that_are_left() {
    let ask = async |days: &[i64]| {
        let all: String = days
            .iter()
            .map(|days| certificate(&format!("/etc/kubernetes/pki/{days}.crt"), *days))
            .collect();
        told(
            FakeHost::new("m1").on("BEGIN CERTIFICATE", 0, all),
            &ProveCertificates,
        )
        .await
    };
    assert_eq!(
        ask(&[364, 90]).await,
        "2 certificates; the first: /etc/kubernetes/pki/90.crt ends in 90 days"
    );
    assert_eq!(
        ask(&[364, 20]).await,
        "2 certificates\nwarning: /etc/kubernetes/pki/20.crt ends in 20 days"
    );
    insta::assert_snapshot!(ask(&[364, 3, -2]).await, @r"
    error: /etc/kubernetes/pki/3.crt ends in 3 days
    /etc/kubernetes/pki/-2.crt ended 2 days ago
    hint: renew them: kubexm certs renew
    ");
    assert_eq!(ask(&[]).await, "none on this host");
}

#[tokio::test]
async fn images_are_compared_by_name_and_by_digest() {
    let known = KnownImage {
        reference: "registry.k8s.io/coredns/coredns:v1.13.1".into(),
        digests: vec!["sha256:aa".into()],
    };
    let proof = ProveImages {
        known: vec![known],
        registry: Some("hub.corp:5000".into()),
        patience: Retry::NETWORK,
    };
    let status = |digest: &str| {
        json!({ "name": "coredns", "ready": true, "restartCount": 0,
                "imageID": format!("registry.k8s.io/coredns/coredns@sha256:{digest}") })
    };
    let ask = async |pods: &[Value]| {
        told(
            FakeHost::new("m1").on("get --output json pods", 0, list(pods)),
            &proof,
        )
        .await
    };
    let own = json!({
        "metadata": { "name": "shop", "namespace": "default" },
        "spec": { "containers": [{ "name": "a", "image": "nginx" }, { "name": "b", "image": "hub.corp:5000/shop:1" }] },
    });
    insta::assert_snapshot!(ask(&[pod("coredns-abc", "True", &status("aa")), own]).await, @r"
    2 images in use
    warning: not of the bundle, and asked for by your own pods: docker.io/library/nginx:latest
    ");
    insta::assert_snapshot!(ask(&[pod("coredns-abc", "True", &status("bb"))]).await, @r"
    error: kube-system/coredns-abc on node2 runs registry.k8s.io/coredns/coredns:v1.13.1 as sha256:bb, and the bundle's is sha256:aa
    hint: an image of that name was bundled anew, and the node has it; start what runs the old one again: kubectl rollout restart, or for a pod of a host's file, there: crictl stopp $(crictl pods --quiet --name POD)
    ");
}

#[tokio::test]
async fn an_image_from_outside_must_not_come() {
    let proof = ProveImageSource {
        refusals: &["not found", "NotFound"],
        look: "ls /etc/containerd/certs.d; is config_path set in /etc/containerd/config.toml?",
        stranger: "registry.k8s.io/pause:3.1".into(),
    };
    let answer = "failed to resolve image: registry.k8s.io/pause:3.1: not found";
    let closed = FakeHost::new("node1").on("crictl pull", 1, answer);
    assert_eq!(
        told(closed, &proof).await,
        "registry.k8s.io/pause:3.1 is refused"
    );
    let open = FakeHost::new("node1").on("crictl pull", 0, "Image is up to date");
    assert!(
        told(open, &proof)
            .await
            .starts_with("error: registry.k8s.io/pause:3.1 is not in the bundle, and yet")
    );
    let away = FakeHost::new("node1").on(
        "crictl pull",
        1,
        "dial tcp 10.0.0.9:5000: connection refused",
    );
    insta::assert_snapshot!(told(away, &proof).await, @r"
    error: whether the site's registry alone is asked for registry.k8s.io/pause:3.1 is not known: dial tcp 10.0.0.9:5000: connection refused
    hint: the registry should answer that it has no such image: does it run, and does the node reach it?
    ");
    let blind = FakeHost::new("node1").on("crictl pull", 127, "sh: 1: crictl: not found");
    assert!(
        told(blind, &proof)
            .await
            .starts_with("error: cannot ask the runtime")
    );
}

#[tokio::test]
async fn stacked_etcd_is_asked_in_its_container() {
    let members = |address: &str| {
        json!({ "members": [{ "ID": 1, "name": "m1", "peerURLs": [format!("https://{address}:2380")] }] })
            .to_string()
    };
    let health = |well: bool| {
        json!([{ "endpoint": "https://10.0.0.1:2379", "health": well, "took": "1ms" }]).to_string()
    };
    let proof = ProveEtcd {
        cluster: EtcdCluster {
            peers: vec![EtcdPeer {
                name: "m1".into(),
                address: "10.0.0.1".into(),
            }],
            runs: EtcdRuns::StaticPod,
        },
        patience: ONCE,
    };
    let host = |address: &str, well: bool| {
        let asked = FakeHost::new("m1");
        let asked = asked.on("etcdctl --dial-timeout=2s --command-timeout=5s --endpoints=https://10.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt --key=/etc/kubernetes/pki/etcd/healthcheck-client.key endpoint health", u32::from(!well), health(well));
        asked
            .on("member list", 0, members(address))
            .on("alarm list", 0, "{}")
    };
    assert_eq!(
        told(host("10.0.0.1", true), &proof).await,
        "1 member, all healthy"
    );
    let full = r#"{"alarms":[{"memberID":1,"alarm":1}]}"#;
    let full = host("10.0.0.1", true).on("alarm list", 0, full);
    insta::assert_snapshot!(told(full, &proof).await, @r"
    error: etcd has raised the alarm NOSPACE: a member's store has reached its quota: etcd refuses every write of the cluster
    hint: delete what has grown, wait for the next compaction (5 minutes), run kubexm etcd defrag; or raise etcd.quotaBackendBytes and install; then kubexm etcd alarms --disarm
    ");
    insta::assert_snapshot!(told(host("10.0.0.9", true), &proof).await, @r"
    error: etcd has m1 at https://10.0.0.9:2380, and the config has it at https://10.0.0.1:2380
    hint: if it has moved: etcdctl member update 1 --peer-urls=https://10.0.0.1:2380; otherwise correct its internalAddress
    ");
    insta::assert_snapshot!(told(host("10.0.0.1", false), &proof).await, @r"
    error: m1 is not healthy
    hint: on the masters: crictl ps -a --name etcd; crictl logs ID
    ");
}
