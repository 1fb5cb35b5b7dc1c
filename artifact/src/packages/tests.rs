use cluster::parse;

use super::*;
use crate::{What, needs};

fn cluster(spec: &str) -> Cluster {
    let text = format!(
        "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {{name: c}}
spec:
{spec}"
    );
    parse("config.yaml", &text).unwrap().cluster
}

const BALANCED: &str = "
  hosts:
    - {name: m1, address: 10.0.0.1, os: debian-13}
    - {name: m2, address: 10.0.0.2, os: debian-13}
    - {name: m3, address: 10.0.0.3, os: debian-13, arch: arm64}
    - {name: w1, address: 10.0.0.4, os: rocky-9}
    - {name: lb, address: 10.0.0.5, os: ubuntu-24.04}
    - {name: reg, address: 10.0.0.6}
  roleGroups: {etcd: ['m[1:3]'], master: ['m[1:3]'], worker: [w1], loadbalancer: [lb], registry: [reg]}
  controlPlaneEndpoint: {externalLoadBalancer: kubexm-kn, lb_address: 10.0.0.100}
  kubernetes: {version: v1.34.2}
  system: {os: [debian-13, rocky-9], debs: [nfs-common], rpms: [nfs-utils], ntpServers: [10.0.0.9]}
";

fn of(cluster: &Cluster, host: &str) -> String {
    let needs = host_packages(cluster, cluster.host(host).unwrap());
    let mut by: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for need in needs {
        by.entry(need.wanted_by)
            .or_default()
            .push(need.package.to_string());
    }
    let lines = by
        .into_iter()
        .map(|(by, names)| format!("{by}: {}", names.join(" ")));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn roles_and_choices_say_what_a_host_needs() {
    let cluster = cluster(BALANCED);
    insta::assert_snapshot!(of(&cluster, "m1"), @"
    containerRuntime containerd: container-selinux
    every Kubernetes node: conntrack ebtables ethtool iproute ipset iptables kmod mount procps socat
    kubernetes.proxyMode ipvs: ipvsadm
    role master: diffutils
    system.debs: nfs-common
    system.ntpServers: chrony
    system.rpms: nfs-utils
    the users of etcd and registry: shadow
    ");
    insta::assert_snapshot!(of(&cluster, "w1"), @"
    containerRuntime containerd: container-selinux
    every Kubernetes node: conntrack ebtables ethtool iproute ipset iptables kmod mount procps socat
    kubernetes.proxyMode ipvs: ipvsadm
    system.debs: nfs-common
    system.ntpServers: chrony
    system.rpms: nfs-utils
    ");
    insta::assert_snapshot!(of(&cluster, "lb"), @"
    role loadbalancer (kubexm-kn): bash iproute keepalived procps nginx
    system.debs: nfs-common
    system.ntpServers: chrony
    system.rpms: nfs-utils
    ");
    insta::assert_snapshot!(of(&cluster, "reg"), @"
    system.debs: nfs-common
    system.ntpServers: chrony
    system.rpms: nfs-utils
    the users of etcd and registry: shadow
    ");
}

#[test]
fn each_way_of_forwarding_and_of_setting_up_has_its_own() {
    let of = |kubernetes: &str| {
        let spec = format!(
            "  hosts: [{{name: a, address: 10.0.0.1}}]
  roleGroups: {{etcd: [a], master: [a], worker: [a]}}
  kubernetes: {kubernetes}\n"
        );
        of(&cluster(&spec), "a")
    };
    let ipvs = of("{version: v1.34.2, proxyMode: ipvs}");
    assert!(
        ipvs.contains("kubernetes.proxyMode ipvs: ipvsadm"),
        "{ipvs}"
    );
    let nftables = of("{version: v1.36.2, proxyMode: nftables, type: kubeadm}");
    assert!(
        nftables.contains("kubernetes.proxyMode nftables: nftables"),
        "{nftables}"
    );
    assert!(
        nftables.contains("kubernetes kubeadm: util-linux"),
        "{nftables}"
    );
    let iptables = of("{version: v1.36.2}");
    assert!(!iptables.contains("proxyMode"), "{iptables}");
}

fn asked(cluster: &Cluster) -> Vec<String> {
    let all = cluster.arches();
    let mut lines = Vec::new();
    for need in needs(cluster) {
        let What::Package { os, package } = &need.what else {
            continue;
        };
        let arches = need.arches(cluster, &all);
        let arches: Vec<&str> = arches.iter().map(|arch| arch.go()).collect();
        lines.push(format!(
            "{os} {} {package} <- {}",
            arches.join("+"),
            need.wanted_by
        ));
    }
    lines
}

#[test]
fn a_system_needs_what_its_hosts_need() {
    let asked = asked(&cluster(BALANCED));
    for expected in [
        "debian-13 amd64+arm64 conntrack <- every Kubernetes node",
        "rocky-9 amd64 conntrack <- every Kubernetes node",
        "ubuntu-24.04 amd64 nginx <- role loadbalancer (kubexm-kn)",
        "debian-13 amd64+arm64 nfs-common <- system.debs",
        "rocky-9 amd64 shadow <- the users of etcd and registry",
        "rocky-9 amd64 nfs-utils <- system.rpms",
    ] {
        assert!(
            asked.iter().any(|line| line == expected),
            "{expected}: {asked:#?}"
        );
    }
    for unwanted in [
        "ubuntu-24.04 amd64 conntrack",
        "debian-13 amd64+arm64 nginx",
        "rocky-9 amd64 diffutils",
    ] {
        assert!(
            !asked.iter().any(|line| line.starts_with(unwanted)),
            "{unwanted}"
        );
    }
}

#[test]
fn a_system_without_hosts_gets_what_any_host_may_need() {
    let asked = asked(&cluster(
        "  arch: [amd64, arm64]
  controlPlaneEndpoint: {externalLoadBalancer: kubexm, lb_address: 10.0.0.100}
  system: {os: [debian-13]}\n",
    ));
    for expected in [
        "debian-13 amd64+arm64 conntrack <- every Kubernetes node",
        "debian-13 amd64+arm64 haproxy <- role loadbalancer (kubexm)",
    ] {
        assert!(
            asked.iter().any(|line| line == expected),
            "{expected}: {asked:#?}"
        );
    }
}

#[test]
fn no_system_no_packages() {
    let spec = "  hosts: [{name: a, address: 10.0.0.1}]
  roleGroups: {etcd: [a], master: [a], worker: [a]}
  system: {debs: [nfs-common]}\n";
    assert!(asked(&cluster(spec)).is_empty());
}

fn entry(name: &str, needs: &[&str]) -> PackageEntry {
    PackageEntry {
        name: name.to_owned(),
        version: "1".to_owned(),
        path: format!("packages/debian-13/amd64/{name}_1_amd64.deb").into(),
        needs: needs.iter().map(|&need| need.to_owned()).collect(),
    }
}

fn set() -> PackageSet {
    let names = |of: &[&str]| of.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    PackageSet {
        os: "debian-13".parse().unwrap(),
        arch: Arch::Amd64,
        format: PackageFormat::Deb,
        names: BTreeMap::from([
            (OsPackage::Conntrack, names(&["conntrack"])),
            (OsPackage::ContainerSelinux, Vec::new()),
            (OsPackage::Socat, names(&["socat"])),
        ]),
        named: BTreeMap::new(),
        packages: vec![
            entry("conntrack", &["libc6", "libmnl0", "libnfct"]),
            entry("libmnl0", &["libc6"]),
            entry("libnfct", &["conntrack", "libmnl0"]),
            entry("socat", &["libc6", "libssl"]),
        ],
        base: vec![BasePackage {
            name: "libc6".to_owned(),
            at_least: Some("2.38".to_owned()),
        }],
    }
}

#[test]
fn packages_come_with_all_they_require() {
    let set = set();
    let closure = set.closure(["conntrack"]);
    let names: Vec<&str> = closure
        .packages
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!(names, ["conntrack", "libmnl0", "libnfct"]);
    assert_eq!(closure.base, [&set.base[0]]);
    assert!(closure.missing.is_empty());
    assert_eq!(set.closure(["socat"]).missing, BTreeSet::from(["libssl"]));
}

#[test]
fn what_a_bundle_lacks_of_a_system_is_told() {
    let mut contents = Contents {
        arches: vec![Arch::Amd64],
        ..Contents::new("c", "0")
    };
    let lacking = |contents: &Contents, package: PackageName| {
        let os = "debian-13".parse().unwrap();
        let need = crate::Need {
            what: What::Package { os, package },
            wanted_by: "me".to_owned(),
            on: None,
        };
        let missing = need.missing_from(
            contents,
            &crate::Release::new("v1.34.2".parse().unwrap()),
            Arch::Amd64,
        );
        missing
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    };
    let conntrack = || PackageName::Known(OsPackage::Conntrack);
    assert_eq!(
        lacking(&contents, conntrack()),
        "package conntrack of debian-13 for amd64, wanted by me"
    );
    contents.systems.push(set());
    assert_eq!(
        lacking(&contents, conntrack()),
        "file packages/debian-13/amd64/conntrack_1_amd64.deb for amd64, wanted by me; \
         file packages/debian-13/amd64/libmnl0_1_amd64.deb for amd64, wanted by me; \
         file packages/debian-13/amd64/libnfct_1_amd64.deb for amd64, wanted by me"
    );
    for entry in &contents.systems[0].packages {
        let digest = crate::Sha256::of(b"");
        contents
            .files
            .push(crate::FileEntry::new(entry.path.clone(), 0, 0o644, digest));
    }
    assert_eq!(lacking(&contents, conntrack()), "");
    assert_eq!(
        lacking(&contents, PackageName::Known(OsPackage::Socat)),
        "package libssl of debian-13, which socat requires for amd64, wanted by me"
    );
    assert_eq!(
        lacking(&contents, PackageName::Known(OsPackage::ContainerSelinux)),
        ""
    );
    assert_eq!(lacking(&contents, PackageName::Rpm("x".to_owned())), "");
    assert_eq!(
        lacking(&contents, PackageName::Deb("nfs-common".to_owned())),
        "package nfs-common of debian-13 for amd64, wanted by me"
    );
}

#[test]
fn a_bundle_without_packages_keeps_its_bytes() {
    let contents = Contents::new("c", "0");
    let text = String::from_utf8(contents.to_bytes()).unwrap();
    assert!(!text.contains("systems"), "{text}");
    let read: Contents = serde_json::from_str(&text).unwrap();
    assert_eq!(read, contents);
}
