//! Three real members whose store is full, of whom one is told to be corrupt, and goes, and comes back, where `KUBEXM_LAB_KUBE` has etcd and the test
//! may make namespaces.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};
use std::time::Duration;

use common::etcd_stage::{
    DATA, MemberOfTest, PKI, cluster, etcdctl, make_certificates, peer, programs, run_apart,
    set_the_stage, start_member, try_etcdctl,
};
use common::{converge, operator, told};
use engine::{Retry, Slot, State, Step};
use step::{
    DefragMember, DisarmAlarms, EtcdAlarm, EtcdPeer, HealthyMembers, LookAtMember, MemberSeen,
    MemberState, PromoteEtcdMember, ProveEtcd, RemoveEtcdMember, RunEtcd, RunService,
    SetAsideRemoved, SpareStackedEtcd, VerifyEtcd,
};

const QUOTA: u64 = 4 << 20;

#[test]
fn an_alarm_keeps_no_member_from_its_cure() {
    run_apart("three_members");
}

fn start(number: u8) -> Child {
    start_in(number, "new")
}

fn start_in(number: u8, state: &'static str) -> Child {
    let EtcdPeer { name, address } = peer(number);
    let all: Vec<String> = cluster(&[1, 2, 3])
        .peers
        .iter()
        .map(EtcdPeer::initial)
        .collect();
    start_member(&MemberOfTest {
        data_dir: format!("{DATA}/{name}"),
        cluster: all.join(","),
        state,
        quota: QUOTA,
        name,
        address,
    })
}

async fn healthy(members: &[u8]) {
    let step = VerifyEtcd {
        cluster: cluster(members),
        wanted: HealthyMembers::All,
    };
    tokio::time::timeout(Duration::from_mins(1), step.apply(&operator()))
        .await
        .expect("within a minute")
        .unwrap();
}

async fn seen(number: u8) -> MemberSeen {
    let seen = Slot::new("a member");
    let step = LookAtMember {
        me: peer(number),
        cluster: cluster(&[1, 2, 3]),
        data_dir: DATA.into(),
        quota: QUOTA,
        backup: None,
        seen: seen.clone(),
    };
    step.check(&operator()).await.unwrap();
    seen.get().unwrap().clone()
}

async fn proven(members: &[u8]) -> String {
    let proof = ProveEtcd {
        cluster: cluster(members),
        patience: Retry {
            attempts: 1,
            first_delay: Duration::ZERO,
        },
    };
    match Step::check(&proof, &operator()).await {
        Ok(_) => "proven".to_owned(),
        Err(error) => told(&error),
    }
}

fn health_by_etcdctl() -> String {
    let output = try_etcdctl(&["endpoint", "health", "--cluster", "--write-out=json"]);
    assert!(!output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// As the host of a plan is chosen that asks for all members.
async fn answers_here() -> bool {
    let command = cluster(&[1, 2, 3]).answers_here();
    operator().host.run(&command).await.unwrap().ok()
}

/// etcdctl can only take an alarm back.
fn raise_corrupt(number: u8) {
    let id = etcdctl(&["member", "list"]);
    let mut lines = id.lines();
    let line = lines
        .find(|line| line.contains(&peer(number).name))
        .unwrap();
    let id = u64::from_str_radix(line.split(',').next().unwrap(), 16).unwrap();
    let raised = Command::new("curl")
        .args(["-sSf", "--cacert", &format!("{PKI}/ca.crt")])
        .args(["--cert", &format!("{PKI}/healthcheck-client.crt")])
        .args(["--key", &format!("{PKI}/healthcheck-client.key")])
        .args(["https://127.0.0.1:2379/v3/maintenance/alarm", "--data"])
        .arg(format!(
            r#"{{"action":"ACTIVATE","memberID":"{id}","alarm":"CORRUPT"}}"#
        ))
        .output()
        .unwrap();
    assert!(raised.status.success(), "{raised:?}");
}

/// Writes until etcd has no more room.
fn fill() {
    let value = "x".repeat(100 << 10);
    for number in 0..200 {
        let put = try_etcdctl(&["put", &format!("/registry/events/{number}"), &value]);
        if !put.status.success() {
            let said = String::from_utf8_lossy(&put.stderr).into_owned();
            assert!(said.contains("database space exceeded"), "{said}");
            return;
        }
    }
    panic!("etcd has taken it all");
}

/// A master's own manifest, as far as it is read.
fn write_manifest() {
    let dir = "/etc/kubernetes/manifests";
    std::fs::create_dir_all(dir).unwrap();
    let url = "    kubeadm.kubernetes.io/etcd.advertise-client-urls: https://127.0.0.1:2379\n";
    std::fs::write(format!("{dir}/etcd.yaml"), url).unwrap();
}

async fn spared() -> String {
    match SpareStackedEtcd.check(&operator()).await {
        Ok(_) => "spared".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// A member that was taken out, on the host where its data was kept: etcd ends on it.
async fn comes_back(gone: &mut Child) -> Child {
    wait_for(|| gone.try_wait().unwrap().is_some()).await;
    let mut on_kept_data = start(2);
    wait_for(|| on_kept_data.try_wait().unwrap().is_some()).await;
    let kept = format!("{DATA}/e2");
    let aside = SetAsideRemoved {
        me: peer(2),
        cluster: cluster(&[1, 2, 3]),
        service: service(),
        bootstrap: BOOTSTRAP.into(),
        data_dir: kept.clone().into(),
    };
    std::fs::write(BOOTSTRAP, "ETCD_INITIAL_CLUSTER_STATE=existing\n").unwrap();
    let reason = converge(&aside).await.unwrap();
    assert!(reason.unwrap().contains("was taken out of etcd"));
    assert!(!std::path::Path::new(&kept).join("member").exists());

    // Announced, and reached by nobody: it is in nobody's way.
    announce();
    let run = RunEtcd {
        service: service(),
        me: peer(2),
        cluster: cluster(&[1, 2, 3]),
    };
    let unheard = run.apply(&operator()).await.unwrap_err();
    assert!(
        unheard.to_string().contains("was taken out of etcd again"),
        "{unheard}"
    );
    assert_eq!(etcdctl(&["member", "list"]).lines().count(), 2);

    announce();
    let joined = start_in(2, "existing");
    let promote = PromoteEtcdMember {
        me: peer(2),
        cluster: cluster(&[1, 2, 3]),
    };
    promote.apply(&operator()).await.unwrap();
    healthy(&[1, 2, 3]).await;
    joined
}

/// etcd takes nobody in before its members have been connected for some seconds.
fn announce() {
    for _ in 0..60 {
        let url = peer(2).peer_url();
        let add = [
            "member",
            "add",
            "e2",
            "--learner",
            &format!("--peer-urls={url}"),
        ];
        if try_etcdctl(&add).status.success() {
            return;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    panic!("etcd takes nobody in");
}

async fn wait_for(mut done: impl FnMut() -> bool) {
    for _ in 0..300 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not come to it");
}

const BOOTSTRAP: &str = "/var/lib/kubexm/bootstrap.env";

fn service() -> RunService {
    RunService {
        unit: "etcd.service",
        reads: Vec::new(),
    }
}

/// A host whose service does not come up.
fn write_systemctl() {
    let path = "/usr/local/bin/systemctl";
    std::fs::write(path, "#!/bin/sh\necho inactive\nexit 3\n").unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
#[ignore = "runs inside of namespaces that its neighbour makes"]
async fn three_members() {
    set_the_stage(&programs().unwrap());
    write_manifest();
    write_systemctl();
    make_certificates(&[[127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 3]]).await;
    let mut members = [1, 2, 3].map(start);
    healthy(&[1, 2, 3]).await;
    fill();

    let said = health_by_etcdctl();
    assert_eq!(said.matches("\"health\":false").count(), 3, "{said}");
    assert!(answers_here().await);
    healthy(&[1, 2, 3]).await;
    let mut alarms = Vec::new();
    for number in [1, 2, 3] {
        let seen = seen(number).await;
        assert_eq!(seen.state, MemberState::Healthy, "{seen:?}");
        alarms.extend(seen.alarms);
    }
    assert!(alarms.contains(&EtcdAlarm::Nospace), "{alarms:?}");
    assert_eq!(spared().await, "spared");
    let proof = proven(&[1, 2, 3]).await;
    assert!(proof.contains("alarm NOSPACE"), "{proof}");

    etcdctl(&["del", "--prefix", "/registry/events"]);
    let status = etcdctl(&["endpoint", "status", "--write-out=json"]);
    let (_, revision) = status.split_once("\"revision\":").unwrap();
    let revision = revision.split(',').next().unwrap();
    etcdctl(&["compact", "--physical", revision]);
    for number in [1, 2, 3] {
        let defrag = DefragMember {
            me: peer(number),
            cluster: cluster(&[1, 2, 3]),
        };
        defrag.apply(&operator()).await.unwrap();
    }
    let disarm = DisarmAlarms {
        cluster: cluster(&[1, 2, 3]),
    };
    converge(&disarm).await.unwrap();
    assert_eq!(proven(&[1, 2, 3]).await, "proven");
    etcdctl(&["put", "/registry/events/again", "x"]);

    raise_corrupt(2);
    assert!(answers_here().await);
    assert_eq!(
        spared().await,
        "etcd's member here cannot be spared: 2 healthy members are needed beside it, and https://127.0.0.2:2379 is not"
    );
    let without = |number: u8, stay: &[u8]| RemoveEtcdMember {
        member: peer(number),
        cluster: cluster(stay),
    };
    let wrong = without(3, &[1, 2]).apply(&operator()).await.unwrap_err();
    assert!(wrong.to_string().contains("e2 is not"), "{wrong}");
    converge(&without(2, &[1, 3])).await.unwrap();
    let disarm = DisarmAlarms {
        cluster: cluster(&[1, 3]),
    };
    converge(&disarm).await.unwrap();
    assert_eq!(proven(&[1, 3]).await, "proven");
    assert_eq!(disarm.check(&operator()).await.unwrap(), State::Satisfied);
    members[1] = comes_back(&mut members[1]).await;
    for member in &mut members {
        let _ = member.kill();
        member.wait().unwrap();
    }
}
