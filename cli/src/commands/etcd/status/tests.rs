use pipeline::{EtcdAlarm, KeptSnapshot, MemberTold};

use super::*;

fn told(leader: bool) -> MemberTold {
    MemberTold {
        id: "1f".into(),
        cluster_id: "c1".into(),
        version: "3.6.8".into(),
        leader,
        learner: false,
        revision: 7,
        raft_term: 2,
        raft_index: 1234,
        raft_applied: 1234,
        db_bytes: 40 << 20,
        in_use_bytes: 10 << 20,
        quota_bytes: 2 << 30,
        read_ms: Some(2.35),
    }
}

fn seen(name: &str, state: MemberState, told: Option<MemberTold>) -> MemberSeen {
    MemberSeen {
        name: name.into(),
        endpoint: format!("https://{name}:2379"),
        state,
        trouble: None,
        told,
        alarms: Vec::new(),
        backup: None,
        knows: vec!["e1".into(), "e2".into(), "e3".into()],
    }
}

#[test]
fn members_in_columns_and_what_is_wrong_below() {
    let mut full = seen("e1", MemberState::Healthy, Some(told(true)));
    full.alarms = vec![EtcdAlarm::Nospace];
    let mut damaged = seen("e2", MemberState::Damaged, None);
    damaged.trouble = Some("damaged log: wal: crc mismatch".into());
    let members = vec![
        ("e1".to_owned(), Ok(full)),
        ("e2".to_owned(), Ok(damaged)),
        ("e4".to_owned(), Err("cannot reach e4".to_owned())),
    ];
    let status = status("c", members, |_| None);
    assert!(!status.healthy);
    insta::assert_snapshot!(drawn(&status, Timestamp::UNIX_EPOCH));
    insta::assert_snapshot!(troubles(&status, Timestamp::UNIX_EPOCH).join("\n"), @r"
    e1: alarm NOSPACE: a member's store has reached its quota: etcd refuses every write of the cluster
    e2: damaged log: wal: crc mismatch
    e4: cannot reach e4
    etcd has a member that the config does not list: e3
    ");
    let config = Utf8Path::new("site.yaml");
    insta::assert_snapshot!(told_of_backup(&status, config, Timestamp::UNIX_EPOCH), @"newest backup: none on this machine, and none that a member's timer has taken: kubexm etcd backup");
}

#[test]
fn a_whole_cluster_is_healthy() {
    let members = ["e1", "e2", "e3"].map(|name| {
        let told = told(name == "e1");
        (
            name.to_owned(),
            Ok(seen(name, MemberState::Healthy, Some(told))),
        )
    });
    let status = status("c", members.into(), |_| None);
    assert!(status.healthy && troubles(&status, Timestamp::UNIX_EPOCH).is_empty());
}

#[test]
fn a_timer_that_failed_is_no_good_news() {
    let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
    let backup = |newest: &str, trouble: Option<&str>| BackupSeen {
        dir: "/b".into(),
        kept: 1,
        newest: Some(KeptSnapshot {
            file: "etcd-e-1.db".into(),
            bytes: 1,
            taken: newest.parse().unwrap(),
        }),
        every: Some(21600),
        trouble: trouble.map(str::to_owned),
    };
    let mut members =
        ["e1", "e2", "e3"].map(|name| seen(name, MemberState::Healthy, Some(told(name == "e1"))));
    members[0].backup = Some(backup("2026-11-30T11:15:00Z", None));
    members[1].backup = Some(backup("2026-11-28T11:00:00Z", Some("no room in /b")));
    members[2].backup = Some(BackupSeen {
        newest: None,
        ..backup("2026-11-28T11:00:00Z", None)
    });
    let status = status(
        "c",
        members.map(|seen| (seen.name.clone(), Ok(seen))).into(),
        |_| None,
    );
    assert!(status.healthy && !status.backed_up(now));
    insta::assert_snapshot!(drawn(&status, now));
    insta::assert_snapshot!(troubles(&status, now).join("\n"), @"e2: no room in /b; the newest is /b/etcd-e-1.db");
}

#[test]
fn a_lost_store_is_told_with_what_brings_it_back() {
    let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
    let of = |state| {
        let told = (state == MemberState::Healthy).then(|| told(true));
        let member = MemberSeen {
            knows: vec!["e1".into()],
            ..seen("e1", state, told)
        };
        let newest = Newest {
            path: "/srv/.kubexm/c/backups/etcd.db".into(),
            host: None,
            taken: "2026-11-30T09:00:00Z".parse().unwrap(),
        };
        status("c", vec![("e1".to_owned(), Ok(member))], |_| Some(newest))
    };
    let told = |state| told_of_backup(&of(state), "site.yaml".into(), now);
    insta::assert_snapshot!(told(MemberState::Healthy), @"newest backup: /srv/.kubexm/c/backups/etcd.db, 3 h ago");
    insta::assert_snapshot!(told(MemberState::Damaged), @r"
    newest backup: /srv/.kubexm/c/backups/etcd.db, 3 h ago
    where most members have lost their data, it is restored by: kubexm etcd restore /srv/.kubexm/c/backups/etcd.db -f site.yaml
    ");
}

#[test]
fn a_timer_that_is_late_is_told() {
    let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
    let mut late = seen("e1", MemberState::Healthy, Some(told(true)));
    late.knows = vec!["e1".into()];
    late.backup = Some(BackupSeen {
        dir: "/b".into(),
        kept: 1,
        newest: Some(KeptSnapshot {
            file: "etcd-e1-1.db".into(),
            bytes: 1,
            taken: "2026-11-29T12:00:00Z".parse().unwrap(),
        }),
        every: Some(21600),
        trouble: None,
    });
    let status = status("c", vec![("e1".to_owned(), Ok(late))], |_| None);
    assert!(status.healthy && !status.backed_up(now));
    insta::assert_snapshot!(troubles(&status, now).join("\n"), @"e1: its newest snapshot was taken 24 h ago, and its timer is to take one every 6 h: journalctl -u kubexm-etcd-backup there");
}
