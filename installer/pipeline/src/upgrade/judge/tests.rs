use artifact::{Contents, Tree};
use module::{ClusterSeen, DeprecatedApi};

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
  kubernetes: {version: v1.36.2, proxyMode: iptables}
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
        ..Living::default()
    }
}

fn judged(site: &Site, living: &Living, scope: Scope) -> Result<Way, PipelineError> {
    judge(
        site,
        living,
        scope,
        HeldPods::Refuse,
        OffsetDateTime::UNIX_EPOCH,
    )
}

fn told(releases: &[&str], living: &Living) -> String {
    match judged(&site(releases), living, Scope::Whole) {
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
        // Cut short between two masters, with workers left behind by --only: no apiserver goes back.
        ([NEW, MID], [MID, MID, OLD, OLD], "v1.36.2 Begun"),
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
    w2 cannot be drained: pod shop/web-1 is held by budget shop/web, which allows no eviction now (1 healthy, 1 wanted). Give it another replica; or, where the budget lets go as soon as its node is cordoned, as longhorn's do, say --held-pods wait
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
fn a_budget_that_lets_go_when_its_node_is_cordoned_is_waited_for_where_that_is_asked() {
    let mut seen = living([MID; 2], [MID; 4]);
    seen.cluster.guarded = vec![Guarded {
        pod: "longhorn-system/instance-manager-0123".to_owned(),
        node: "w2".to_owned(),
        budget: "longhorn-system/instance-manager-0123".to_owned(),
        healthy: 1,
        wanted: 1,
    }];
    let site = site(&[NEW]);
    let judged = |held| judge(&site, &seen, Scope::Whole, held, OffsetDateTime::UNIX_EPOCH);
    let Err(PipelineError::NoUpgrade(found)) = judged(HeldPods::Refuse) else {
        panic!("it is refused by itself");
    };
    assert!(
        found[0].ends_with("as longhorn's do, say --held-pods wait"),
        "{found:?}"
    );
    let way = judged(HeldPods::Wait).unwrap();
    insta::assert_snapshot!(way.remarks.join("\n"), @"pod longhorn-system/instance-manager-0123 is held by budget longhorn-system/instance-manager-0123, which allows no eviction now (1 healthy, 1 wanted): its drain waits for that as long as --drain-timeout says, and stops the run where it does not let go");
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
        version: "policy/v1beta1".to_owned(),
        resource: "podsecuritypolicies".to_owned(),
        removed: 36,
    }];
    insta::assert_snapshot!(told(&[NEW], &seen), @r"
    v1.36.2 Ahead
    somebody has asked for policy/v1beta1 podsecuritypolicies, which is gone with 1.36: whoever it is fails then, and is to use Pod Security, by labels of namespaces
    w1 is not drained: no other node takes its pods, and they may be away while it changes
    ");
}

#[test]
fn what_the_config_names_is_judged_for_each_version_on_the_way() {
    let mut site = site(&[MID, NEW]);
    let kubernetes = &mut site.cluster.spec.kubernetes;
    // Written for the version that it is to have.
    kubernetes.feature_gates = [
        ("MemoryManager".to_owned(), true),
        ("ShardedListAndWatch".to_owned(), true),
    ]
    .into();
    kubernetes.kubelet_args = vec!["--cloud-config=/etc/cloud".to_owned()];
    let living = living([OLD; 2], [OLD; 4]);
    let error = judged(&site, &living, Scope::Whole).unwrap_err();
    insta::assert_snapshot!(error.to_string());
}

fn in_part(scope: Scope, living: &Living) -> String {
    match judged(&site(&[MID, NEW]), living, scope) {
        Ok(way) => {
            let hops = way
                .hops
                .iter()
                .map(|(release, stand)| format!("{} {stand:?}", release.kubernetes));
            hops.collect::<Vec<_>>().join(", ")
        }
        Err(error) => error.to_string(),
    }
}

fn nodes(names: &[&str]) -> Scope {
    Scope::Nodes(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_control_plane_goes_ahead_as_far_as_its_kubelets_allow() {
    let mut seen = living([OLD; 2], [OLD, OLD, "v1.33.4", OLD]);
    assert_eq!(
        in_part(Scope::ControlPlane, &seen),
        "v1.35.8 Ahead, v1.36.2 Ahead"
    );
    seen.cluster.nodes[2].kubelet = "v1.32.4".to_owned();
    insta::assert_snapshot!(in_part(Scope::ControlPlane, &seen), @"
    the cluster cannot be upgraded as it is:
      the kubelet of w1 would stay v1.32.4, more than 3 minors older than a control plane of v1.36.2: upgrade w1 first, or the control plane to an earlier version
    ");
    // What is in the way of a worker's drain keeps no control plane waiting.
    let mut seen = living([MID; 2], [MID; 4]);
    seen.cluster.alone = vec![("shop/debug".to_owned(), "w2".to_owned())];
    assert_eq!(in_part(Scope::ControlPlane, &seen), "v1.36.2 Ahead");
    assert_eq!(
        in_part(nodes(&["w1"]), &living([NEW; 2], [NEW, NEW, OLD, MID])),
        "v1.36.2 Begun"
    );
}

#[test]
fn workers_follow_a_control_plane_that_is_new() {
    insta::assert_snapshot!(in_part(nodes(&["w1", "m2", "w9"]), &living([NEW, MID], [MID; 4])), @"
    the cluster cannot be upgraded as it is:
      m2 is a master: --only control-plane takes all of them, one at a time
      the config knows no host w9
      the apiserver of m2 is still v1.35.8, and no kubelet may be newer: --only control-plane comes first
    ");
}

#[test]
fn a_worker_goes_back_as_far_as_the_bundle_and_the_apiservers_allow() {
    let of = |releases: &[&str], living: &Living, node: &str| match crate::upgrade::way_back(
        &site(releases),
        living,
        node,
        HeldPods::Refuse,
    ) {
        Ok(back) => format!(
            "{} -> {}, keeps pods: {}",
            back.from, back.release.kubernetes, back.keeps_pods
        ),
        Err(error) => error.to_string(),
    };
    let seen = living([NEW; 2], [NEW; 4]);
    assert_eq!(
        of(&["v1.33.4", MID], &seen, "w1"),
        "v1.36.2 -> v1.35.8, keeps pods: false"
    );
    insta::assert_snapshot!(of(&[NEW], &seen, "w1"), @"
    w1 cannot go back:
      the bundle holds no release that is older than its v1.36.2: give the bundle that the cluster had before
    ");
    insta::assert_snapshot!(of(&["v1.32.4"], &seen, "w1"), @"
    w1 cannot go back:
      its kubelet would be v1.32.4, more than 3 minors older than the apiservers (v1.36.2)
    ");
    insta::assert_snapshot!(of(&[MID], &seen, "m1"), @"
    m1 cannot go back:
      it is a master: the store may hold objects in forms that an older apiserver does not know. The data of before the hop comes back by kubexm etcd restore, and the programs stay
    ");
    // A kubelet that does not come up any more lets no pod go.
    let mut sick = living([NEW; 2], [NEW; 4]);
    sick.cluster.nodes[2].unready = Some("its kubelet is not heard of".to_owned());
    assert_eq!(
        of(&[MID], &sick, "w1"),
        "v1.36.2 -> v1.35.8, keeps pods: true"
    );
    let error = crate::upgrade::way_back(&site(&[NEW]), &seen, "w1", HeldPods::Refuse).unwrap_err();
    assert!(error.hint().unwrap().contains("docs/upgrading.md"));
}

#[test]
fn a_default_that_changes_on_the_way_is_told() {
    let mut site = site(&[MID, NEW]);
    site.cluster.spec.kubernetes.proxy_mode = None;
    let remarks = |site: &Site| {
        let way = judged(site, &living([OLD; 2], [OLD; 4]), Scope::Whole).unwrap();
        way.remarks.join("\n")
    };
    insta::assert_snapshot!(remarks(&site), @"with v1.35.8 kube-proxy goes from ipvs to iptables on every node, since the config does not name proxyMode: write proxyMode: ipvs into it to keep it as it is");
    site.cluster.spec.kubernetes.proxy_mode = Some(cluster::ProxyMode::Nftables);
    assert_eq!(remarks(&site), "");
}
