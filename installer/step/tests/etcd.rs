//! What is said where a member of etcd cannot be settled safely, word for word.

mod common;

use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use common::told;
use engine::{Cx, Slot, State, Step};
use event::Progress;
use host::HostError;
use host::fake::FakeHost;
use host::{Command, Output};
use step::{
    EnterEtcd, Entry, EtcdCluster, EtcdPeer, EtcdRuns, EtcdTrace, HealthyMembers,
    KeepEtcdAuthority, LookAtEtcd, NoteEtcdFounded, PromoteEtcdMember, RemoveDamagedMember,
    RemoveEtcdMember, RunEtcd, RunService, SetAsideRemoved, SpareEtcd, VerifyEtcd,
};
use tempfile::TempDir;

const CA: &str = "/etc/etcd/pki/ca.crt";

fn peer(number: u8) -> EtcdPeer {
    EtcdPeer {
        name: format!("node{number}"),
        address: format!("10.0.0.{number}"),
    }
}

fn cluster(members: u8) -> EtcdCluster {
    EtcdCluster {
        peers: (1..=members).map(peer).collect(),
        runs: EtcdRuns::Service {
            pki: "/etc/etcd/pki".into(),
        },
    }
}

fn member(number: u8, extra: &str) -> String {
    let EtcdPeer { name, address } = peer(number);
    format!(
        r#"{{"ID":{number},"name":"{name}","peerURLs":["https://{address}:2380"],"clientURLs":[]{extra}}}"#
    )
}

fn listed(members: &[String]) -> String {
    format!(r#"{{"members":[{}]}}"#, members.join(","))
}

fn everybody() -> String {
    listed(&[member(1, ""), member(2, ""), member(3, "")])
}

fn health(healthy: &[u8], sick: &[u8]) -> String {
    let says = |number: &u8, health: bool| {
        let endpoint = peer(*number).client_url();
        format!(r#"{{"endpoint":"{endpoint}","health":{health},"took":"1ms"}}"#)
    };
    let healthy = healthy.iter().map(|number| says(number, true));
    let answers: Vec<String> = healthy
        .chain(sick.iter().map(|number| says(number, false)))
        .collect();
    format!("[{}]", answers.join(","))
}

/// A host with what a member leaves on it.
fn host(trace: &str) -> FakeHost {
    FakeHost::new("node").on("echo entered", 0, trace)
}

fn failing(host: FakeHost, needle: &'static str, words: &'static str) -> FakeHost {
    host.on_command(move |command: &Command, _| {
        let output = Output {
            status: 1,
            stdout: Vec::new(),
            stderr: words.into(),
        };
        command.text().contains(needle).then_some(Ok(output))
    })
}

fn silent(host: FakeHost) -> FakeHost {
    let words = "{\"level\":\"warn\"}\nError: context deadline exceeded";
    failing(host, "member list", words)
}

/// One pass over a step as the engine does it, in words.
async fn pass(step: &dyn Step, host: &Arc<FakeHost>) -> String {
    let cx = Cx::new(Arc::clone(host) as Arc<dyn host::Host>, Progress::unseen());
    match step.check(&cx).await {
        Err(error) => told(&error),
        Ok(State::Satisfied) => "satisfied".to_owned(),
        Ok(State::Needed(reason)) => match step.apply(&cx).await {
            Ok(()) => format!("done, because it {reason}"),
            Err(error) => told(&error),
        },
    }
}

async fn says(step: &dyn Step, host: FakeHost) -> String {
    pass(step, &Arc::new(host)).await
}

/// A place on the operator's machine.
struct Site(TempDir);

impl Site {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.0.path().join(name)).unwrap()
    }

    fn founded(self) -> Self {
        std::fs::write(self.path("founded"), "yes").unwrap();
        self
    }

    fn founder(&self, members: u8, traces: &[Option<EtcdTrace>]) -> EnterEtcd {
        let filled = |(at, trace): (usize, &Option<EtcdTrace>)| {
            let name = format!("node{}", at + 2);
            let slot = Slot::new(&name);
            if let Some(trace) = trace {
                slot.fill(*trace);
            }
            (name, slot)
        };
        let traces = traces.iter().enumerate().map(filled).collect();
        let note = self.path("founded");
        enter(1, members, Entry::Founder { traces, note })
    }

    fn hide(&self, text: &str) -> String {
        text.replace(self.path("").as_str(), "[certs]/")
    }
}

fn enter(number: u8, members: u8, entry: Entry) -> EnterEtcd {
    EnterEtcd {
        me: peer(number),
        cluster: cluster(members),
        entry,
        token: "demo".into(),
        bootstrap: "/etc/etcd/bootstrap.env".into(),
        data_dir: "/var/lib/etcd".into(),
        settled: Slot::new("settled"),
        founded: Slot::new("founded"),
    }
}

fn joiner(number: u8) -> EnterEtcd {
    let founder = "node1".to_owned();
    enter(number, 3, Entry::Joiner { founder })
}

const BARE: Option<EtcdTrace> = Some(EtcdTrace {
    data: false,
    entered: false,
});
const MEMBER: Option<EtcdTrace> = Some(EtcdTrace {
    data: true,
    entered: true,
});

fn bootstrap(host: &FakeHost) -> String {
    let files = host.files();
    let file = files.get(camino::Utf8Path::new("/etc/etcd/bootstrap.env"));
    file.map_or_else(String::new, |file| {
        String::from_utf8_lossy(&file.bytes).into_owned()
    })
}

#[tokio::test]
async fn a_cluster_is_founded_where_there_can_be_no_other() {
    let fresh = [BARE, BARE];
    for (site, traces) in [
        (Site::new(), &fresh),
        (Site::new(), &[BARE, None]),
        // Machines set up anew, with the certificates of before.
        (Site::new().founded(), &fresh),
    ] {
        let founder = Arc::new(silent(host("")));
        let step = site.founder(3, traces);
        assert_eq!(
            pass(&step, &founder).await,
            "done, because it is no member yet"
        );
        assert!(bootstrap(&founder).contains("STATE=\"new\""));
    }
    // Killed before its first start.
    let step = Site::new().founder(1, &[]);
    assert_eq!(
        says(&step, host("entered")).await,
        "done, because it has no data"
    );
}

#[tokio::test]
async fn a_cluster_is_not_founded_beside_one_that_may_be_there() {
    let step = Site::new().founder(3, &[BARE, MEMBER]);
    insta::assert_snapshot!(says(&step, silent(host(""))).await, @r"
    node3 has been a member of etcd, and nobody answers there: Error: context deadline exceeded
    hint: no second cluster is founded beside it; on node3: systemctl start etcd; journalctl -u etcd
    ");
    let site = Site::new().founded();
    let step = site.founder(3, &[BARE, None]);
    insta::assert_snapshot!(says(&step, silent(host(""))).await, @r"
    node3 may be a member of etcd and could not be asked, and nobody answers there: Error: context deadline exceeded
    hint: run again when node3 can be reached
    ");
    let lost = || HostError::Lost {
        address: "node1".into(),
        why: "cut".into(),
    };
    let cut = host("");
    cut.fail("member list", 1, lost);
    let step = Site::new().founder(3, &[BARE, None]);
    insta::assert_snapshot!(says(&step, cut).await, @"the connection to node1 was lost: cut");
}

#[tokio::test]
async fn whoever_lost_the_only_data_is_not_given_an_empty_cluster() {
    let site = Site::new().founded();
    let step = site.founder(1, &[]);
    insta::assert_snapshot!(site.hide(&says(&step, host("entered")).await), @r"
    /var/lib/etcd is empty on this host, and it was to hold the only data of etcd: no other host has ever been a member
    hint: mount it, or put it back from a backup; if it is lost for good, a new and empty cluster is founded after: rm [certs]/founded
    ");
}

#[tokio::test]
async fn a_founder_that_comes_back_empty_joins_as_all_others() {
    let site = Site::new().founded();
    let founder = host("").on("member list", 0, listed(&[member(2, ""), member(3, "")]));
    let founder = Arc::new(founder);
    let step = site.founder(3, &[MEMBER, MEMBER]);
    pass(&step, &founder).await;
    let text = bootstrap(&founder);
    assert!(text.contains("STATE=\"existing\""), "{text}");
    assert!(
        text.contains(
            "node2=https://10.0.0.2:2380,node3=https://10.0.0.3:2380,node1=https://10.0.0.1:2380"
        ),
        "{text}"
    );
    let promote = |members: u8| PromoteEtcdMember {
        me: peer(1),
        cluster: cluster(members),
    };
    let learner = member(1, r#","isLearner":true"#);
    let learner = host("").on("member list", 0, listed(&[learner, member(2, "")]));
    let promoted = says(&promote(3), learner).await;
    assert_eq!(promoted, "done, because it is a learner");
    assert_eq!(says(&promote(1), silent(host(""))).await, "satisfied");
}

#[tokio::test]
async fn a_joiner_that_cannot_join_says_why() {
    insta::assert_snapshot!(says(&joiner(2), silent(host(""))).await, @r"
    node2 joins etcd, and no member of it answers: Error: context deadline exceeded
    hint: on node1: journalctl -u etcd
    ");
    let learner = member(2, r#","isLearner":true"#);
    let busy = host("").on("member list", 0, listed(&[member(1, ""), learner]));
    insta::assert_snapshot!(says(&joiner(3), busy).await, @r"
    node3 cannot join etcd while node2 has not become a voting member
    hint: let it finish: run again when its host is up; or take it out: etcdctl member remove 2
    ");
    insta::assert_snapshot!(says(&joiner(2), host("data")).await, @r"
    /var/lib/etcd holds the data of an etcd that kubexm did not set up
    hint: move it away if nobody needs it, or set spec.etcd.dataDir
    ");
}

/// A host that has lost what its member had, where these of the others serve.
fn void(healthy: &[u8], sick: &[u8]) -> FakeHost {
    let voter = |number: u8| {
        let urls = format!(r#""clientURLs":["{}"]"#, peer(number).client_url());
        member(number, "").replace(r#""clientURLs":[]"#, &urls)
    };
    host("entered")
        .on("member list", 0, listed(&[voter(1), voter(2), voter(3)]))
        .on("endpoint health", 1, health(healthy, sick))
}

#[tokio::test]
async fn a_member_that_lost_its_data_joins_anew_where_the_others_can_go_on() {
    let host = Arc::new(void(&[1, 3], &[2]));
    assert_eq!(
        pass(&joiner(2), &host).await,
        "done, because it has no data"
    );
    let done = host.transcript();
    let removed = done.find("member remove 2").unwrap();
    assert!(
        removed < done.find("member add node2 --learner").unwrap(),
        "{done}"
    );
    let way = bootstrap(&host);
    assert!(way.contains("STATE=\"existing\""), "{way}");
    insta::assert_snapshot!(says(&joiner(2), void(&[1], &[2, 3])).await, @r"
    etcd counts node2 as its member 2, but /var/lib/etcd is empty on this host: etcd would lose its quorum without node2: of the 2 others 2 must be healthy, and node3 is not
    hint: mend the others first, or take out the one that is lost for good: kubexm delete node NAME --dead; kubexm check tells how each is
    ");
    insta::assert_snapshot!(says(&joiner(2), void(&[1, 2, 3], &[])).await, @r"
    node2 serves as a member of etcd, and its data is not in /var/lib/etcd
    hint: put spec.etcd.dataDir back; where the data was removed under it: systemctl stop etcd there, and run again
    ");
    let unmounted = void(&[1, 3], &[2]).on("/etc/fstab", 0, "/var/lib/etcd\n");
    insta::assert_snapshot!(says(&joiner(2), unmounted).await, @r"
    etcd counts node2 as its member, and /var/lib/etcd is not mounted, where its data is by /etc/fstab
    hint: mount /var/lib/etcd; if that disk is lost for good, take its line out of /etc/fstab and run again: the member then joins anew
    ");
}

fn damaged() -> RemoveDamagedMember {
    let mut others = cluster(3);
    others.peers.remove(1);
    RemoveDamagedMember {
        service: service(),
        bootstrap: "/etc/etcd/bootstrap.env".into(),
        data_dir: "/var/lib/etcd".into(),
        patience: Duration::ZERO,
        remove: RemoveEtcdMember {
            member: peer(2),
            cluster: others,
        },
    }
}

#[tokio::test]
async fn a_member_that_cannot_read_its_data_is_taken_out_and_one_that_is_only_down_is_not() {
    let start = r#"{"level":"info","msg":"Running: "}"#;
    let panic = r#"{"level":"panic","msg":"walpb: crc mismatch"}"#;
    let ended = |log: &str| {
        void(&[1, 3], &[2])
            .on("echo entered", 0, "data\nentered")
            .on("echo ended", 0, format!("ended\n{log}\n"))
    };
    let host = Arc::new(ended(&format!("{start}\n{panic}")));
    assert_eq!(
        pass(&damaged(), &host).await,
        "done, because it cannot read its data: damaged log: walpb: crc mismatch"
    );
    assert!(host.transcript().contains("member remove 2"));
    let mended = format!("{start}\n{panic}\n{start}");
    let busy = format!("{start}\n{{\"level\":\"fatal\",\"msg\":\"address already in use\"}}");
    for left in [
        ended(&mended),
        ended(&busy),
        ended(panic).on("echo ended", 0, "starting"),
        ended(panic).on("echo ended", 0, ""),
        ended(panic).on("member list", 0, listed(&[member(1, ""), member(3, "")])),
        ended(panic).on("echo entered", 0, ""),
    ] {
        assert_eq!(says(&damaged(), left).await, "satisfied");
    }
    insta::assert_snapshot!(says(&damaged(), silent(ended(panic))).await, @r"
    node2 cannot read its data, and etcd has no majority without it that could let it join anew: damaged log: walpb: crc mismatch; the others: Error: context deadline exceeded
    hint: start the others first; where the data of most members is lost: kubexm etcd status names the newest snapshot, kubexm etcd restore brings it back
    ");
}

#[tokio::test]
async fn a_joiner_that_was_killed_after_its_announcement_goes_on() {
    let unstarted = r#"{"ID":2,"peerURLs":["https://10.0.0.2:2380"],"isLearner":true}"#;
    let list = listed(&[member(1, ""), unstarted.to_owned()]);
    let host = Arc::new(host("entered").on("member list", 0, list));
    let step = joiner(2);
    assert_eq!(pass(&step, &host).await, "done, because it has no data");
    assert_eq!(pass(&step, &host).await, "satisfied");
    assert!(!host.transcript().contains("member add"));
}

#[tokio::test]
async fn a_learner_whom_nobody_reaches_keeps_no_other_from_joining() {
    let learner = member(2, r#","isLearner":true"#);
    let named = listed(&[member(1, ""), learner, member(3, "")]);
    // It was announced, and has not come up: nobody of the others reaches it.
    let unheard = r#"{"ID":2,"peerURLs":["https://10.0.0.2:2380"],"isLearner":true}"#;
    for (listed, withdrawn) in [
        (
            listed(&[member(1, ""), unheard.to_owned(), member(3, "")]),
            true,
        ),
        (named, false),
    ] {
        let host = host("")
            .on("member list", 0, listed)
            .on("is-enabled", 0, "is not running\n");
        let host = Arc::new(failing(
            host,
            "systemctl restart",
            "Job for etcd.service failed.",
        ));
        let said = pass(&run(2, 3), &host).await;
        assert!(said.contains("Job for etcd.service failed."), "{said}");
        assert_eq!(
            said.contains("was taken out of etcd again"),
            withdrawn,
            "{said}"
        );
        assert_eq!(host.transcript().contains("member remove 2"), withdrawn);
    }
}

fn set_aside() -> SetAsideRemoved {
    SetAsideRemoved {
        me: peer(2),
        cluster: cluster(3),
        service: service(),
        bootstrap: "/etc/etcd/bootstrap.env".into(),
        data_dir: "/var/lib/etcd".into(),
    }
}

#[tokio::test]
async fn what_a_member_left_that_was_taken_out_is_set_aside() {
    let without = || listed(&[member(1, ""), member(3, "")]);
    let kept = || host("data\nentered");
    let aside = Arc::new(kept().on("member list", 0, without()));
    assert_eq!(
        pass(&set_aside(), &aside).await,
        "done, because it /var/lib/etcd holds the data of a member that was taken out of etcd"
    );
    assert!(aside.transcript().contains("kubexm-aside-"));
    let running = kept()
        .on("member list", 0, without())
        .on("systemctl is-active", 0, "active\n");
    for left in [
        running,
        kept().on("member list", 0, everybody()),
        silent(kept()),
        host("data").on("member list", 0, without()),
        host("").on("member list", 0, without()),
    ] {
        assert_eq!(says(&set_aside(), left).await, "satisfied");
    }
}

#[tokio::test]
async fn members_that_the_config_does_not_know_are_told_before_anything_is_done() {
    let look = |trace: &Slot<EtcdTrace>| LookAtEtcd {
        cluster: cluster(2),
        bootstrap: "/etc/etcd/bootstrap.env".into(),
        data_dir: "/var/lib/etcd".into(),
        trace: trace.clone(),
    };
    let trace = Slot::new("node1");
    let here = || host("data\nentered");
    let foreign = here().on("member list", 0, everybody());
    insta::assert_snapshot!(says(&look(&trace), foreign).await, @r"
    etcd has a member that the config does not list: node3
    hint: add it to the role etcd, or take it out: kubexm delete node NAME, or etcdctl member remove 3
    ");
    let moved = member(2, "").replace("10.0.0.2", "10.9.9.9");
    let moved = here().on("member list", 0, listed(&[member(1, ""), moved]));
    insta::assert_snapshot!(says(&look(&trace), moved).await, @r"
    etcd has node2 at https://10.9.9.9:2380, and the config has it at https://10.0.0.2:2380
    hint: if it has moved: etcdctl member update 2 --peer-urls=https://10.0.0.2:2380; otherwise correct its internalAddress
    ");
    assert_eq!(trace.get(), None);
    assert_eq!(says(&look(&trace), silent(here())).await, "satisfied");
    assert_eq!(trace.get().copied(), MEMBER);
}

#[tokio::test]
async fn a_member_of_another_authority_is_not_touched() {
    let site = Site::new();
    let step = KeepEtcdAuthority {
        local: site.path("ca.crt"),
        path: CA.into(),
        data_dir: "/var/lib/etcd".into(),
    };
    std::fs::write(site.path("ca.crt"), "new").unwrap();
    let with = |authority: &'static str| FakeHost::new("node1").with_file(CA, authority, 0o644);
    let text = says(&step, with("old")).await;
    let dir = site.path("");
    let dir = dir.as_str().trim_end_matches('/');
    insta::assert_snapshot!(text.replace(dir, "[certs]"), @r"
    [certs]/ca.crt is not the certificate authority that this member's cluster was made with
    hint: put [certs] in place as it is on the machine that installed the cluster, or in its backup; then run again
    ");
    assert_eq!(says(&step, with("new")).await, "satisfied");
    let no_data = with("old").on("/var/lib/etcd/member", 1, "");
    assert_eq!(says(&step, no_data).await, "satisfied");
}

fn service() -> RunService {
    RunService {
        unit: "etcd.service",
        reads: vec!["/etc/etcd/etcd.env".into()],
    }
}

fn run(number: u8, members: u8) -> RunEtcd {
    RunEtcd {
        service: service(),
        me: peer(number),
        cluster: cluster(members),
    }
}

fn spare(number: u8, members: u8) -> SpareEtcd {
    SpareEtcd {
        service: service(),
        me: peer(number),
        cluster: cluster(members),
    }
}

/// A member that runs with files of before.
fn older() -> FakeHost {
    host("")
        .on("member list", 0, everybody())
        .on("systemctl is-active etcd", 0, "active\n")
        .on("is-enabled", 0, "runs with older files\n")
}

#[tokio::test]
async fn a_member_is_spared_only_while_the_others_keep_the_majority() {
    let well = older().on("endpoint health", 0, health(&[1, 2, 3], &[]));
    assert_eq!(says(&spare(1, 3), well).await, "satisfied");

    let sick = older().on("endpoint health", 1, health(&[2], &[3]));
    insta::assert_snapshot!(says(&spare(1, 3), sick).await, @r"
    etcd runs with older files and is not restarted: 2 healthy members are needed beside it, and node3 is not healthy
    hint: on these members: journalctl -u etcd; run again when they are healthy
    ");
    insta::assert_snapshot!(says(&spare(1, 3), silent(older())).await, @r"
    etcd runs with older files and is not restarted: etcd does not answer: Error: context deadline exceeded
    hint: on each member: journalctl -u etcd
    ");
    let stopped = host("").on("systemctl is-active etcd", 3, "inactive\n");
    assert_eq!(says(&spare(1, 3), stopped).await, "satisfied");
}

#[tokio::test]
async fn the_only_member_is_spared_and_one_of_two_while_the_other_is_healthy() {
    let alone = || older().on("endpoint health", 0, health(&[1, 2], &[]));
    assert_eq!(says(&spare(1, 1), alone()).await, "satisfied");
    let two = alone().on("member list", 0, listed(&[member(1, ""), member(2, "")]));
    assert_eq!(says(&spare(1, 2), two).await, "satisfied");
}

#[tokio::test]
async fn a_member_that_does_not_come_up_shows_its_last_lines() {
    let well = || older().on("endpoint health", 0, health(&[1, 2, 3], &[]));
    let done = "done, because it runs with older files";
    assert_eq!(says(&run(1, 3), well()).await, done);
    let words = "Job for etcd.service failed.";
    let broken = failing(well(), "systemctl restart", words).on(
        "journalctl",
        0,
        "listen tcp 10.0.0.1:2380: bind: cannot assign requested address\n",
    );
    insta::assert_snapshot!(says(&run(1, 3), broken).await, @r"
    cannot start etcd.service: Job for etcd.service failed.
    its last lines:
    listen tcp 10.0.0.1:2380: bind: cannot assign requested address
    hint: on the host: systemctl status etcd.service; journalctl -u etcd.service
    ");
    let stopped = host("").on("is-enabled", 0, "is not running\n");
    let started = says(&run(3, 3), stopped).await;
    assert_eq!(started, "done, because it is not running");
}

#[tokio::test]
async fn a_member_whose_connection_was_lost_is_tried_again() {
    let host = older().on("endpoint health", 0, health(&[1, 2, 3], &[]));
    host.fail("systemctl restart", 1, || HostError::Lost {
        address: "10.0.0.1:22".to_owned(),
        why: "end of stream".to_owned(),
    });
    let host = Arc::new(host);
    let lost = "the connection to 10.0.0.1:22 was lost: end of stream";
    assert_eq!(pass(&run(1, 3), &host).await, lost);
    let done = "done, because it runs with older files";
    assert_eq!(pass(&run(1, 3), &host).await, done);
}

#[tokio::test]
async fn a_service_that_does_not_come_up_in_time_shows_its_last_lines_as_well() {
    let service = RunService {
        unit: "etcd.service",
        reads: vec!["/etc/etcd/etcd.env".into()],
    };
    let host = host("").on("is-enabled", 0, "is not running\n").on(
        "journalctl",
        0,
        "waiting for a leader\n",
    );
    let host = host.on_command(|command, _| {
        let late = HostError::Timeout {
            command: command.brief(),
            limit: command.limit(),
        };
        command
            .text()
            .contains("systemctl restart")
            .then_some(Err(late))
    });
    insta::assert_snapshot!(says(&service, host).await, @r"
    etcd.service was not up within 300 s
    its last lines:
    waiting for a leader
    hint: on the host: systemctl status etcd.service; journalctl -u etcd.service
    ");
}

#[tokio::test]
async fn that_a_cluster_was_founded_is_noted_once() {
    let site = Site::new();
    let note = site.path("etcd/founded");
    let step = NoteEtcdFounded { note };
    let noted = says(&step, host("")).await;
    assert_eq!(noted, "done, because it is not noted");
    assert_eq!(says(&step, host("")).await, "satisfied");
}

#[tokio::test]
async fn the_proof_asks_for_every_member_and_does_not_wait_for_foreign_ones() {
    let proof = |members: u8| VerifyEtcd {
        cluster: cluster(members),
        wanted: HealthyMembers::All,
    };
    let list = || {
        let well = host("").on("endpoint health", 0, health(&[1, 2, 3], &[]));
        well.on("member list", 0, everybody())
    };
    assert_eq!(says(&proof(3), list()).await, "satisfied");
    insta::assert_snapshot!(says(&proof(2), list()).await, @r"
    etcd has a member that the config does not list: node3
    hint: add it to the role etcd, or take it out: kubexm delete node NAME, or etcdctl member remove 3
    ");
}

#[tokio::test]
async fn a_cluster_that_was_there_serves_by_its_majority_and_a_new_one_by_all() {
    let founded = Slot::new("founded");
    let proof = VerifyEtcd {
        cluster: cluster(3),
        wanted: HealthyMembers::Majority(founded.clone()),
    };
    let one_down = || {
        let host = host("").on("endpoint health", 1, health(&[1, 3], &[2]));
        host.on("member list", 0, everybody())
    };
    let look = async |host: FakeHost| {
        let cx = Cx::new(Arc::new(host), Progress::unseen());
        proof.check(&cx).await.unwrap()
    };
    assert_eq!(look(one_down()).await, State::Satisfied);
    let lost = host("").on("endpoint health", 1, health(&[3], &[1, 2]));
    let lost = lost.on("member list", 0, everybody());
    let lacking = State::needed("node1 and node2 are not healthy");
    assert_eq!(look(lost).await, lacking);
    founded.fill(());
    let lacking = State::needed("node2 is not healthy");
    assert_eq!(look(one_down()).await, lacking);
    let two_vote = host("").on("member list", 0, listed(&[member(1, ""), member(3, "")]));
    let lacking = State::needed("2 of its 3 members vote");
    assert_eq!(look(two_vote).await, lacking);
}
