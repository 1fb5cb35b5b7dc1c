use artifact::{Contents, Tree};
use module::{ClusterSeen, DeprecatedApi, Guarded};

use super::*;

const CONFIG: &str = "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: c}
spec:
  hosts:
    - {name: m1, address: 10.0.0.1}
    - {name: m2, address: 10.0.0.2}
    - {name: w1, address: 10.0.0.3}
    - {name: w2, address: 10.0.0.4}
  roleGroups: {etcd: [m1], master: [m1, m2], worker: [w1, w2]}
  controlPlaneEndpoint: {externalLoadBalancer: external, lb_address: 10.0.0.100}
  kubernetes: {version: v1.36.2}
";

fn site(releases: &[&str]) -> Site {
    let cluster = cluster::parse("config.yaml", CONFIG).unwrap().cluster;
    let releases = releases
        .iter()
        .map(|text| Release::new(text.parse().unwrap()));
    let contents = Contents {
        releases: releases.collect(),
        ..Contents::new("c", "0.1.0")
    };
    Site::new(cluster, contents, Tree::at("/srv/.kubexm/c"), None)
}

/// Masters, then workers.
fn living(apiservers: [&str; 2], kubelets: [&str; 4]) -> Living {
    let nodes = ["m1", "m2", "w1", "w2"].iter().zip(kubelets);
    let nodes = nodes.map(|(name, kubelet)| LivingNode {
        name: (*name).to_owned(),
        kubelet: kubelet.to_owned(),
        takes_pods: name.starts_with('w'),
        ..LivingNode::default()
    });
    let masters = ["m1", "m2"].iter().zip(apiservers);
    Living {
        apiservers: masters
            .map(|(name, text)| ((*name).to_owned(), Ok(version(text).unwrap())))
            .collect(),
        cluster: ClusterSeen {
            nodes: nodes.collect(),
            ..ClusterSeen::default()
        },
    }
}

fn told(releases: &[&str], living: &Living) -> String {
    match judge(&site(releases), living) {
        Ok(way) => {
            let hops = way.hops.iter();
            let hops: Vec<String> = hops
                .map(|(release, stand)| format!("{} {stand:?}", release.kubernetes))
                .collect();
            let mut lines = vec![hops.join(", ")];
            lines.extend(way.remarks);
            lines.join("\n")
        }
        Err(PipelineError::NoUpgrade(found)) => found.join("\n"),
        Err(other) => other.to_string(),
    }
}

const OLD: &str = "v1.34.2";
const MID: &str = "v1.35.8";
const NEW: &str = "v1.36.2";

#[test]
fn hops_follow_from_what_the_cluster_is() {
    let both = [MID, NEW];
    let of = |apiservers, kubelets| told(&both, &living(apiservers, kubelets));
    let cases = [
        ([OLD; 2], [OLD; 4], "v1.35.8 Ahead, v1.36.2 Ahead"),
        // Cut short between two masters, and between two workers.
        ([MID, OLD], [OLD; 4], "v1.35.8 Begun, v1.36.2 Ahead"),
        (
            [MID; 2],
            [MID, MID, MID, OLD],
            "v1.35.8 Begun, v1.36.2 Ahead",
        ),
        ([MID; 2], [MID; 4], "v1.36.2 Ahead"),
        ([NEW, MID], [MID; 4], "v1.36.2 Begun"),
        ([NEW; 2], [NEW, NEW, MID, MID], "v1.36.2 Begun"),
        // Nothing but what was cut short is left.
        ([NEW; 2], [NEW; 4], "v1.36.2 Begun"),
        // Who builds it does not matter.
        (["v1.35.8+site1"; 2], [MID; 4], "v1.36.2 Ahead"),
    ];
    for (apiservers, kubelets, wanted) in cases {
        assert_eq!(
            of(apiservers, kubelets),
            wanted,
            "{apiservers:?} {kubelets:?}"
        );
    }
}

#[test]
fn a_bundle_that_leaves_out_a_minor_is_refused_with_the_way_to_another() {
    insta::assert_snapshot!(told(&[NEW], &living([OLD; 2], [OLD; 4])), @"the bundle holds no release of 1.35, which lies between v1.34.2 and v1.36.2: kubexm bundle --upgrade-from v1.34.2 makes one that does");
    insta::assert_snapshot!(told(&[MID], &living([OLD; 2], [OLD; 4])), @"the bundle holds no release v1.36.2, which the config asks for");
}

#[test]
fn all_that_is_in_the_way_is_told_at_once() {
    let mut seen = living([MID, "v1.37.0"], [MID, "v1.31.0", "v1.36.2", MID]);
    seen.cluster.nodes[3].unready = Some("the container runtime is down".to_owned());
    seen.cluster.nodes.push(LivingNode {
        name: "stray".to_owned(),
        kubelet: MID.to_owned(),
        ..LivingNode::default()
    });
    seen.cluster.guarded = vec![Guarded {
        pod: "shop/web-1".to_owned(),
        node: "w2".to_owned(),
        budget: "shop/web".to_owned(),
        healthy: 1,
        wanted: 1,
    }];
    seen.cluster.alone = vec![("shop/debug".to_owned(), "w2".to_owned())];
    insta::assert_snapshot!(told(&[NEW], &seen), @r"
    the apiserver of m2 is v1.37.0, newer than v1.36.2 of the config: Kubernetes does not go back
    w2 is not Ready: the container runtime is down
    stray is a node of the cluster, and the config does not know it
    the kubelet of m2 is v1.31.0, more than 3 minors older than the apiserver of m1 (v1.35.8)
    the kubelet of w1 is v1.36.2, newer than the apiserver of m1 (v1.35.8)
    w2 cannot be drained: pod shop/web-1 is held by budget shop/web, which allows no eviction now (1 healthy, 1 wanted)
    w2 cannot be drained: nobody would make pod shop/debug again; delete it, or give it a controller
    ");
    let mut silent = living([MID; 2], [MID; 4]);
    silent.apiservers[1].1 = Err("connection refused".to_owned());
    silent.cluster.nodes.pop();
    insta::assert_snapshot!(told(&[NEW], &silent), @r"
    the apiserver of m2 does not answer: connection refused
    w2 of the config is no node of the cluster yet
    ");
}

#[test]
fn a_node_whose_pods_have_nowhere_to_go_keeps_them() {
    let mut seen = living([MID; 2], [MID; 4]);
    seen.cluster.nodes[3].takes_pods = false;
    seen.cluster.guarded = vec![Guarded {
        pod: "shop/web-1".to_owned(),
        node: "w1".to_owned(),
        budget: "shop/web".to_owned(),
        healthy: 1,
        wanted: 1,
    }];
    seen.cluster.deprecated = vec![DeprecatedApi {
        what: "policy/v1beta1 podsecuritypolicies".to_owned(),
        removed: 36,
    }];
    insta::assert_snapshot!(told(&[NEW], &seen), @r"
    v1.36.2 Ahead
    somebody has asked for policy/v1beta1 podsecuritypolicies, which is gone with 1.36: whoever it is fails then
    w1 is not drained: no other node takes its pods, and they may be away while it changes
    ");
}
