use std::path::PathBuf;
use std::process::Command;

use artifact::{Contents, Tree};

use super::*;

const THREE_MASTERS: &str = "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: three}
spec:
  hosts:
    - {name: node1, address: 192.0.2.1, internalAddress: '172.16.0.1,2022::1'}
    - {name: node2, address: 192.0.2.2, internalAddress: '172.16.0.2,2022::2'}
    - {name: node3, address: 192.0.2.3, internalAddress: '172.16.0.3,2022::3'}
  roleGroups: {etcd: ['node[1:3]'], master: ['node[1:3]'], worker: ['node[1:3]']}
  controlPlaneEndpoint: {lb_address: 172.16.0.100, externalLoadBalancer: external}
  network: {kubePodsCIDR: '10.244.0.0/16,fd85::/48', kubeServiceCIDR: '10.96.0.0/16,fd86::/112'}
  kubernetes:
    version: v1.36.2
    clusterName: site.local
    featureGates: {InPlacePodVerticalScaling: true, AllAlpha: false}
";

const OF_ANOTHER: &str = "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: another}
spec:
  hosts: [{name: node1, address: '2022::1'}]
  roleGroups: {master: [node1], worker: [node1]}
  controlPlaneEndpoint: {port: 8443}
  network: {kubePodsCIDR: 'fd85::/56', kubeServiceCIDR: 'fd86::/112'}
  etcd:
    type: external
    external:
      endpoints: ['https://192.0.2.9:2379', 'https://192.0.2.10:2379']
      caFile: /srv/etcd/ca.pem
      certFile: /srv/etcd/client.pem
      keyFile: /srv/etcd/client-key.pem
  kubernetes:
    version: v1.36.2
    apiServer:
      extraArgs: {profiling: 'true', authorization-config: /etc/kubernetes/authorization.yaml, audit-log-path: '-'}
    controllerManager: {extraArgs: {bind-address: '::'}}
    scheduler: {extraArgs: {v: '4'}}
";

fn site(config: &str) -> Site {
    let cluster = cluster::parse("config.yaml", config).unwrap().cluster;
    let contents = Contents::new(cluster.name(), "0.1.0");
    let tree = Tree::at("/srv/.kubexm/c");
    Site::new(cluster, contents, tree, None)
}

/// Each program of the site's first master with its arguments.
fn commands(site: &Site) -> [(&'static str, Vec<String>); 3] {
    let first = site.first_master().unwrap();
    [
        ("kube-apiserver", apiserver(site, first)),
        ("kube-controller-manager", controller_manager(site)),
        ("kube-scheduler", scheduler(site)),
    ]
    .map(|(program, arguments)| {
        let words = arguments.iter();
        let words = words.map(|(name, value)| format!("--{name}={value}"));
        (program, words.collect())
    })
}

fn told(config: &str) -> String {
    let commands = commands(&site(config)).map(|(program, words)| {
        let words = words.join("\n  ");
        format!("{program}\n  {words}\n")
    });
    commands.concat()
}

#[test]
fn what_the_components_are_told() {
    insta::assert_snapshot!("three-masters", told(THREE_MASTERS));
    insta::assert_snapshot!("of-another", told(OF_ANOTHER));
}

/// They say at once what they do not understand; here each gets as far as to miss its files.
#[test]
#[ignore = "needs real Kubernetes: make e2e"]
fn the_programs_understand_their_arguments() {
    let programs = std::env::var_os("KUBEXM_LAB_KUBE").map(PathBuf::from);
    let programs = programs.expect("KUBEXM_LAB_KUBE names a folder with Kubernetes");
    for config in [THREE_MASTERS, OF_ANOTHER] {
        for (program, words) in commands(&site(config)) {
            let nowhere = words
                .iter()
                .map(|word| word.replace("/etc/kubernetes", "/nonexistent"));
            let output = Command::new(programs.join(program))
                .args(nowhere)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            let misses = said.contains("no such file") || said.contains("does not exist");
            assert!(!output.status.success() && misses, "{program}: {said}");
        }
    }
}

#[test]
fn a_component_is_asked_where_it_listens() {
    let at = |address: &str| Arguments::default().with("bind-address", address);
    for (arguments, url) in [
        (Arguments::default(), "https://127.0.0.1:10257"),
        (
            at("0.0.0.0").with("secure-port", "443"),
            "https://127.0.0.1:443",
        ),
        (at("::"), "https://127.0.0.1:10257"),
        (at("fd00::1"), "https://[fd00::1]:10257"),
    ] {
        assert_eq!(local_url(&arguments, 10257), url);
    }
}
