use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::testing::site;

fn told(spec: &str, host: &str) -> Vec<String> {
    let site = site(spec);
    arguments(&site, site.cluster.host(host).unwrap())
}

fn of_version(version: &str) -> Vec<String> {
    told(&format!("kubernetes: {{version: {version}}}"), "w1")
}

#[test]
fn what_a_flag_tells_changes_with_the_version() {
    let first = [
        "--config=/etc/kubernetes/kubelet.yaml",
        "--kubeconfig=/etc/kubernetes/kubelet.conf",
        "--hostname-override=w1",
        "--node-ip=10.0.0.3",
    ];
    let endpoint = "--container-runtime-endpoint=unix:///run/containerd/containerd.sock";
    let sandbox = "--pod-infra-container-image=registry.k8s.io/pause:3.10";
    assert_eq!(of_version("v1.36.2"), first);
    assert_eq!(of_version("v1.34.2"), [&first[..], &[sandbox]].concat());
    assert_eq!(
        of_version("v1.26.15"),
        [&first[..], &[endpoint, sandbox]].concat()
    );
}

#[test]
fn a_node_is_known_by_the_families_that_pods_have() {
    let node_ip = |pods: &str, services: &str| {
        let network = format!("network: {{kubePodsCIDR: '{pods}', kubeServiceCIDR: '{services}'}}");
        let told = told(&network, "w1");
        let found = told.into_iter().find(|flag| flag.starts_with("--node-ip="));
        found.unwrap()
    };
    let (v4, v6) = (
        ("10.244.0.0/16", "10.96.0.0/12"),
        ("fd01::/64", "fd85::/112"),
    );
    let both = |first: &str, second: &str| format!("{first},{second}");
    assert_eq!(node_ip(v4.0, v4.1), "--node-ip=10.0.0.3");
    assert_eq!(
        node_ip(&both(v4.0, v6.0), &both(v4.1, v6.1)),
        "--node-ip=10.0.0.3,fd00::3"
    );
    assert_eq!(node_ip(v6.0, v6.1), "--node-ip=fd00::3");
}

#[test]
fn the_arguments_of_the_config_come_last() {
    let told = told(
        "kubernetes: {kubeletArgs: [--root-dir=/data/kubelet]}",
        "w1",
    );
    assert_eq!(told.last().unwrap(), "--root-dir=/data/kubelet");
}

const ASKED: &str = "kubernetes: {version: v1.36.2, maxPods: 200, podPidsLimit: -1, clusterName: corp.example, \
    featureGates: {RotateKubeletServerCertificate: true}, kubeletConfiguration: {failCgroupV1: false, \
    systemReserved: {cpu: 500m}}}
  network: {kubePodsCIDR: '10.244.0.0/16,fd01::/64', kubeServiceCIDR: '10.96.0.0/12,fd85::/112'}";

fn asked() -> String {
    let site = site(ASKED);
    config(&site, site.cluster.host("m1").unwrap())
}

#[test]
fn the_configuration_of_a_master() {
    insta::assert_snapshot!(asked(), @r#"
    apiVersion: kubelet.config.k8s.io/v1beta1
    authentication:
      anonymous:
        enabled: false
      webhook:
        enabled: true
      x509:
        clientCAFile: /etc/kubernetes/pki/ca.crt
    authorization:
      mode: Webhook
    cgroupDriver: systemd
    clusterDNS:
    - "10.96.0.10"
    - fd85::a
    clusterDomain: corp.example
    containerLogMaxFiles: 5
    containerLogMaxSize: 10Mi
    containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
    evictionHard:
      imagefs.available: 15%
      imagefs.inodesFree: 5%
      memory.available: 100Mi
      nodefs.available: 10%
      nodefs.inodesFree: 5%
    failCgroupV1: false
    featureGates:
      RotateKubeletServerCertificate: true
    kind: KubeletConfiguration
    maxPods: 200
    podPidsLimit: -1
    readOnlyPort: 0
    registerWithTaints:
    - effect: NoSchedule
      key: node-role.kubernetes.io/control-plane
    resolvConf: /etc/kubernetes/resolv.conf
    rotateCertificates: true
    staticPodPath: /etc/kubernetes/manifests
    systemReserved:
      cpu: 500m
    tlsCertFile: /etc/kubernetes/pki/kubelet.crt
    tlsPrivateKeyFile: /etc/kubernetes/pki/kubelet.key
    "#);
}

/// The kubelet judges its configuration before it looks for anything else.
#[test]
#[ignore = "needs real Kubernetes: make e2e"]
fn the_kubelet_reads_it() {
    let programs = std::env::var_os("KUBEXM_LAB_KUBE").map(PathBuf::from);
    let programs = programs.expect("KUBEXM_LAB_KUBE names a folder with a kubelet");
    let dir = std::env::temp_dir().join(format!("kubexm-kubelet-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("kubelet.yaml");
    let said = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let kubelet = Command::new(programs.join("kubelet"))
            .arg(format!("--config={}", path.display()))
            .arg("--kubeconfig=/nowhere/kubelet.conf")
            .output()
            .unwrap();
        String::from_utf8_lossy(&kubelet.stderr).into_owned()
    };
    let (good, wrong, unknown) = (
        said(&asked()),
        said(&asked().replace("maxPods: 200", "maxPods: -1")),
        said(&asked().replace("maxPods", "mostPods")),
    );
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(good.contains("stat /nowhere/kubelet.conf"), "{good}");
    assert!(!good.contains("strict decoding"), "{good}");
    assert!(wrong.contains("invalid configuration: maxPods"), "{wrong}");
    assert!(unknown.contains("strict decoding"), "{unknown}");
}

/// By ipvs the service's address is on the node already: the cache on each node has one of its own.
#[test]
fn pods_are_told_whom_to_ask_for_names() {
    let told = |dns: &str, mode: &str| {
        let site = site(&format!("kubernetes: {{proxyMode: {mode}}}\n  dns: {dns}"));
        let text = config(&site, site.cluster.host("w1").unwrap());
        let lines = text
            .lines()
            .skip_while(|line| !line.starts_with("clusterDNS"));
        lines.take(2).collect::<Vec<_>>().join("")
    };
    let (service, own) = ("10.233.0.10", "169.254.20.10");
    for (dns, mode, address) in [
        ("{}", "ipvs", service),
        ("{nodelocaldns: {enabled: true}}", "iptables", service),
        ("{nodelocaldns: {enabled: true}}", "ipvs", own),
        ("{nodelocaldns: {enabled: true}}", "nftables", own),
    ] {
        let told = told(dns, mode);
        assert!(told.contains(address), "{dns} {mode}: {told}");
    }
}
