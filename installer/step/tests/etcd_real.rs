//! A real etcd that is looked at, copied, lost and brought back, where `KUBEXM_LAB_KUBE` has its programs and the test may
//! make namespaces: in a mount and a network of its own, and with a `crictl` that stands for the runtime.

mod common;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use common::{converge, operator};
use engine::{Slot, State, Step};
use step::{
    BackupNote, BackupOf, BringSnapshot, Certificate, CertificateAuthority, CertificateSpec,
    CopiedStore, DefragMember, EtcdCluster, EtcdPeer, EtcdRuns, HealthyMembers, KeyPairFiles,
    LookAtMember, MemberSeen, MemberState, PrepareData, RemoveSnapshot, Revisions, SaveSnapshot,
    SnapshotFile, SnapshotSeal, SwapData, Usage, VerifyEtcd,
};

const INSIDE: &str = "KUBEXM_TEST_INSIDE";
const DATA: &str = "/var/lib/etcd-of-test";
const PKI: &str = "/etc/kubernetes/pki/etcd";
const PROGRAMS: [&str; 3] = ["etcd", "etcdctl", "etcdutl"];

/// Where the programs are, if all of them are there.
fn programs() -> Option<PathBuf> {
    let dir = PathBuf::from(std::env::var_os("KUBEXM_LAB_KUBE")?);
    let all = PROGRAMS.iter().all(|name| dir.join(name).exists());
    all.then_some(dir)
}

#[test]
fn a_real_store_is_saved_lost_and_brought_back() {
    if programs().is_none() || std::env::var_os(INSIDE).is_some() {
        return;
    }
    let can = Command::new("unshare")
        .args(["--mount", "--net", "true"])
        .output();
    if !can.is_ok_and(|output| output.status.success()) {
        return;
    }
    let output = Command::new("timeout")
        .args([
            "120",
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "inside", "--ignored", "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{wrong}");
    assert!(said.contains("1 passed"), "{said}");
}

/// Nothing of the machine is changed: what is written to lies in memory.
fn set_the_stage(programs: &Path) {
    let script = format!(
        "set -e; mount --make-rprivate /; mount -t proc proc /proc; ip link set lo up 2>/dev/null || ifconfig lo up
mkdir -p /etc/kubernetes /var/lib/kubexm {DATA} 2>/dev/null || true
mount -t tmpfs none /usr/local/bin; mount -t tmpfs none /etc/kubernetes; mount -t tmpfs none /var/lib/kubexm
mount -t tmpfs -o mode=700 none {DATA}; mkdir -p {PKI}"
    );
    let done = Command::new("sh").args(["-c", &script]).status().unwrap();
    assert!(done.success());
    for name in PROGRAMS {
        symlink(programs.join(name), Path::new("/usr/local/bin").join(name)).unwrap();
    }
    let crictl = "#!/bin/sh\ncase $1 in\nps) case \"$*\" in *--all*) echo 0123 ;; *) ! pidof etcd > /dev/null || echo 0123 ;; esac ;;\nexec) shift 2; exec \"$@\" ;;\nlogs) cat /var/lib/kubexm/log ;;\nesac\n";
    std::fs::write("/usr/local/bin/crictl", crictl).unwrap();
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions("/usr/local/bin/crictl", executable).unwrap();
}

async fn make_certificates() {
    let files = |name: &str| KeyPairFiles::at(Utf8Path::new(PKI).join(name));
    let authority = CertificateAuthority::new(files("ca"), "etcd-ca");
    converge(&authority).await.unwrap();
    for name in ["server", "peer", "healthcheck-client"] {
        let spec = CertificateSpec::new(name, Usage::Both)
            .dns(["localhost"])
            .ips([[127, 0, 0, 1].into()]);
        let step = Certificate::new(files("ca"), files(name), spec);
        converge(&step).await.unwrap();
    }
}

/// As kubeadm starts it.
fn start() -> Child {
    let log = std::fs::File::create("/var/lib/kubexm/log").unwrap();
    let pair = |of: &str, name: &str| {
        [
            format!("--{of}cert-file={PKI}/{name}.crt"),
            format!("--{of}key-file={PKI}/{name}.key"),
            format!("--{of}trusted-ca-file={PKI}/ca.crt"),
            format!("--{of}client-cert-auth=true"),
        ]
    };
    Command::new("/usr/local/bin/etcd")
        .args(["--name=e1", &format!("--data-dir={DATA}")])
        .args([
            "--listen-client-urls=https://127.0.0.1:2379",
            "--advertise-client-urls=https://127.0.0.1:2379",
        ])
        .args([
            "--listen-peer-urls=https://127.0.0.1:2380",
            "--initial-advertise-peer-urls=https://127.0.0.1:2380",
        ])
        .arg("--initial-cluster=e1=https://127.0.0.1:2380")
        .args(pair("", "server"))
        .args(pair("peer-", "peer"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn stop(mut member: Child) {
    member.kill().unwrap();
    member.wait().unwrap();
}

fn etcdctl(arguments: &[&str]) -> String {
    let output = Command::new("/usr/local/bin/etcdctl")
        .args([
            "--endpoints=https://127.0.0.1:2379",
            &format!("--cacert={PKI}/ca.crt"),
        ])
        .args([
            format!("--cert={PKI}/healthcheck-client.crt"),
            format!("--key={PKI}/healthcheck-client.key"),
        ])
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
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
    make_certificates().await;
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
        to: to.clone(),
        of: BackupOf {
            cluster: "c".into(),
            kubernetes: "v1.36.2".into(),
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
