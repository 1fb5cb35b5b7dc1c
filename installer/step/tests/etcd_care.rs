//! A store that is looked at, copied and tried out: by fakes, and by real etcd where `KUBEXM_LAB_KUBE` has its programs.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use artifact::Sha256;
use camino::{Utf8Path, Utf8PathBuf};
use common::told;
use engine::{Cx, Slot, State, Step};
use event::Progress;
use host::fake::FakeHost;
use host::local::LocalHost;
use host::{Command, HostError, Output, Redactor};
use sha2::Digest;
use step::{
    BackupNote, BackupOf, BindingFiles, CopiedStore, DefragMember, DisarmAlarms, DrillSnapshot,
    EtcdAlarm, EtcdCluster, EtcdPeer, EtcdRuns, LookAtMember, MemberSeen, MemberState,
    RemoveEtcdMember, SaveSnapshot, SnapshotFile, SnapshotName, SnapshotSeal,
};
use tempfile::TempDir;

fn peer(number: u8) -> EtcdPeer {
    EtcdPeer {
        name: format!("e{number}"),
        address: format!("10.0.0.{number}"),
    }
}

fn cluster(members: u8, runs: EtcdRuns) -> EtcdCluster {
    EtcdCluster {
        peers: (1..=members).map(peer).collect(),
        runs,
    }
}

fn service() -> EtcdRuns {
    EtcdRuns::Service {
        pki: "/etc/etcd/pki".into(),
    }
}

fn status(size: u64, in_use: u64) -> String {
    format!(
        r#"[{{"Endpoint":"https://10.0.0.1:2379","Status":{{"header":{{"cluster_id":31,"member_id":1,"revision":31,"raft_term":2}},"version":"3.6.10","dbSize":{size},"leader":1,"raftIndex":34,"raftTerm":2,"raftAppliedIndex":34,"dbSizeInUse":{in_use},"dbSizeQuota":2147483648}}}}]"#
    )
}

fn members() -> String {
    let member = |n: u8| {
        format!(
            r#"{{"ID":{n},"name":"e{n}","peerURLs":["https://10.0.0.{n}:2380"],"clientURLs":[]}}"#
        )
    };
    format!(r#"{{"members":[{}]}}"#, [1, 2, 3].map(member).join(","))
}

fn health(unhealthy: &[u8]) -> String {
    let each = [1, 2, 3].map(|n| {
        let health = !unhealthy.contains(&n);
        format!(r#"{{"endpoint":"https://10.0.0.{n}:2379","health":{health},"took":"2.345678ms","error":"no leader"}}"#)
    });
    format!("[{}]", each.join(","))
}

fn cx(host: &Arc<FakeHost>) -> Cx {
    Cx::new(Arc::clone(host) as Arc<dyn host::Host>, Progress::unseen())
}

async fn pass(step: &dyn Step, host: &Arc<FakeHost>) -> String {
    let cx = cx(host);
    match step.check(&cx).await {
        Err(error) => told(&error),
        Ok(State::Satisfied) => "satisfied".to_owned(),
        Ok(State::Needed(reason)) => match step.apply(&cx).await {
            Ok(()) => format!("done: {reason}"),
            Err(error) => told(&error),
        },
    }
}

async fn look(host: FakeHost) -> MemberSeen {
    let seen = Slot::new("e1");
    let step = LookAtMember {
        me: peer(1),
        cluster: cluster(3, service()),
        data_dir: "/var/lib/etcd".into(),
        quota: 2 << 30,
        backup: None,
        seen: seen.clone(),
    };
    step.check(&cx(&Arc::new(host))).await.unwrap();
    seen.get().unwrap().clone()
}

fn answering() -> FakeHost {
    FakeHost::new("e1")
        .on("endpoint status", 0, status(40 << 20, 10 << 20))
        .on("endpoint health", 0, health(&[]))
        .on("alarm list", 0, r#"{"header":{}}"#)
        .on("member list", 0, members())
}

#[tokio::test]
async fn a_member_that_serves_is_told_with_its_numbers() {
    let seen = look(answering()).await;
    assert_eq!(seen.state, MemberState::Healthy);
    assert_eq!(seen.knows, ["e1", "e2", "e3"]);
    let told = seen.told.unwrap();
    assert!(told.leader && told.defrag_pays());
    assert_eq!((told.read_ms, told.raft_index), (Some(2.35), 34));

    let alarms = r#"{"alarms":[{"memberID":1,"alarm":1},{"memberID":2,"alarm":2}]}"#;
    let full = answering().on("alarm list", 0, alarms);
    assert_eq!(look(full).await.alarms, [EtcdAlarm::Nospace]);
    let leaderless = look(answering().on("endpoint health", 1, health(&[1]))).await;
    assert_eq!(leaderless.state, MemberState::Unhealthy);
    assert_eq!(leaderless.trouble.as_deref(), Some("no leader"));
}

#[tokio::test]
async fn a_member_that_does_not_answer_is_told_with_why() {
    let silent = |log: &str| {
        FakeHost::new("e1")
            .on("journalctl", 0, log)
            .on("endpoint status", 1, "")
    };
    let down = look(silent(
        "etcd.service is inactive\n{\"level\":\"info\",\"msg\":\"stopped\"}",
    ))
    .await;
    assert_eq!(down.state, MemberState::Down);
    let void = look(silent("VOID\netcd.service is failed")).await;
    assert_eq!(void.state, MemberState::Void);
    assert_eq!(
        void.trouble.as_deref(),
        Some("there is no data in /var/lib/etcd")
    );
    let log = "etcd.service is failed\n{\"level\":\"fatal\",\"msg\":\"failed to read WAL, cannot be repaired\",\"error\":\"wal: crc mismatch\"}";
    let damaged = look(silent(log)).await;
    assert_eq!(damaged.state, MemberState::Damaged);
    insta::assert_snapshot!(damaged.trouble.unwrap(), @"damaged log: failed to read WAL, cannot be repaired: wal: crc mismatch");
}

/// As etcd would write it, in more than one piece.
fn snapshot() -> Vec<u8> {
    let mut bytes = vec![7; 9 << 20];
    bytes[16..20].copy_from_slice(&[0xed, 0xda, 0x0c, 0xed]);
    let digest = sha2::Sha256::digest(&bytes);
    bytes.extend(digest);
    bytes
}

/// A member whose host hands out these bytes for its snapshot.
fn saving(sent: Vec<u8>) -> FakeHost {
    let whole = snapshot();
    let measured = format!("e1\n{}\n{}\n", whole.len(), Sha256::of(&whole));
    answering()
        .on("df -Pk", 0, "1048576\n")
        .on(
            "snapshot status",
            0,
            r#"{"hash":1,"revision":31,"totalKey":30,"totalSize":4096}"#,
        )
        .on("uname -n", 0, measured)
        .on_command(move |command: &Command, _| {
            let (_, rest) = command.text().split_once(" skip=")?;
            let piece: usize = rest.split(' ').next()?.parse().ok()?;
            let from = (piece * (8 << 20)).min(sent.len());
            let to = (from + (8 << 20)).min(sent.len());
            Some(Ok(Output {
                status: 0,
                stdout: sent[from..to].to_vec(),
                stderr: Vec::new(),
            }))
        })
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.0.path().join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn save(&self, runs: EtcdRuns) -> SaveSnapshot {
        SaveSnapshot {
            cluster: cluster(3, runs),
            data_dir: "/var/lib/etcd".into(),
            to: SnapshotName::File(self.path("b.db")),
            of: BackupOf {
                cluster: "c".into(),
                kubernetes: "v1.36.2".into(),
                bound_to: BindingFiles::default(),
            },
            saved: Slot::new("the snapshot"),
        }
    }
}

#[tokio::test]
async fn a_backup_arrives_whole_with_its_note() {
    for runs in [service(), EtcdRuns::StaticPod] {
        let place = Place::new();
        let step = place.save(runs);
        let host = Arc::new(saving(snapshot()));
        assert_eq!(
            pass(&step, &host).await,
            "done: there is no such backup yet"
        );
        assert_eq!(place.names(), ["b.db", "b.db.json"]);
        assert_eq!(std::fs::read(place.path("b.db")).unwrap(), snapshot());
        for name in ["b.db", "b.db.json"] {
            let mode = std::fs::metadata(place.path(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let note = BackupNote::read(&place.path("b.db")).unwrap().unwrap();
        assert_eq!(
            (note.keys, note.revision, note.from.as_str()),
            (30, 31, "e1")
        );
        assert_eq!(note.members, ["e1", "e2", "e3"]);
        SnapshotFile::judge(&place.path("b.db"), CopiedStore::Refuse).unwrap();
        let transcript = host.transcript();
        let last = transcript.lines().last().unwrap();
        assert!(last.starts_with("# rm -f /var/lib/"), "{last}");
        assert_eq!(pass(&step, &host).await, "satisfied");
    }
}

#[tokio::test]
async fn a_snapshot_of_an_earlier_run_is_none_of_this_one() {
    let place = Place::new();
    let name = SnapshotName::Fresh {
        dir: place.path(""),
        stem: "before-v1.36.2".into(),
    };
    std::fs::write(place.path("before-v1.36.2-20261123T120000Z.db"), "old").unwrap();
    let save = SaveSnapshot {
        to: name,
        ..place.save(service())
    };
    let host = Arc::new(saving(snapshot()));
    assert_eq!(
        pass(&save, &host).await,
        "done: this run has taken none yet"
    );
    assert_eq!(place.names().len(), 3, "{:?}", place.names());
    assert_eq!(pass(&save, &host).await, "satisfied");
    assert_eq!(place.names().len(), 3, "{:?}", place.names());
}

#[tokio::test]
async fn a_backup_that_was_cut_or_changed_on_the_way_is_none() {
    let whole = snapshot();
    let mut changed = whole.clone();
    changed[5 << 20] ^= 1;
    for sent in [whole[..8 << 20].to_vec(), changed] {
        let place = Place::new();
        let host = Arc::new(saving(sent));
        let said = pass(&place.save(service()), &host).await;
        assert!(
            said.contains("is no snapshot") || said.contains("damaged"),
            "{said}"
        );
        assert!(place.names().is_empty(), "{:?}", place.names());
        assert!(
            host.transcript()
                .contains("rm -f /var/lib/kubexm/etcd/kubexm-backup.db")
        );
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_in_the_middle_loses_no_backup() {
    let place = Place::new();
    let host = saving(snapshot());
    host.fail(" skip=1 ", 1, || HostError::Lost {
        address: "e1".into(),
        why: "cut".into(),
    });
    let host = Arc::new(host);
    let said = pass(&place.save(service()), &host).await;
    assert_eq!(said, "done: there is no such backup yet");
    let transcript = host.transcript();
    assert_eq!(transcript.matches("snapshot save").count(), 1);
    assert_eq!(std::fs::read(place.path("b.db")).unwrap(), snapshot());
}

#[tokio::test]
async fn a_host_without_room_is_left_alone() {
    let place = Place::new();
    let host = Arc::new(saving(snapshot()).on("df -Pk", 0, "4096\n"));
    insta::assert_snapshot!(pass(&place.save(service()), &host).await, @r"
    no room for a snapshot in /var/lib/kubexm/etcd: it takes 296 MiB, and 4 MiB are free
    hint: free space there, or kubexm etcd defrag if the store is mostly empty
    ");
    assert!(!host.transcript().contains("snapshot save"));
}

#[tokio::test]
async fn no_member_is_defragmented_while_another_is_ill_or_where_it_does_not_pay() {
    let step = DefragMember {
        me: peer(1),
        cluster: cluster(3, service()),
    };
    let full = Arc::new(answering().on("endpoint status", 0, status(40 << 20, 30 << 20)));
    assert_eq!(pass(&step, &full).await, "satisfied");
    let ill = Arc::new(answering().on("endpoint health", 1, health(&[2])));
    insta::assert_snapshot!(pass(&step, &ill).await, @r"
    e1 is not defragmented: e2 is not healthy, and etcd would lack one more meanwhile
    hint: kubexm etcd status tells what is wrong with them
    ");
    assert!(!ill.transcript().contains(" defrag "));
    let well = Arc::new(answering());
    assert_eq!(pass(&step, &well).await, "done: 10 of 40 MiB are in use");
    assert!(well.transcript().contains(" defrag --command-timeout=900s"));
}

/// As etcdctl tells of members while one of them has raised an alarm.
fn alarmed(alarm: &str) -> String {
    let each = [1, 2, 3].map(|n| {
        format!(
            r#"{{"endpoint":"https://10.0.0.{n}:2379","health":false,"took":"2.3ms","error":"Active Alarm(s): {alarm} "}}"#
        )
    });
    format!("[{}]", each.join(","))
}

#[tokio::test]
async fn an_alarm_keeps_no_member_from_its_cure() {
    let defrag = DefragMember {
        me: peer(1),
        cluster: cluster(3, service()),
    };
    let full = || answering().on("endpoint health", 1, alarmed("NOSPACE"));
    let host = Arc::new(full());
    assert_eq!(pass(&defrag, &host).await, "done: 10 of 40 MiB are in use");
    let seen = look(full()).await;
    assert_eq!((seen.state, seen.trouble), (MemberState::Healthy, None));
    let without = |number: u8| RemoveEtcdMember {
        member: peer(number),
        cluster: cluster(3, service()),
    };
    let listed = || {
        members().replace(
            "\"clientURLs\":[]",
            "\"clientURLs\":[\"https://10.0.0.N:2379\"]",
        )
    };
    let urls = |list: String| {
        [1, 2, 3].iter().fold(list, |list, n| {
            list.replacen("10.0.0.N", &format!("10.0.0.{n}"), 1)
        })
    };
    let host = Arc::new(full().on("member list", 0, urls(listed())));
    without(3).apply(&cx(&host)).await.unwrap();

    let of_two = r#"{"alarms":[{"memberID":2,"alarm":2}]}"#;
    let corrupt = || {
        let host = answering().on("endpoint health", 1, alarmed("CORRUPT"));
        Arc::new(
            host.on("alarm list", 0, of_two)
                .on("member list", 0, urls(listed())),
        )
    };
    insta::assert_snapshot!(pass(&defrag, &corrupt()).await, @r"
    e1 is not defragmented: e2 is not healthy, and etcd would lack one more meanwhile
    hint: kubexm etcd status tells what is wrong with them
    ");
    let wrong = without(3).apply(&cx(&corrupt())).await.unwrap_err();
    insta::assert_snapshot!(wrong, @"etcd would lose its quorum without e3: of the 2 others 2 must be healthy, and e2 is not");
    without(2).apply(&cx(&corrupt())).await.unwrap();
}

#[tokio::test]
async fn alarms_are_disarmed_where_there_are_any() {
    let step = DisarmAlarms {
        cluster: cluster(3, service()),
    };
    let none = Arc::new(FakeHost::new("e1"));
    assert_eq!(pass(&step, &none).await, "satisfied");
    let raised = Arc::new(FakeHost::new("e1").on("alarm list", 0, "memberID:1 alarm:NOSPACE\n"));
    assert_eq!(pass(&step, &raised).await, "done: memberID:1 alarm:NOSPACE");
    assert!(raised.transcript().contains("alarm disarm"));
}

/// The programs of a real etcd, where this machine has them all.
fn real() -> Option<[Utf8PathBuf; 3]> {
    let dir = PathBuf::from(std::env::var_os("KUBEXM_LAB_KUBE")?);
    let programs = ["etcd", "etcdctl", "etcdutl"].map(|name| dir.join(name));
    let all = programs.iter().all(|program| program.exists());
    all.then(|| programs.map(|path| Utf8PathBuf::from_path_buf(path).unwrap()))
}

async fn drilled(
    snapshot: &Utf8Path,
    scratch: &Utf8Path,
    programs: [Utf8PathBuf; 3],
) -> Result<u64, String> {
    let step = DrillSnapshot {
        snapshot: snapshot.to_owned(),
        seal: SnapshotSeal::There,
        programs,
        scratch: scratch.to_owned(),
        note: None,
        drilled: Slot::new("what was seen"),
    };
    let here: Arc<dyn host::Host> = Arc::new(LocalHost::new("here", Redactor::default()));
    let cx = Cx::new(here, Progress::unseen());
    step.apply(&cx).await.map_err(|error| error.to_string())?;
    Ok(step.drilled.get().unwrap().namespaces)
}

#[tokio::test]
async fn a_real_etcd_serves_a_snapshot_and_refuses_a_damaged_one() {
    let Some(programs) = real() else {
        return;
    };
    let place = Place::new();
    let port = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let script = format!(
        "cd {dir}; {etcd} --data-dir d --listen-client-urls {client} --advertise-client-urls {client} \
         --listen-peer-urls http://127.0.0.1:{peer} > log 2>&1 & member=$!; trap 'kill $member' EXIT
ask() {{ timeout 20 {etcdctl} --endpoints={client} \"$@\"; }}
for i in $(seq 100); do ! ask --command-timeout=1s endpoint health > /dev/null 2>&1 || break; sleep 0.1; done
for i in 1 2 3; do ask put /registry/namespaces/n$i x > /dev/null || exit; done
ask snapshot save s.db > /dev/null 2>&1",
        dir = place.path(""),
        etcd = programs[0],
        etcdctl = programs[1],
        client = format_args!("http://127.0.0.1:{}", port()),
        peer = port(),
    );
    let made = std::process::Command::new("sh")
        .args(["-c", &script])
        .status()
        .unwrap();
    assert!(made.success());
    let snapshot = place.path("s.db");
    SnapshotFile::judge(&snapshot, CopiedStore::Refuse).unwrap();
    let scratch = place.path("scratch");
    assert_eq!(drilled(&snapshot, &scratch, programs.clone()).await, Ok(3));
    assert!(!scratch.exists());
    let mut bytes = std::fs::read(&snapshot).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&snapshot, bytes).unwrap();
    let refused = drilled(&snapshot, &scratch, programs).await.unwrap_err();
    assert!(
        refused.starts_with("cannot start an etcd with the snapshot: "),
        "{refused}"
    );
    assert!(!scratch.exists());
}
