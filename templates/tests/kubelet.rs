//! What the kubelet and the clients of a cluster are told.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::{Map, Value, json};
use templates::*;

fn config() -> KubeletConfig {
    KubeletConfig {
        pki_dir: "/etc/kubernetes/pki".into(),
        static_pods: "/etc/kubernetes/manifests".into(),
        resolv_conf: "/etc/kubernetes/resolv.conf".into(),
        runtime_endpoint: Some("unix:///run/containerd/containerd.sock".into()),
        cluster_domain: "cluster.local".into(),
        cluster_dns: vec!["10.233.0.10".into(), "fd85::a".into()],
        max_pods: 110,
        pod_pids_limit: 10_000,
        feature_gates: BTreeMap::from([("RotateKubeletServerCertificate".into(), true)]),
        taints: vec![NodeTaint {
            key: "node-role.kubernetes.io/control-plane".into(),
            value: String::new(),
            effect: "NoSchedule".into(),
        }],
        settings: Map::new(),
    }
}

fn settings(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(settings) => settings,
        _ => unreachable!(),
    }
}

#[test]
fn the_kubelets_configuration() {
    insta::assert_snapshot!("kubelet.yaml", config().render().unwrap());
    let asked = KubeletConfig {
        runtime_endpoint: None,
        feature_gates: BTreeMap::new(),
        taints: Vec::new(),
        settings: settings(json!({
            "failCgroupV1": false,
            "maxPods": 250,
            "evictionHard": {"memory.available": "1Gi", "imagefs.inodesFree": null},
            "containerLogMaxSize": null,
            "systemReserved": {"cpu": "500m"},
        })),
        ..config()
    };
    insta::assert_snapshot!("kubelet-with-settings.yaml", asked.render().unwrap());
}

fn arguments() -> Vec<String> {
    [
        "--config=/etc/kubernetes/kubelet.yaml",
        "--kubeconfig=/etc/kubernetes/kubelet.conf",
        "--hostname-override=node1",
        "--node-ip=172.16.0.2,2022::2",
        "--v=2 of 5",
    ]
    .map(str::to_owned)
    .into()
}

#[test]
fn the_kubelets_service() {
    let unit = KubeletUnit {
        arguments: arguments(),
    };
    insta::assert_snapshot!("kubelet.service", unit.render().unwrap());
    let drop_in = KubeletDropIn {
        arguments: arguments(),
    };
    insta::assert_snapshot!("10-kubeadm.conf", drop_in.render().unwrap());
}

#[test]
fn systemd_reads_the_kubelets_service() {
    let dir = tempfile::tempdir().unwrap();
    // Its program is on no machine that only tests.
    let there = |text: String| text.replace("/usr/local/bin/kubelet", "/bin/true");
    let unit = KubeletUnit {
        arguments: arguments(),
    };
    let path = dir.path().join("kubelet.service");
    fs::write(&path, there(unit.render().unwrap())).unwrap();
    let drop_ins = dir.path().join("kubelet.service.d");
    fs::create_dir(&drop_ins).unwrap();
    let drop_in = KubeletDropIn {
        arguments: arguments(),
    };
    fs::write(
        drop_ins.join("10-kubeadm.conf"),
        there(drop_in.render().unwrap()),
    )
    .unwrap();
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verify.stderr);
    assert!(
        verify.status.success() && !said.contains("kubelet"),
        "{said}"
    );
}

#[test]
fn a_kubeconfig() {
    let kubeconfig = Kubeconfig {
        cluster: "demo",
        user: "kubernetes-admin",
        server: "https://lb.kubexm.local:6443",
        authority: "QVVUSE9SSVRZ",
        certificate: "Q0VSVElGSUNBVEU=",
        key: "S0VZ",
    };
    insta::assert_snapshot!("admin.conf", kubeconfig.render().unwrap());
}
