//! Whole plans of what a cluster needs once it is at work, as people read them.

mod common;

use artifact::{Sha256, Tree};
use camino::Utf8Path;
use common::{complete, config};
use pipeline::{
    PipelineError, RestorePhase, Site, SnapshotFile, etcd_defrag, etcd_restore, renew, restore_plan,
};

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

fn restored(text: &str, phase: RestorePhase) -> String {
    let site = site(text);
    let mut plan = restore_plan(&site, snapshot()).unwrap();
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
    let refused = restore_plan(&site, snapshot()).map(drop).unwrap_err();
    assert!(matches!(refused, PipelineError::NotOurs));
    insta::assert_snapshot!(refused, @"etcd.type is external: this etcd is not kubexm's");
}
