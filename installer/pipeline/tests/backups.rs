//! Snapshots that members take by themselves, as plans: set up, changed, given up.

mod common;

use artifact::Tree;
use common::{complete, config};
use pipeline::{InstallStage, Site, delete, install};

const SERVICES: &str = include_str!("../../../examples/single-node.yaml");
const PODS: &str = include_str!("../../../examples/stacked-etcd.yaml");

fn site(text: &str) -> Site {
    let cluster = config(text);
    let contents = complete(&cluster);
    let tree = Tree::at(format!("/srv/.kubexm/{}", cluster.name()));
    Site::new(cluster, contents, tree, None)
}

fn of_services(backup: &str) -> String {
    format!("{SERVICES}  etcd: {{backup: {backup}}}\n")
}

fn of_pods(backup: &str) -> String {
    PODS.replace("  etcd:\n", &format!("  etcd:\n    backup: {backup}\n"))
}

/// The lines about them, with the stages that they are in.
fn about(tree: &str) -> String {
    let mut lines = Vec::new();
    let mut stage = "";
    for line in tree.lines() {
        if !line.starts_with(' ') {
            stage = line;
        }
        let ours = [
            "back-up-etcd",
            "etcd-backup",
            "backups",
            "/srv/snapshots",
            "snapshots of etcd",
        ];
        if ours.iter().any(|word| line.contains(word)) {
            if !stage.is_empty() {
                lines.push(stage);
                stage = "";
            }
            lines.push(line);
        }
    }
    lines.join("\n")
}

fn planned(before: Option<&str>, now: &str) -> String {
    let before = before.map(site);
    let graph = install(&site(now), before.as_ref(), InstallStage::LAST).unwrap();
    about(&graph.tree())
}

#[test]
fn each_member_gets_its_timer_behind_its_etcd() {
    insta::assert_snapshot!(planned(None, &of_services("{}")), @"
    etcd
      snapshots of etcd
          make directory /var/backups/etcd
          write /usr/local/lib/kubexm/back-up-etcd
          write /etc/systemd/system/kubexm-etcd-backup.service
          write /etc/systemd/system/kubexm-etcd-backup.timer
          run kubexm-etcd-backup.timer
    ");
    insta::assert_snapshot!(planned(None, &of_pods("{}")), @"
    control plane
      snapshots of etcd
          make directory /var/backups/etcd
          write /usr/local/lib/kubexm/back-up-etcd
          write /etc/systemd/system/kubexm-etcd-backup.service
          write /etc/systemd/system/kubexm-etcd-backup.timer
          run kubexm-etcd-backup.timer
    ");
    assert_eq!(planned(None, SERVICES), "");
}

#[test]
fn a_config_without_it_takes_the_timer_and_leaves_the_snapshots() {
    insta::assert_snapshot!(planned(Some(&of_services("{}")), SERVICES), @"
    retire/etcd
      snapshots of etcd
          stop kubexm-etcd-backup.timer
          remove /etc/systemd/system/kubexm-etcd-backup.timer
          remove /etc/systemd/system/kubexm-etcd-backup.service
          remove /usr/local/lib/kubexm/back-up-etcd
          leave the snapshots of etcd in /var/backups/etcd
    ");
    let stacked = planned(Some(&of_pods("{}")), PODS);
    assert!(
        stacked.contains("leave the snapshots of etcd in /var/backups/etcd"),
        "{stacked}"
    );
}

#[test]
fn of_another_directory_the_snapshots_are_told() {
    let moved = planned(
        Some(&of_services("{}")),
        &of_services("{dir: /srv/snapshots}"),
    );
    insta::assert_snapshot!(moved, @"
    etcd
      snapshots of etcd
          make directory /srv/snapshots
          write /usr/local/lib/kubexm/back-up-etcd
          write /etc/systemd/system/kubexm-etcd-backup.service
          write /etc/systemd/system/kubexm-etcd-backup.timer
          run kubexm-etcd-backup.timer
    retire/etcd
      snapshots of etcd
          leave the snapshots of etcd in /var/backups/etcd
    ");
}

#[test]
fn a_deleted_cluster_leaves_its_snapshots_also_without_its_data() {
    for data in [pipeline::Data::Keep, pipeline::Data::Purge] {
        let tree = delete(&site(&of_services("{}")), data).unwrap().tree();
        let told = about(&tree);
        assert!(
            told.contains("leave the snapshots of etcd in /var/backups/etcd"),
            "{told}"
        );
        assert!(!told.contains("remove all data in /var/backups"), "{told}");
    }
}

/// What `adopt` or the backup's own keys bring.
#[test]
fn a_restore_without_the_cluster_s_keys_is_refused_and_says_where_they_are() {
    let error = pipeline::insist_on_keys(&site(SERVICES), "/backups/etcd.db".into()).unwrap_err();
    insta::assert_snapshot!(error, @"the keys of this cluster are not in /srv/.kubexm/single/certs: a store that comes back would have to trust others");
    insta::assert_snapshot!(error.hint().unwrap(), @"from hosts that are there still: kubexm adopt -f CONFIG; from the backup: age --decrypt -i YOUR_KEY /backups/etcd.db.keys.age | tar x -C /srv/.kubexm/single");
}

#[test]
fn keys_are_sealed_for_those_who_are_named_and_else_for_nobody() {
    let of_config = of_services(
        "{recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]}",
    );
    let encrypted = format!(
        "{of_config}  kubernetes: {{apiServer: {{extraArgs: {{encryption-provider-config: /etc/kubernetes/pki/enc.yaml}}}}}}\n"
    );
    let plan = |text: &str, named: &[String]| {
        let site = site(text);
        let recipients = pipeline::recipients(&site, named).unwrap();
        let saved = pipeline::Slot::new("the snapshot");
        let to = "/backups/etcd.db".into();
        let graph = pipeline::etcd_backup(&site, to, &saved, recipients.as_ref());
        graph.unwrap().tree()
    };
    assert!(!plan(SERVICES, &[]).contains("keys"));
    assert!(
        plan(&of_config, &[])
            .contains("write the cluster's keys, encrypted, to /backups/etcd.db.keys.age")
    );
    let read = plan(&encrypted, &[]);
    assert!(
        read.contains("read /etc/kubernetes/pki/enc.yaml of a master"),
        "{read}"
    );
    let refused = pipeline::recipients(&site(SERVICES), &["alice".to_owned()])
        .err()
        .unwrap();
    assert!(refused.to_string().contains("'alice'"), "{refused}");
}
