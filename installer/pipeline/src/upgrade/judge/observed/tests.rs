use module::{EtcdAlarm, MemberTold};

use super::*;

fn member(name: &str, version: &str) -> (String, Result<MemberSeen, String>) {
    let seen = MemberSeen {
        name: name.to_owned(),
        endpoint: format!("https://{name}:2379"),
        state: MemberState::Healthy,
        trouble: None,
        backup: None,
        told: Some(MemberTold {
            id: "1".to_owned(),
            cluster_id: "2".to_owned(),
            version: version.to_owned(),
            leader: false,
            learner: false,
            revision: 7,
            raft_term: 2,
            raft_index: 9,
            raft_applied: 9,
            db_bytes: 3 << 20,
            in_use_bytes: 1 << 20,
            quota_bytes: 8 << 30,
            read_ms: Some(1.0),
        }),
        alarms: Vec::new(),
        knows: Vec::new(),
    };
    (name.to_owned(), Ok(seen))
}

fn hop(kubernetes: &str, components: &[(&str, &str)]) -> (Release, Stand) {
    let components = components.iter();
    let release = Release {
        components: components
            .map(|(name, version)| ((*name).to_owned(), (*version).to_owned()))
            .collect(),
        ..Release::new(kubernetes.parse().unwrap())
    };
    (release, Stand::Ahead)
}

fn stacked(kubernetes: &str, image: &str) -> (Release, Stand) {
    let release = Release {
        images: [(ImageSet::Etcd, vec![image.to_owned()])].into(),
        ..Release::new(kubernetes.parse().unwrap())
    };
    (release, Stand::Ahead)
}

fn told(noted: &Noted) -> String {
    let blocks = noted.blocks.iter().map(|line| format!("no: {line}"));
    let remarks = noted.remarks.iter().map(|line| format!("told: {line}"));
    blocks.chain(remarks).collect::<Vec<_>>().join("\n")
}

fn of_etcd(members: &Told<MemberSeen>, hops: &Hops) -> Noted {
    etcd(members, hops).0
}

#[test]
fn etcd_goes_from_a_late_3_5_to_3_6() {
    let to = [hop("v1.34.2", &[("etcd", "v3.6.5")])];
    let of = |version: &str| {
        told(&of_etcd(
            &vec![member("m1", "3.5.33"), member("m2", version)],
            &to,
        ))
    };
    insta::assert_snapshot!(of("3.5.16"));
    insta::assert_snapshot!(of("3.5.24"));
    for fine in ["3.5.32", "3.5.33", "3.6.4"] {
        assert_eq!(of(fine), "", "{fine}");
    }
    // The hop before brings it.
    let by_way = [
        hop("v1.33.6", &[("etcd", "v3.5.33")]),
        hop("v1.34.2", &[("etcd", "v3.6.5")]),
    ];
    assert_eq!(told(&of_etcd(&vec![member("m1", "3.5.9")], &by_way)), "");
    // As an image.
    let stacked = [stacked("v1.34.2", "registry.k8s.io/etcd:3.6.5-0")];
    assert_eq!(
        of_etcd(&vec![member("m1", "3.5.16")], &stacked)
            .blocks
            .len(),
        1
    );
}

/// The same with an image of the minor before.
fn with_previous(kubernetes: &str, image: &str) -> (Release, Stand) {
    let (mut release, stand) = stacked(kubernetes, image);
    let previous = vec!["quay.io/coreos/etcd:v3.5.33".to_owned()];
    release.images.insert(ImageSet::EtcdPrevious, previous);
    (release, stand)
}

#[test]
fn members_of_kubeadm_become_the_last_of_their_minor_first() {
    let to = [
        stacked("v1.33.8", "registry.k8s.io/etcd:3.5.24-0"),
        with_previous("v1.34.11", "registry.k8s.io/etcd:3.6.5-0"),
        stacked("v1.35.8", "registry.k8s.io/etcd:3.6.6-0"),
    ];
    let mut members = vec![
        member("m1", "3.5.16"),
        member("m2", "3.5.16"),
        member("m3", "3.5.16"),
    ];
    if let Ok(leader) = &mut members[1].1 {
        leader.told.as_mut().unwrap().leader = true;
    }
    let (noted, first) = etcd(&members, &to);
    insta::assert_snapshot!(told(&noted), @"told: etcd is v3.5.24 (m1) when v1.34.11 brings v3.6.5, and members older than v3.5.26 may bring back members that were removed: ahead of that hop's masters each becomes quay.io/coreos/etcd:v3.5.33, one at a time");
    let (version, first) = first.unwrap();
    assert_eq!(version, "v1.34.11".parse().unwrap());
    assert_eq!(first.image, "quay.io/coreos/etcd:v3.5.33");
    assert_eq!(first.order, ["m1", "m3", "m2"]);
    // It was done, or half of the masters have the hop already.
    for past in [
        ["3.5.33", "3.5.33"],
        ["3.5.33", "3.6.5"],
        ["3.5.26", "3.5.33"],
    ] {
        let members = vec![member("m1", past[0]), member("m2", past[1])];
        assert_eq!(etcd(&members, &to[1..]).1, None, "{past:?}");
    }
    // Of a bundle that was made without it.
    let without = [stacked("v1.34.11", "registry.k8s.io/etcd:3.6.5-0")];
    let (noted, first) = etcd(&members, &without);
    assert_eq!(first, None);
    insta::assert_snapshot!(told(&noted), @"no: etcd v3.5.16 (m1) cannot become v3.6.5, which v1.34.11 brings: members older than v3.5.20 lose the promotion of learners. kubexm bundle --upgrade-from makes a bundle with an etcd that they become first");
}

#[test]
fn etcd_neither_goes_back_nor_leaves_out_a_minor() {
    let back = [hop("v1.34.2", &[("etcd", "v3.5.24")])];
    insta::assert_snapshot!(told(&of_etcd(&vec![member("m1", "3.6.5")], &back)));
    let far = [hop("v1.36.2", &[("etcd", "v3.6.5")])];
    insta::assert_snapshot!(told(&of_etcd(&vec![member("m1", "3.4.30")], &far)));
    // Another patch of one minor is neither.
    let patch = [hop("v1.30.2", &[("etcd", "v3.5.15")])];
    assert_eq!(told(&of_etcd(&vec![member("m1", "3.5.16")], &patch)), "");
}

#[test]
fn a_member_that_is_not_well_keeps_everything_from_beginning() {
    let mut members = vec![
        member("m1", "3.6.5"),
        member("m2", "3.6.5"),
        member("m3", "3.6.5"),
    ];
    if let Ok(sick) = &mut members[0].1 {
        sick.state = MemberState::Damaged;
        sick.trouble = Some("its log cannot be read".to_owned());
    }
    if let Ok(full) = &mut members[1].1 {
        full.alarms = vec![EtcdAlarm::Nospace];
        full.told.as_mut().unwrap().learner = true;
    }
    members[2].1 = Err("connection refused".to_owned());
    insta::assert_snapshot!(told(&of_etcd(&members, &[])));
}

#[test]
fn one_member_that_a_killed_run_has_left_down_is_told_and_a_majority_is_insisted_on() {
    let mut members = vec![
        member("m1", "3.6.5"),
        member("m2", "3.6.5"),
        member("m3", "3.6.5"),
    ];
    let stop = |members: &mut Told<MemberSeen>, at: usize| {
        if let Ok(member) = &mut members[at].1 {
            member.state = MemberState::Down;
        }
    };
    stop(&mut members, 0);
    let noted = of_etcd(&members, &[]);
    assert_eq!(
        (noted.blocks.len(), noted.remarks.len()),
        (0, 1),
        "{noted:?}"
    );
    stop(&mut members, 1);
    assert_eq!(of_etcd(&members, &[]).blocks.len(), 2);
}

#[test]
fn snapshots_take_the_size_of_the_largest_store_for_each_hop_ahead() {
    let mut hops = vec![hop("v1.35.8", &[]), hop("v1.36.2", &[])];
    let members = vec![member("m1", "3.6.5"), member("m2", "3.6.5")];
    assert_eq!(snapshots(&members, &hops), 6 << 20);
    hops[0].1 = Stand::Begun;
    assert_eq!(snapshots(&members, &hops), 3 << 20);
    assert_eq!(snapshots(&Vec::new(), &hops), 0);
}

#[test]
fn certificates_that_end_are_told_and_those_that_have_ended_are_in_the_way() {
    let now = OffsetDateTime::UNIX_EPOCH;
    let of = |path: &str, days: i64, is_authority: bool| CertificateSeen {
        path: path.to_owned(),
        subject: "kube-apiserver".to_owned(),
        authority: "kubernetes-ca".to_owned(),
        is_authority,
        ends: OffsetDateTime::from_unix_timestamp(days * 86_400).unwrap(),
    };
    let hosts = vec![
        (
            "m1".to_owned(),
            Ok(vec![
                of("/etc/kubernetes/pki/apiserver.crt", -3, false),
                of("/etc/kubernetes/pki/front-proxy-client.crt", 12, false),
                of("/etc/kubernetes/pki/ca.crt", 29, true),
                of("/etc/kubernetes/pki/etcd/ca.crt", 30, true),
            ]),
        ),
        ("w1".to_owned(), Err("connection refused".to_owned())),
    ];
    insta::assert_snapshot!(told(&certificates(&hosts, now)));
}

#[test]
fn webhooks_that_keep_pods_away_are_named() {
    let of = |name: &str, mute: Option<&str>, on: &[&str], reaches_system: bool| WebhookSeen {
        name: name.to_owned(),
        configuration: format!("validatingwebhookconfiguration {name}"),
        mute: mute.map(str::to_owned),
        on: on.iter().map(|node| (*node).to_owned()).collect(),
        reaches_system,
    };
    let all = [
        of(
            "dead.example",
            Some("service policy/dead has no ready endpoint"),
            &[],
            true,
        ),
        of("single.example", None, &["w1"], true),
        of("careful.example", None, &["w1"], false),
        of("two.example", None, &["w1", "w2"], true),
        // Outside of the cluster.
        of("elsewhere.example", None, &[], true),
    ];
    insta::assert_snapshot!(told(&webhooks(&all, &[])));
    // It may have stood on the node that a killed run has left cordoned.
    let cordoned = LivingNode {
        cordoned_by_us: true,
        ..LivingNode::default()
    };
    assert_eq!(
        webhooks(&all[..1], &[cordoned]).blocks,
        Vec::<String>::new()
    );
}

#[test]
fn nodes_that_change_from_containerd_1_are_told() {
    let node = |name: &str, runtime: &str| LivingNode {
        name: name.to_owned(),
        runtime: runtime.to_owned(),
        ..LivingNode::default()
    };
    let nodes = [
        node("w2", "containerd://1.7.27"),
        node("w1", "containerd://1.7.34"),
        node("w3", "containerd://2.1.4"),
        node("w4", "cri-o://1.30.1"),
    ];
    let hops = [
        hop("v1.30.2", &[("containerd", "v1.7.34")]),
        hop("v1.31.2", &[("containerd", "v2.1.5")]),
    ];
    insta::assert_snapshot!(told(&runtimes(&nodes, &hops)));
    assert_eq!(told(&runtimes(&nodes, &hops[..1])), "");
    assert_eq!(told(&runtimes(&nodes[2..], &hops)), "");
}
