//! A site to test with: a master, a master that is a worker, a worker, each with two families of addresses.

use artifact::{Contents, ImageEntry, ImageSet, Release, Sha256, Tree};
use cluster::Arch;

use crate::Site;

const CONFIG: &str = "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: demo}
spec:
  hosts:
    - {name: m1, address: 203.0.113.1, internalAddress: '10.0.0.1,fd00::1'}
    - {name: m2, address: m2.example.com, internalAddress: '10.0.0.2,fd00::2'}
    - {name: w1, address: 10.0.0.3, internalAddress: '10.0.0.3,fd00::3', labels: {disk: ssd}, taints: ['gpu=yes:NoSchedule']}
  roleGroups: {etcd: [m1], master: [m1, m2], worker: [m2, w1]}
  controlPlaneEndpoint: {externalLoadBalancer: external, lb_address: 10.0.0.100}
";

/// `spec` is one line that the config has beside these.
pub(crate) fn site(spec: &str) -> Site {
    let text = match spec {
        "{}" => CONFIG.to_owned(),
        spec => format!("{CONFIG}  {spec}\n"),
    };
    let cluster = cluster::parse("config.yaml", &text).unwrap().cluster;
    let pause = ImageEntry::new("registry.k8s.io/pause:3.10", Sha256::of(b"pause"));
    let kubernetes = cluster.spec.kubernetes.version.clone();
    let release = Release {
        images: [(ImageSet::Pause, vec![pause.reference.clone()])].into(),
        ..Release::new(kubernetes)
    };
    let contents = Contents {
        arches: vec![Arch::Amd64],
        images: vec![pause],
        releases: vec![release],
        ..Contents::new("demo", "0.1.0")
    };
    Site::new(cluster, contents, Tree::at("/srv/.kubexm/demo"), None)
}
