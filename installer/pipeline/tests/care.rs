//! Whole plans of what a cluster needs once it is at work, as people read them.

mod common;

use std::sync::Arc;

use artifact::{Sha256, Tree};
use camino::Utf8Path;
use common::{complete, config};
use host::fake::FakeHost;
use pipeline::{
    Authority, BackupNote, Bindings, Inventory, MissingNote, OnTrust, OtherAuthorities,
    PipelineError, RestorePhase, Rotation, Site, Slot, SnapshotFile, etcd_defrag, etcd_drill,
    etcd_restore, insist_on_absence, left_at_work, next_rotation, renew, restore_plan, rotate,
};
use tokio_util::sync::CancellationToken;

const STACKED: &str = include_str!("../../../examples/stacked-etcd.yaml");
const SERVICES: &str = include_str!("../../../examples/three-etcd.yaml");
const EXTERNAL: &str = include_str!("../../../examples/external-etcd.yaml");

fn site(text: &str) -> Site {
    let cluster = config(text);
    let contents = complete(&cluster);
    Site::new(cluster, contents, Tree::at("/nowhere/.kubexm/c"), None)
}

fn snapshot() -> SnapshotFile {
    SnapshotFile {
        path: Utf8Path::new("/backups/etcd.db").to_owned(),
        bytes: 1 << 20,
        sha256: Sha256::of(b"a snapshot"),
        sealed: true,
    }
}

const STRICT: OnTrust = OnTrust {
    note: MissingNote::Refuse,
    authorities: OtherAuthorities::Refuse,
};
const UNNOTED: OnTrust = OnTrust {
    note: MissingNote::Accept,
    ..STRICT
};

fn note(cluster: &str) -> BackupNote {
    BackupNote {
        cluster: cluster.to_owned(),
        kubernetes: "v1.36.2".to_owned(),
        etcd: "3.6.10".to_owned(),
        cluster_id: "c1".to_owned(),
        members: vec!["m1".to_owned()],
        from: "m1".to_owned(),
        taken: "2026-11-30T12:00:00Z".parse().unwrap(),
        revision: 7,
        keys: 5,
        bytes: 1 << 20,
        sha256: Sha256::of(b"a snapshot"),
        bound_to: Bindings::default(),
    }
}

fn told(error: &PipelineError) -> String {
    format!("{error}\nhint: {}", error.hint().unwrap_or_default())
}

fn restored(text: &str, phase: RestorePhase) -> String {
    let site = site(text);
    let note = note(site.cluster.name());
    let mut plan = restore_plan(&site, snapshot(), Some(&note), STRICT).unwrap();
    "0123456789ab".clone_into(&mut plan.restore.id);
    plan.restore.phase = phase;
    "20261130T120000Z".clone_into(&mut plan.aside);
    etcd_restore(&site, &plan).unwrap().tree()
}

#[test]
fn a_restore_stops_nothing_before_all_is_ready() {
    for (name, text) in [("restore-services", SERVICES), ("restore-stacked", STACKED)] {
        insta::assert_snapshot!(name, restored(text, RestorePhase::Begun));
    }
}

#[test]
fn behind_the_point_of_no_return_nothing_is_stopped() {
    for text in [SERVICES, STACKED] {
        let whole = restored(text, RestorePhase::Begun);
        let rest = restored(text, RestorePhase::Swapped);
        let (_, started) = whole.split_once("\netcd\n").unwrap();
        assert_eq!(rest.trim_start_matches("etcd\n"), started);
        assert!(!rest.contains("stop ") && !rest.contains("aside"), "{rest}");
    }
}

#[test]
fn a_renewal_brings_files_first_and_restarts_one_by_one() {
    for (name, text) in [("renew-binaries", SERVICES), ("renew-kubeadm", STACKED)] {
        let (_, graph, _) = renew(site(text)).unwrap();
        insta::assert_snapshot!(name, graph.tree());
    }
}

#[test]
fn members_are_defragmented_in_the_order_that_is_given() {
    let site = site(SERVICES);
    let mut names: Vec<String> = site
        .members()
        .iter()
        .map(|host| host.name.clone())
        .collect();
    names.reverse();
    let tree = etcd_defrag(&site, &names).unwrap().tree();
    let first = tree.find(&names[0]).unwrap();
    assert!(
        names[1..]
            .iter()
            .all(|name| tree.find(name.as_str()).unwrap() > first),
        "{tree}"
    );
}

#[test]
fn an_etcd_of_somebody_else_is_left_to_them() {
    let site = site(EXTERNAL);
    let refused = restore_plan(&site, snapshot(), None, UNNOTED);
    let refused = refused.map(drop).unwrap_err();
    assert!(matches!(refused, PipelineError::NotOurs));
    insta::assert_snapshot!(refused, @"etcd.type is external: this etcd is not kubexm's");
}

#[test]
fn authorities_are_replaced_in_three_moves() {
    for (name, text) in [("rotate-binaries", SERVICES), ("rotate-kubeadm", STACKED)] {
        let site = site(text);
        let rotation = Rotation {
            since: "2026-11-30T12:00:00Z".to_owned(),
            ..next_rotation(&site, &[]).unwrap()
        };
        insta::assert_snapshot!(name, rotate(&site, &rotation).unwrap().tree());
    }
}

#[test]
fn each_authority_takes_with_it_what_reads_it_and_no_more() {
    let site = site(STACKED);
    let tree = |of: Authority| {
        let rotation = next_rotation(&site, &[of]).unwrap();
        rotate(&site, &rotation).unwrap().tree()
    };
    let touched = |of| {
        let tree = tree(of);
        [
            "member of etcd anew",
            "control plane anew",
            "tell its clients",
            "start pods anew",
        ]
        .map(|act| tree.contains(act))
    };
    assert_eq!(touched(Authority::Registry), [false; 4]);
    assert_eq!(touched(Authority::Etcd), [true, true, false, false]);
    assert_eq!(touched(Authority::FrontProxy), [false, true, true, false]);
    assert_eq!(
        touched(Authority::ServiceAccounts),
        [false, true, true, true]
    );
    assert_eq!(touched(Authority::Kubernetes), [false, true, true, true]);
}

#[test]
fn a_rotation_of_every_topology_has_a_plan() {
    for text in [
        SERVICES,
        STACKED,
        EXTERNAL,
        include_str!("../../../examples/ha-haproxy.yaml"),
        include_str!("../../../examples/ha-nginx.yaml"),
        include_str!("../../../examples/ha-kube-vip.yaml"),
        include_str!("../../../examples/ha-internal.yaml"),
        include_str!("../../../examples/no-registry.yaml"),
        include_str!("../../../examples/single-node.yaml"),
    ] {
        let site = site(text);
        let rotation = next_rotation(&site, &[]).unwrap();
        rotate(&site, &rotation).unwrap();
    }
    let refused = next_rotation(&site(EXTERNAL), &[Authority::Etcd]).unwrap_err();
    insta::assert_snapshot!(format!("{refused}\nhint: {}", refused.hint().unwrap()), @r"
    this cluster has no authority 'etcd' of its own; there are kubernetes, front-proxy, service-accounts, registry
    hint: an etcd that was there before is its owner's to look after
    ");
}

#[test]
fn a_rotation_that_was_cut_short_goes_on_and_no_other_begins() {
    let dir = tempfile::tempdir().unwrap();
    let tree = Tree::at(Utf8Path::from_path(dir.path()).unwrap());
    let certs = tree.certs("etcd");
    let both = certs.join("ca.rotation");
    std::fs::create_dir_all(&both).unwrap();
    for (name, text) in [
        ("old.crt", "the old\n"),
        ("old.key", "its key\n"),
        ("new.crt", "the new\n"),
        ("new.key", "its key\n"),
    ] {
        std::fs::write(both.join(name), text).unwrap();
    }
    std::fs::write(certs.join("ca.crt"), "the new\nthe old\n").unwrap();
    let cluster = config(SERVICES);
    let contents = complete(&cluster);
    let site = Site::new(cluster, contents, tree, None);
    let rotation = next_rotation(&site, &[]).unwrap();
    assert_eq!(rotation.of, [Authority::Etcd]);
    let tree = rotate(&site, &rotation).unwrap().tree();
    assert!(
        !tree.contains("trust/sign\n")
            && tree.contains("issue/sign\n")
            && tree.contains("drop/end\n"),
        "{tree}"
    );
    let refused = next_rotation(&site, &[Authority::Kubernetes]).unwrap_err();
    insta::assert_snapshot!(format!("{refused}\nhint: {}", refused.hint().unwrap()), @r"
    a rotation of authorities is under way: etcd: move 2 of 3 (issue)
    hint: end it first, it goes on where it was cut short: kubexm certs rotate-ca -f CONFIG
    ");
}

#[test]
fn a_snapshot_of_another_cluster_is_refused() {
    let site = site(STACKED);
    let staging = note("staging");
    let refused = restore_plan(&site, snapshot(), Some(&staging), UNNOTED);
    let refused = refused.map(drop).unwrap_err();
    insta::assert_snapshot!(told(&refused), @r"
    /backups/etcd.db is a snapshot of the cluster staging, and the config is of stacked-etcd
    hint: name a snapshot of stacked-etcd, or the config of staging with -f
    ");
    let drilled = Slot::new("drilled");
    let drill = etcd_drill(&site, &snapshot(), Some(staging), &drilled);
    assert_eq!(told(&drill.map(drop).unwrap_err()), told(&refused));

    let unnoted = restore_plan(&site, snapshot(), None, STRICT);
    insta::assert_snapshot!(told(&unnoted.map(drop).unwrap_err()), @r"
    nobody knows of which cluster /backups/etcd.db is: there is no /backups/etcd.db.json
    hint: put the note of kubexm etcd backup beside it; --without-note takes a snapshot that others have made
    ");
    restore_plan(&site, snapshot(), None, UNNOTED).unwrap();
}

#[test]
fn a_snapshot_of_other_authorities_is_refused() {
    let site = site(STACKED);
    let mut note = note(site.cluster.name());
    note.bound_to = Bindings {
        authorities: [("kubernetes/ca.crt".to_owned(), Sha256::of(b"another"))].into(),
        encryption: Some(Sha256::of(b"keys")),
    };
    let refused = restore_plan(&site, snapshot(), Some(&note), STRICT);
    insta::assert_snapshot!(told(&refused.map(drop).unwrap_err()), @r"
    /backups/etcd.db goes with another kubernetes/ca.crt than /nowhere/.kubexm/c/certs/kubernetes has: tokens of pods and certificates of nodes in it would be worth nothing
    hint: put /nowhere/.kubexm/c/certs/kubernetes in place as it was kept with the snapshot, and run kubexm install with it first; --other-authorities restores all the same
    ");
    let accepted = OnTrust {
        authorities: OtherAuthorities::Accept,
        ..STRICT
    };
    let plan = restore_plan(&site, snapshot(), Some(&note), accepted).unwrap();
    assert_eq!(plan.encryption, None);

    note.bound_to.authorities.clear();
    let plan = restore_plan(&site, snapshot(), Some(&note), STRICT).unwrap();
    let tree = etcd_restore(&site, &plan).unwrap().tree();
    let asked = tree
        .find("see that Secrets of the snapshot can be read")
        .unwrap();
    assert!(
        asked < tree.find("note that a restore has begun").unwrap(),
        "{tree}"
    );
}

/// Every host of a site; these are down.
fn hosts(site: &Site, down: &[&str]) -> Inventory {
    let host = |host: &cluster::Host| {
        let fake = FakeHost::new(&host.name);
        if down.contains(&host.name.as_str()) {
            fake.go_down();
        }
        let fake: Arc<dyn host::Host> = Arc::new(fake);
        (host.name.clone(), fake)
    };
    site.cluster.spec.hosts.iter().map(host).collect()
}

#[tokio::test]
async fn a_config_that_lacks_members_is_no_ground_for_a_restore() {
    for text in [STACKED, SERVICES] {
        let applied = site(text);
        let mut partial = applied.cluster.clone();
        let role = match partial.spec.etcd.kind {
            cluster::EtcdType::Kubexm => cluster::Role::Etcd,
            cluster::EtcdType::Kubeadm | cluster::EtcdType::External => cluster::Role::Master,
        };
        let gone = partial.hosts_in(role).last().unwrap().name.clone();
        assert!(left_at_work(&applied.cluster, &partial).is_empty());
        partial = partial.without_roles(std::slice::from_ref(&gone), &[role]);
        let left = left_at_work(&applied.cluster, &partial);
        assert_eq!(left, std::slice::from_ref(&gone));
        let cancel = CancellationToken::new();
        let up = hosts(&applied, &[]);
        let refused = insist_on_absence(&applied, &left, &up, 2, &cancel).await;
        let refused = refused.unwrap_err();
        assert!(refused.to_string().starts_with(&gone), "{refused}");
        let down = hosts(&applied, &[&gone]);
        insist_on_absence(&applied, &left, &down, 2, &cancel)
            .await
            .unwrap();
    }
}
