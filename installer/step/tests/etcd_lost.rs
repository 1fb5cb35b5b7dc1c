//! Three real members of which one cannot read its data, and one has lost it: they join anew where the others can go on, where
//! `KUBEXM_LAB_KUBE` has etcd and the test may make namespaces.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use camino::Utf8PathBuf;
use common::etcd_stage::{
    DATA, LOG, MemberOfTest, cluster, etcdctl, make_certificates, peer, programs, run_apart,
    set_the_stage, start_member,
};
use common::{converge, operator, told};
use engine::{Slot, Step};
use step::{
    EnterEtcd, Entry, EtcdPeer, HealthyMembers, PromoteEtcdMember, RemoveDamagedMember,
    RemoveEtcdMember, RunService, SetAsideRemoved, VerifyEtcd,
};

#[test]
fn a_member_whose_data_is_lost_joins_anew_where_the_others_can_go_on() {
    run_apart("lost_members");
}

const BOOTSTRAP: &str = "/var/lib/kubexm/bootstrap.env";

fn data_dir(number: u8) -> Utf8PathBuf {
    Utf8PathBuf::from(DATA).join(peer(number).name)
}

fn start(number: u8, state: &'static str) -> Child {
    let EtcdPeer { name, address } = peer(number);
    let all: Vec<String> = cluster(&[1, 2, 3])
        .peers
        .iter()
        .map(EtcdPeer::initial)
        .collect();
    start_member(&MemberOfTest {
        data_dir: data_dir(number).into(),
        cluster: all.join(","),
        state,
        quota: 1 << 30,
        name,
        address,
    })
}

fn kill(member: &mut Child) {
    member.kill().unwrap();
    member.wait().unwrap();
}

async fn ends(member: &mut Child) {
    for _ in 0..300 {
        if member.try_wait().unwrap().is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it goes on");
}

async fn healthy() {
    let step = VerifyEtcd {
        cluster: cluster(&[1, 2, 3]),
        wanted: HealthyMembers::All,
    };
    tokio::time::timeout(Duration::from_mins(1), step.apply(&operator()))
        .await
        .expect("within a minute")
        .unwrap();
}

fn service() -> RunService {
    RunService {
        unit: "etcd.service",
        reads: Vec::new(),
    }
}

fn without(number: u8) -> RemoveEtcdMember {
    let others: Vec<u8> = [1, 2, 3].into_iter().filter(|it| *it != number).collect();
    RemoveEtcdMember {
        member: peer(number),
        cluster: cluster(&others),
    }
}

fn damaged(number: u8) -> RemoveDamagedMember {
    RemoveDamagedMember {
        service: service(),
        bootstrap: BOOTSTRAP.into(),
        data_dir: data_dir(number),
        patience: Duration::from_secs(10),
        remove: without(number),
    }
}

fn enter(number: u8) -> EnterEtcd {
    EnterEtcd {
        me: peer(number),
        cluster: cluster(&[1, 2, 3]),
        entry: Entry::Joiner {
            founder: "e1".into(),
        },
        token: "demo".into(),
        bootstrap: BOOTSTRAP.into(),
        data_dir: data_dir(number),
        settled: Slot::new("settled"),
        founded: Slot::new("founded"),
    }
}

/// Its way in, as its host takes it: announced, started, promoted.
async fn joins(number: u8) -> Child {
    converge(&enter(number)).await.unwrap();
    let way = std::fs::read_to_string(BOOTSTRAP).unwrap();
    assert!(way.contains("STATE=\"existing\""), "{way}");
    let member = start(number, "existing");
    let promote = PromoteEtcdMember {
        me: peer(number),
        cluster: cluster(&[1, 2, 3]),
    };
    promote.apply(&operator()).await.unwrap();
    healthy().await;
    member
}

fn id_of(number: u8) -> String {
    let list = etcdctl(&["member", "list"]);
    let name = peer(number).name;
    let line = list.lines().find(|line| line.contains(&name)).unwrap();
    line.split(',').next().unwrap().to_owned()
}

/// The log of a member whose disk has lost its mind.
fn damage(number: u8) {
    let wal = data_dir(number).join("member/wal");
    let mut found = 0;
    for entry in std::fs::read_dir(wal).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        while let Some(at) = bytes.windows(6).position(|window| window == b"marked") {
            bytes[at] = b'M';
            found += 1;
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(found > 0);
}

/// A host whose service does not come up, and one that may own files.
fn furnish() {
    let program = |name: &str, body: &str| {
        let path = Path::new("/usr/local/bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("systemctl", "echo inactive; exit 3");
    program("journalctl", &format!("tr -d '\\000' < {LOG}"));
    let group = "cp /etc/group /var/lib/kubexm/group && echo etcd:x:64321: >> /var/lib/kubexm/group && \
                 mount --bind /var/lib/kubexm/group /etc/group";
    let done = Command::new("sh").args(["-c", group]).status().unwrap();
    assert!(done.success());
}

#[tokio::test]
#[ignore = "runs inside of namespaces that its neighbour makes"]
async fn lost_members() {
    set_the_stage(&programs().unwrap());
    furnish();
    make_certificates(&[[127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 3]]).await;
    let mut members = [1, 2, 3].map(|number| start(number, "new"));
    healthy().await;
    etcdctl(&["put", "/registry/configmaps/default/kept", "x"]);
    etcdctl(&["put", "/registry/configmaps/default/late", "marked"]);

    // It ends on its log.
    let before = id_of(2);
    kill(&mut members[1]);
    damage(2);
    ends(&mut start(2, "new")).await;
    let log = std::fs::read(LOG).unwrap();
    let start_of_log = b"\"msg\":\"Running: \"";
    assert!(
        log.windows(start_of_log.len())
            .any(|window| window == start_of_log)
    );
    std::fs::write(BOOTSTRAP, "ETCD_INITIAL_CLUSTER_STATE=existing\n").unwrap();
    let reason = converge(&damaged(2)).await.unwrap().unwrap();
    assert!(
        reason.contains("cannot read its data: damaged log: "),
        "{reason}"
    );
    let aside = SetAsideRemoved {
        me: peer(2),
        cluster: cluster(&[1, 2, 3]),
        service: service(),
        bootstrap: BOOTSTRAP.into(),
        data_dir: data_dir(2),
    };
    converge(&aside).await.unwrap();
    let kept: Vec<_> = std::fs::read_dir(data_dir(2)).unwrap().collect();
    assert_eq!(kept.len(), 1, "it is set aside, not removed: {kept:?}");
    members[1] = joins(2).await;
    assert_ne!(id_of(2), before);
    assert_eq!(converge(&damaged(2)).await.unwrap(), None);

    // Nothing is left of it.
    let before = id_of(3);
    kill(&mut members[2]);
    std::fs::remove_dir_all(data_dir(3).join("member")).unwrap();
    members[2] = joins(3).await;
    assert_ne!(id_of(3), before);
    let keys = etcdctl(&["get", "/registry/", "--prefix", "--keys-only"]);
    assert!(keys.contains("kept") && keys.contains("late"), "{keys}");

    // Without a majority of others nobody is taken out.
    etcdctl(&["put", "/registry/configmaps/default/late", "marked"]);
    kill(&mut members[2]);
    kill(&mut members[1]);
    damage(2);
    ends(&mut start(2, "existing")).await;
    std::fs::write(BOOTSTRAP, "ETCD_INITIAL_CLUSTER_STATE=existing\n").unwrap();
    let refused = damaged(2).check(&operator()).await.unwrap_err();
    let refused = told(&refused);
    assert!(
        refused.contains("e2 cannot read its data, and etcd has no majority without it"),
        "{refused}"
    );
    assert!(refused.contains("kubexm etcd restore"), "{refused}");
    kill(&mut members[0]);
}
