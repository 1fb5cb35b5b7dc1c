//! A real etcd that is looked at, copied, lost and brought back, where `KUBEXM_LAB_KUBE` has its programs and the test may
//! make namespaces: in a mount and a network of its own, and with a `crictl` that stands for the runtime.

mod common;

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use camino::Utf8PathBuf;
use common::etcd_stage::{
    DATA, MemberOfTest, etcdctl, make_certificates, programs, run_apart, set_the_stage,
    start_member,
};
use common::{converge, operator};
use engine::{Slot, State, Step};
use step::{
    BackupNote, BackupOf, BindingFiles, BringSnapshot, CopiedStore, DefragMember, EtcdCluster,
    EtcdPeer, EtcdRuns, HealthyMembers, LookAtMember, MemberSeen, MemberState, PrepareData,
    RemoveSnapshot, Revisions, SaveSnapshot, SnapshotFile, SnapshotName, SnapshotSeal, SwapData,
    VerifyEtcd,
};

#[test]
fn a_real_store_is_saved_lost_and_brought_back() {
    run_apart("inside");
}

fn start() -> Child {
    start_member(&MemberOfTest {
        name: "e1".into(),
        address: "127.0.0.1".into(),
        data_dir: DATA.into(),
        cluster: "e1=https://127.0.0.1:2380".into(),
        state: "new",
        quota: 2 << 30,
    })
}

fn stop(mut member: Child) {
    member.kill().unwrap();
    member.wait().unwrap();
}

fn peer() -> EtcdPeer {
    EtcdPeer {
        name: "e1".into(),
        address: "127.0.0.1".into(),
    }
}

fn cluster() -> EtcdCluster {
    EtcdCluster {
        peers: vec![peer()],
        runs: EtcdRuns::StaticPod,
    }
}

async fn healthy() {
    let step = VerifyEtcd {
        cluster: cluster(),
        wanted: HealthyMembers::All,
    };
    tokio::time::timeout(Duration::from_secs(30), step.apply(&operator()))
        .await
        .expect("within half a minute")
        .unwrap();
}

async fn seen() -> MemberSeen {
    let seen = Slot::new("e1");
    let step = LookAtMember {
        me: peer(),
        cluster: cluster(),
        data_dir: DATA.into(),
        quota: 2 << 30,
        backup: None,
        seen: seen.clone(),
    };
    step.check(&operator()).await.unwrap();
    seen.get().unwrap().clone()
}

/// Everything of a restore that is done on a member's host.
fn restore(id: &str, snapshot: &SnapshotFile) -> Vec<Box<dyn Step>> {
    vec![
        Box::new(BringSnapshot {
            id: id.into(),
            snapshot: snapshot.path.clone(),
            sha256: snapshot.sha256,
            bytes: snapshot.bytes,
            etcdutl: "/usr/local/bin/etcdutl".into(),
        }),
        Box::new(PrepareData {
            id: id.into(),
            me: peer(),
            cluster: cluster(),
            data_dir: DATA.into(),
            bytes: snapshot.bytes,
            seal: SnapshotSeal::There,
            revisions: Revisions::Bumped,
        }),
        Box::new(SwapData {
            id: id.into(),
            data_dir: DATA.into(),
            aside: format!("kubexm-aside-{id}"),
        }),
        Box::new(RemoveSnapshot { id: id.into() }),
    ]
}

#[tokio::test]
#[ignore = "runs inside of namespaces that its neighbour makes"]
async fn inside() {
    set_the_stage(&programs().unwrap());
    make_certificates(&[[127, 0, 0, 1]]).await;
    let mut member = start();
    healthy().await;
    let well = seen().await;
    assert_eq!(well.state, MemberState::Healthy, "{well:?}");
    let told = well.told.unwrap();
    assert!(told.leader && told.read_ms.is_some() && told.quota_bytes > 0);
    etcdctl(&["put", "/registry/configmaps/default/kept", "x"]);

    let to = Utf8PathBuf::from("/var/lib/kubexm/b.db");
    let save = SaveSnapshot {
        cluster: cluster(),
        data_dir: DATA.into(),
        to: SnapshotName::File(to.clone()),
        of: BackupOf {
            cluster: "c".into(),
            kubernetes: "v1.36.2".into(),
            bound_to: BindingFiles::default(),
        },
        saved: Slot::new("the snapshot"),
    };
    converge(&save).await.unwrap();
    let note = BackupNote::read(&to).unwrap().unwrap();
    assert_eq!(
        (note.keys, note.members.as_slice()),
        (1, &["e1".to_owned()][..])
    );
    assert!(!Path::new(DATA).join("kubexm-backup.db").exists());
    let snapshot = SnapshotFile::judge(&to, CopiedStore::Refuse).unwrap();

    etcdctl(&["put", "/registry/configmaps/default/late", "x"]);
    stop(member);
    assert_eq!(seen().await.state, MemberState::Down);
    std::fs::remove_dir_all(Path::new(DATA).join("member")).unwrap();
    let void = seen().await;
    assert_eq!(void.state, MemberState::Void, "{void:?}");

    for step in restore("first", &snapshot) {
        converge(&*step).await.unwrap();
    }
    for step in restore("first", &snapshot) {
        assert_eq!(
            step.check(&operator()).await.unwrap(),
            State::Satisfied,
            "{}",
            step.id()
        );
    }
    member = start();
    healthy().await;
    let keys = etcdctl(&["get", "/registry/", "--prefix", "--keys-only"]);
    assert_eq!(keys.trim(), "/registry/configmaps/default/kept");
    let back = seen().await.told.unwrap();
    assert!(back.revision > 1_000_000_000, "{back:?}");

    stop(member);
    for step in restore("second", &snapshot) {
        converge(&*step).await.unwrap();
    }
    assert!(
        Path::new(DATA)
            .join("kubexm-aside-second/member/wal")
            .exists()
    );
    member = start();
    healthy().await;
    let defrag = DefragMember {
        me: peer(),
        cluster: cluster(),
    };
    defrag.apply(&operator()).await.unwrap();
    etcdctl(&["put", "/registry/configmaps/default/marked", "right"]);
    stop(member);

    // The log of a member whose disk has lost its mind.
    let wal = Path::new(DATA).join("member/wal");
    for entry in std::fs::read_dir(wal).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|suffix| suffix == "wal") {
            let mut bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(6).position(|window| window == b"marked");
            if let Some(at) = found {
                bytes[at] = b'M';
            }
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let mut broken = start();
    for _ in 0..100 {
        if broken.try_wait().unwrap().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let damaged = seen().await;
    let log = std::fs::read_to_string("/var/lib/kubexm/log").unwrap();
    assert_eq!(damaged.state, MemberState::Damaged, "{damaged:?}\n{log}");
}
