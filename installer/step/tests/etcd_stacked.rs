//! Three real members of which one runs as a static pod of a master and loses its data, where `KUBEXM_LAB_KUBE` has etcd and the
//! test may make namespaces. A loop stands for the kubelet, and a `crictl` for the runtime.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use common::etcd_stage::{
    DATA, LOG, MemberOfTest, cluster, etcdctl, make_certificates, peer, programs, run_apart,
    set_the_stage, start_member, try_etcdctl,
};
use common::{operator, told};
use engine::{Slot, State, Step};
use step::{
    EtcdPeer, HealthyMembers, LookAtMember, LookForLoss, MemberLoss, PromoteEtcdMember,
    PromoteReadmitted, ReadmitMember, RemoveEtcdMember, RestartLostMember, VerifyEtcd,
};

#[test]
fn a_static_pod_that_loses_its_data_is_let_in_again() {
    run_apart("stacked_member");
}

const MANIFEST: &str = "/etc/kubernetes/manifests/etcd.yaml";
/// Whose host it is for the next step: a master's own, or that of another member.
const WHOSE: &str = "/var/lib/kubexm/whose";
const PID: &str = "/var/lib/kubexm/pid";
/// It is there as long as the runtime has the pod.
const POD: &str = "/var/lib/kubexm/pod";
/// It is there while the kubelet is stopped.
const STOPPED: &str = "/var/lib/kubexm/stopped";

fn start(number: u8, cluster: &str, state: &'static str) -> Child {
    let EtcdPeer { name, address } = peer(number);
    start_member(&MemberOfTest {
        data_dir: format!("{DATA}/{name}"),
        cluster: cluster.to_owned(),
        state,
        quota: 1 << 30,
        name,
        address,
    })
}

/// What the kubelet does for a manifest.
async fn kubelet() {
    let mut member: Option<Child> = None;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if Path::new(STOPPED).exists() {
            if let Some(mut gone) = member.take_if(|it| it.try_wait().unwrap().is_some()) {
                gone.wait().unwrap();
                std::fs::write(PID, "").unwrap();
            }
            continue;
        }
        let manifest = std::fs::read_to_string(MANIFEST).ok();
        let ended = member
            .as_mut()
            .is_some_and(|it| it.try_wait().unwrap().is_some());
        match manifest {
            Some(_) => std::fs::write(POD, "0123\n").unwrap(),
            None => drop(std::fs::remove_file(POD)),
        }
        if ended || manifest.is_none() {
            if let Some(mut gone) = member.take() {
                let _ = gone.kill();
                gone.wait().unwrap();
            }
            std::fs::write(PID, "").unwrap();
            if ended {
                tokio::time::sleep(Duration::from_secs(2)).await;
                continue;
            }
        }
        if let (Some(manifest), None) = (manifest, &member) {
            let flag = |name: &str| {
                let mut lines = manifest.lines();
                lines.find_map(|line| line.trim().strip_prefix(&format!("- --{name}=")))
            };
            let state = match flag("initial-cluster-state") {
                Some(_) => "existing",
                None => "new",
            };
            let started = start(1, flag("initial-cluster").unwrap(), state);
            std::fs::write(PID, started.id().to_string()).unwrap();
            member = Some(started);
        }
    }
}

fn furnish() {
    let program = |name: &str, body: &str| {
        let path = Path::new("/usr/local/bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let crictl = format!(
        "alive() {{ pid=$(cat {PID}); [ -n \"$pid\" ] && kill -0 \"$pid\" 2>/dev/null; }}
case $1 in
ps) case \"$*\" in *--all*) echo 0123; exit;; esac
  if [ \"$(cat {WHOSE})\" = other ] || alive; then echo 0123; fi ;;
pods) cat {POD} 2>/dev/null || true ;;
exec) shift 2; exec \"$@\" ;;
logs) tr -d '\\000' < {LOG} ;;
stop) ! alive || kill \"$(cat {PID})\"; while alive; do sleep 0.1; done ;;
rmp) rm -f {POD} ;;
esac"
    );
    program("crictl", &crictl);
    let systemctl = format!(
        "case $1 in stop) touch {STOPPED} ;; start) rm -f {STOPPED} ;; is-active) ! [ -e {STOPPED} ] ;; esac"
    );
    program("systemctl", &systemctl);
    let done = Command::new("mount")
        .args(["-t", "tmpfs", "none", "/run"])
        .status();
    assert!(done.unwrap().success());
    for name in ["kubelet.conf", "admin.conf"] {
        std::fs::write(Path::new("/etc/kubernetes").join(name), "x").unwrap();
    }
    std::fs::create_dir_all("/etc/kubernetes/manifests").unwrap();
    std::fs::write(PID, "").unwrap();
    on("own");
    let manifest = format!(
        "spec:\n    - --name=e1\n    - --initial-cluster={}\n",
        all()
    );
    std::fs::write(MANIFEST, manifest).unwrap();
}

fn on(whose: &str) {
    std::fs::write(WHOSE, whose).unwrap();
}

fn all() -> String {
    let peers = cluster(&[1, 2, 3]).peers;
    let all: Vec<String> = peers.iter().map(EtcdPeer::initial).collect();
    all.join(",")
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

async fn loss() -> Slot<MemberLoss> {
    on("own");
    let step = LookForLoss {
        look: LookAtMember {
            me: peer(1),
            cluster: cluster(&[1, 2, 3]),
            data_dir: format!("{DATA}/e1").into(),
            quota: 1 << 30,
            backup: None,
            seen: Slot::new("e1"),
        },
        patience: Duration::from_secs(20),
        kubelet: Duration::from_secs(20),
        loss: Slot::new("loss"),
    };
    step.check(&operator()).await.unwrap();
    step.loss
}

struct Steps {
    readmit: ReadmitMember,
    restart: RestartLostMember,
    promote: PromoteReadmitted,
}

fn steps(loss: &Slot<MemberLoss>) -> Steps {
    let with = Slot::new("with");
    Steps {
        readmit: ReadmitMember {
            loss: loss.clone(),
            with: with.clone(),
            remove: RemoveEtcdMember {
                member: peer(1),
                cluster: cluster(&[2, 3]),
            },
            cluster: cluster(&[1, 2, 3]),
            by: "other",
        },
        restart: RestartLostMember {
            loss: loss.clone(),
            with,
            cluster: cluster(&[1, 2, 3]),
            me: peer(1),
            data_dir: format!("{DATA}/e1").into(),
        },
        promote: PromoteReadmitted {
            loss: loss.clone(),
            promote: PromoteEtcdMember {
                me: peer(1),
                cluster: cluster(&[1, 2, 3]),
            },
            by: "other",
        },
    }
}

/// As the engine does it: check, apply where needed, check again.
async fn done(step: &dyn Step) {
    on(step.done_on().unwrap_or("own"));
    let cx = operator();
    if let State::Needed(_) = step.check(&cx).await.unwrap() {
        step.apply(&cx)
            .await
            .unwrap_or_else(|error| panic!("{}", told(&error)));
        assert_eq!(
            step.check(&cx).await.unwrap(),
            State::Satisfied,
            "{}",
            step.id()
        );
    }
}

async fn replaced() {
    let loss = loss().await;
    assert!(
        matches!(loss.get(), Some(MemberLoss::Lost(_))),
        "{loss:?} {:?}",
        loss.get()
    );
    let Steps {
        readmit,
        restart,
        promote,
    } = steps(&loss);
    done(&readmit).await;
    done(&restart).await;
    done(&promote).await;
    on("own");
    healthy().await;
}

fn id() -> String {
    let list = etcdctl(&["member", "list"]);
    let line = list
        .lines()
        .find(|line| line.contains("127.0.0.1:2380"))
        .unwrap();
    line.split(',').next().unwrap().to_owned()
}

async fn until(what: &str, mut come: impl FnMut() -> bool) {
    for _ in 0..200 {
        if come() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!(
        "{what}: {}",
        String::from_utf8_lossy(&std::fs::read(LOG).unwrap())
    );
}

fn ended() -> bool {
    std::fs::read_to_string(PID).unwrap().is_empty()
}

/// The member is killed, and something is done to its data before it is started again.
async fn with_data(act: impl FnOnce()) {
    let aside = "/etc/kubernetes/of-test.yaml";
    std::fs::rename(MANIFEST, aside).unwrap();
    until("it ends", ended).await;
    act();
    std::fs::rename(aside, MANIFEST).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs inside of namespaces that its neighbour makes"]
async fn stacked_member() {
    set_the_stage(&programs().unwrap());
    furnish();
    make_certificates(&[[127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 3]]).await;
    let mut others = [2, 3].map(|number| start(number, &all(), "new"));
    let kubelet = tokio::spawn(kubelet());
    until("it comes up", || {
        try_etcdctl(&["get", "x"]).status.success()
    })
    .await;
    healthy().await;
    assert_eq!(loss().await.get(), Some(&MemberLoss::None));
    etcdctl(&["put", "/registry/configmaps/default/kept", "marked"]);

    // It ends on its log.
    let before = id();
    with_data(|| {
        for entry in std::fs::read_dir(format!("{DATA}/e1/member/wal")).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            while let Some(at) = bytes.windows(6).position(|window| window == b"marked") {
                bytes[at] = b'M';
            }
            std::fs::write(&path, bytes).unwrap();
        }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    until("it ends on its log", ended).await;
    replaced().await;
    assert_ne!(id(), before);
    let aside: Vec<_> = std::fs::read_dir(format!("{DATA}/e1")).unwrap().collect();
    assert_eq!(aside.len(), 2, "its data, and that of before: {aside:?}");
    assert_eq!(loss().await.get(), Some(&MemberLoss::None));
    let kept = etcdctl(&["get", "/registry/", "--prefix", "--keys-only"]);
    assert!(kept.contains("kept"), "{kept}");

    // Killed between its announcement and its start, with nothing left of its data.
    let before = id();
    with_data(|| std::fs::remove_dir_all(format!("{DATA}/e1/member")).unwrap()).await;
    std::fs::rename(MANIFEST, "/etc/kubernetes/.etcd-anew.yaml").unwrap();
    until("it ends", ended).await;
    let cut = loss().await;
    done(&steps(&cut).readmit).await;
    replaced().await;
    assert_ne!(id(), before);

    kubelet.abort();
    std::fs::remove_file(MANIFEST).unwrap();
    for member in &mut others {
        member.kill().unwrap();
        member.wait().unwrap();
    }
}
