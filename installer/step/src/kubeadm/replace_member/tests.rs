use event::Progress;
use host::fake::FakeHost;

use super::*;
use crate::EtcdRuns;
use crate::shell::reads;

fn peer(number: u8) -> EtcdPeer {
    EtcdPeer {
        name: format!("m{number}"),
        address: format!("10.0.0.{number}"),
    }
}

fn cluster(members: &[u8]) -> EtcdCluster {
    EtcdCluster {
        peers: members.iter().copied().map(peer).collect(),
        runs: EtcdRuns::StaticPod,
    }
}

fn cx(host: FakeHost) -> (Cx, Arc<FakeHost>) {
    let host = Arc::new(host);
    let cx = Cx::new(Arc::clone(&host) as Arc<dyn host::Host>, Progress::unseen());
    (cx, host)
}

fn lost() -> Slot<MemberLoss> {
    let loss = Slot::new("m2");
    loss.fill(MemberLoss::Lost(
        "damaged log: wal: crc mismatch".to_owned(),
    ));
    loss
}

fn member(number: u8, more: &str) -> String {
    let EtcdPeer { name, address } = peer(number);
    format!(
        r#"{{"ID":{number},"name":"{name}","peerURLs":["https://{address}:2380"],"clientURLs":["https://{address}:2379"]{more}}}"#
    )
}

fn listed(members: &[String]) -> String {
    format!(r#"{{"members":[{}]}}"#, members.join(","))
}

/// What comes of m2, which has lost its data, where these are listed and serve.
async fn readmitted(
    loss: Slot<MemberLoss>,
    members: &[String],
    well: &[u8],
) -> (String, Option<String>) {
    let health = [1, 2, 3].map(|number| {
        let url = peer(number).client_url();
        format!(
            r#"{{"endpoint":"{url}","health":{}}}"#,
            well.contains(&number)
        )
    });
    let (cx, host) = cx(FakeHost::new("m1")
        .on("member list", 0, listed(members))
        .on("endpoint health", 1, format!("[{}]", health.join(","))));
    let step = ReadmitMember {
        loss,
        with: Slot::new("with"),
        remove: RemoveEtcdMember {
            member: peer(2),
            cluster: cluster(&[1, 3]),
        },
        cluster: cluster(&[1, 2, 3]),
        by: "(etcd)",
    };
    let said = match step.check(&cx).await {
        Err(error) => error.to_string(),
        Ok(State::Satisfied) => "left".to_owned(),
        Ok(State::Needed(why)) => match step.apply(&cx).await {
            Ok(()) => why,
            Err(error) => error.to_string(),
        },
    };
    let done = host.transcript();
    let said = format!(
        "{said}; removed: {}, announced: {}",
        done.contains("member remove 2"),
        done.contains("member add m2 --learner")
    );
    (said, step.with.get().cloned())
}

#[tokio::test]
async fn a_member_whose_master_has_lost_its_data_is_let_in_again() {
    let all = [1, 2, 3].map(|number| member(number, ""));
    let (said, with) = readmitted(lost(), &all, &[1, 3]).await;
    insta::assert_snapshot!(said, @"has lost its data: damaged log: wal: crc mismatch; removed: true, announced: true");
    insta::assert_snapshot!(with.unwrap(), @"m1=https://10.0.0.1:2380,m3=https://10.0.0.3:2380,m2=https://10.0.0.2:2380");
    let (said, _) = readmitted(lost(), &all, &[1]).await;
    insta::assert_snapshot!(said, @"etcd would lose its quorum without m2: of the 2 others 2 must be healthy, and m3 is not; removed: false, announced: false");

    // Killed behind the removal, and behind the announcement.
    let without = [member(1, ""), member(3, "")];
    let (said, with) = readmitted(lost(), &without, &[1, 3]).await;
    insta::assert_snapshot!(said, @"was taken out of etcd; removed: false, announced: true");
    assert!(with.is_some());
    let unstarted = r#"{"ID":2,"peerURLs":["https://10.0.0.2:2380"],"isLearner":true}"#;
    let announced = [member(1, ""), member(3, ""), unstarted.to_owned()];
    let (said, with) = readmitted(lost(), &announced, &[1, 3]).await;
    assert_eq!(
        (said.as_str(), with.is_some()),
        ("left; removed: false, announced: false", true)
    );

    // Nobody is asked where nothing is lost.
    for loss in [MemberLoss::None, MemberLoss::Learner] {
        let slot = Slot::new("m2");
        slot.fill(loss);
        let (said, _) = readmitted(slot, &all, &[1, 3]).await;
        assert_eq!(said, "left; removed: false, announced: false");
    }
}

async fn looked(host: FakeHost) -> MemberLoss {
    let (cx, _) = cx(host);
    let step = LookForLoss {
        look: LookAtMember {
            me: peer(2),
            cluster: cluster(&[1, 2, 3]),
            data_dir: "/var/lib/etcd".into(),
            quota: 0,
            backup: None,
            seen: Slot::new("m2"),
        },
        patience: Duration::ZERO,
        kubelet: Duration::ZERO,
        loss: Slot::new("loss"),
    };
    Question::check(&step, &cx).await.unwrap();
    step.loss.get().unwrap().clone()
}

#[tokio::test]
async fn what_a_master_has_lost_is_seen_and_what_is_only_down_is_not_lost() {
    let with = |stand: &str, log: &str| {
        FakeHost::new("m2")
            .on("get health", 1, "")
            .on("endpoint status", 1, "")
            .on("crictl logs", 0, log)
            .on("echo ended", 0, stand)
    };
    let damaged = r#"{"level":"fatal","msg":"wal: crc mismatch"}"#;
    let lost = |why: &str| MemberLoss::Lost(why.to_owned());
    assert_eq!(
        looked(with("ended\n", damaged)).await,
        lost("damaged log: wal: crc mismatch")
    );
    assert_eq!(
        looked(with("ended\n", "VOID\n")).await,
        lost("there is no data in /var/lib/etcd")
    );
    assert_eq!(
        looked(with("anew\n", "")).await,
        lost("its replacement was cut short")
    );
    for (stand, log) in [
        (
            "ended\n",
            r#"{"level":"fatal","msg":"address already in use"}"#,
        ),
        ("runs\n", damaged),
        ("", damaged),
    ] {
        assert_eq!(looked(with(stand, log)).await, MemberLoss::None, "{stand}");
    }
    let learner = r#"[{"Endpoint":"","Status":{"header":{"cluster_id":1,"member_id":2},"version":"3.6.8","isLearner":true}}]"#;
    let starts = with("runs\n", "").on("endpoint status", 0, learner);
    assert_eq!(looked(starts).await, MemberLoss::Learner);
}

#[tokio::test]
async fn a_member_that_has_founded_a_cluster_of_its_own_is_lost_and_the_first_of_a_cluster_is_not()
{
    let serves = |others: Option<&[String]>, here: &[String]| {
        let host = match others {
            Some(members) => FakeHost::new("m2").on("member list", 0, listed(members)),
            None => FakeHost::new("m2").on("member list", 1, ""),
        };
        host.on("echo ended", 0, "runs\n")
            .on("127.0.0.1:2379", 0, listed(here))
    };
    let [one, two, three] = [1, 2, 3].map(|number| member(number, ""));
    let announced = r#"{"ID":4,"peerURLs":["https://10.0.0.2:2380"],"isLearner":true}"#.to_owned();
    let alone = [two.clone()];
    for others in [
        &[one.clone(), three.clone()][..],
        &[one.clone(), announced, three.clone()],
    ] {
        assert!(matches!(
            looked(serves(Some(others), &alone)).await,
            MemberLoss::Lost(_)
        ));
    }
    let all = [one, two, three];
    assert_eq!(looked(serves(Some(&all), &all)).await, MemberLoss::None);
    assert_eq!(looked(serves(None, &alone)).await, MemberLoss::None);
}

#[test]
fn a_shell_reads_the_scripts() {
    let step = RestartLostMember {
        loss: lost(),
        with: Slot::new("with"),
        cluster: cluster(&[1, 2, 3]),
        me: peer(2),
        data_dir: "/var/lib/etcd".into(),
    };
    reads(exclusive(&step.anew("m1=https://10.0.0.1:2380")).text());
    reads(&step.complaints());
}

#[test]
fn the_manifest_names_those_whom_it_joins() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("etcd.yaml");
    let said = |manifest: &str| {
        std::fs::write(&path, manifest).unwrap();
        let script = format!("{} {}", with_whom("m1=x,m2=y"), path.display());
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let first = "    - --name=m1\n    - --initial-cluster=m1=x\n    - --quota-backend-bytes=1\n";
    insta::assert_snapshot!(said(first), @r"
        - --name=m1
        - --initial-cluster=m1=x,m2=y
        - --initial-cluster-state=existing
        - --quota-backend-bytes=1
    ");
    let joined = "    - --initial-cluster=m1=x,m3=z\n    - --initial-cluster-state=existing\n    - --name=m3\n";
    let anew = said(joined);
    assert_eq!(anew, said(&anew));
    assert_eq!(anew.matches("--initial-cluster").count(), 2, "{anew}");
}
