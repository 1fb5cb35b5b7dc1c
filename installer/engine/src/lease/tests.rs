use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use host::fake::FakeHost;
use host::{HostError, Output};

use super::*;

/// Hosts whose leases lie in directories of this machine, and whose scripts its shell runs.
struct Site {
    dir: tempfile::TempDir,
    down: Vec<&'static str>,
}

impl Site {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            down: Vec::new(),
        }
    }

    fn path(&self, host: &str) -> PathBuf {
        self.dir.path().join(host)
    }

    fn lease(&self, host: &str) -> Option<String> {
        fs::read_to_string(self.path(host)).ok()
    }

    fn host(&self, name: &str) -> Arc<dyn Host> {
        let path = self.path(name);
        let host = FakeHost::new(name)
            .on_command(move |command, _| Some(Ok(by_shell(command.text(), &path))));
        if self.down.contains(&name) {
            host.go_down();
        }
        Arc::new(host)
    }

    async fn take(&self, who: &str, stale: StaleLease) -> Result<Lease, LeaseError> {
        let hosts = ["node1", "node2", "node3"].map(|name| self.host(name));
        Lease::take(hosts.into(), &claim(who), stale, &CancellationToken::new()).await
    }

    /// As if nobody had renewed it since the boot.
    fn age(&self, host: &str) {
        let lease = self.lease(host).unwrap();
        let renewed = lease.lines().last().unwrap();
        fs::write(self.path(host), lease.replace(renewed, "renewed: 0")).unwrap();
    }
}

fn by_shell(script: &str, path: &Path) -> Output {
    let output = std::process::Command::new("sh")
        .args(["-c", &script.replace(PATH, path.to_str().unwrap())])
        .output()
        .unwrap();
    Output {
        status: output.status.code().unwrap().unsigned_abs(),
        stdout: output.stdout,
        stderr: output.stderr,
    }
}

fn claim(who: &str) -> Claim {
    Claim {
        run: format!("run of {who}"),
        holder: format!("tree of {who}"),
        cluster: "demo".to_owned(),
        verb: "install".to_owned(),
        owner: format!("{who}@ops"),
        directory: format!("/home/{who}/site"),
        since: "2026-11-30T09:12:03Z".parse().unwrap(),
    }
}

#[tokio::test]
async fn whoever_comes_second_is_told_who_is_at_work() {
    let site = Site::new();
    let lease = site.take("anna", StaleLease::Respect).await.unwrap();
    for host in ["node1", "node2", "node3"] {
        let text = site.lease(host).unwrap();
        assert!(text.starts_with("run: run of anna\n"), "{text}");
    }
    let mode = fs::metadata(site.path("node1"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // One that is renewed is nobody's to break.
    for stale in [StaleLease::Respect, StaleLease::Break] {
        let error = site.take("bert", stale).await.err().unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"another kubexm works on this cluster: install by anna@ops in /home/anna/site, since 2026-11-30T09:12:03Z (lease on node1)");
            insta::assert_snapshot!(error.hint(), @"wait for it to end, or end it on anna@ops");
        }
    }
    lease.release().await.unwrap();
    assert_eq!(fs::read_dir(site.dir.path()).unwrap().count(), 0);
    let lease = site.take("bert", StaleLease::Respect).await.unwrap();
    lease.release().await.unwrap();
}

#[tokio::test]
async fn one_that_nobody_renews_is_told_and_broken_only_on_request() {
    let site = Site::new();
    // Killed: what it holds is not given back.
    std::mem::forget(site.take("anna", StaleLease::Respect).await.unwrap());
    for host in ["node1", "node2", "node3"] {
        site.age(host);
    }
    let error = site.take("bert", StaleLease::Respect).await.err().unwrap();
    let words = error.to_string();
    assert!(
        words.starts_with(
            "another run on this cluster has not ended: install by anna@ops in /home/anna/site, since \
             2026-11-30T09:12:03Z; it was last heard of "
        ),
        "{words}"
    );
    insta::assert_snapshot!(error.hint(), @"if it was killed, run again as anna@ops in /home/anna/site: there it goes on by itself. If it surely runs no more and cannot go on there, take its place with --break-lease");
    let lease = site.take("bert", StaleLease::Break).await.unwrap();
    assert!(site.lease("node3").unwrap().contains("bert@ops"));
    lease.release().await.unwrap();
}

#[tokio::test]
async fn a_run_that_was_killed_goes_on_from_its_own_directory_without_asking() {
    let site = Site::new();
    std::mem::forget(site.take("anna", StaleLease::Respect).await.unwrap());
    let again = Claim {
        run: "the next run of anna".to_owned(),
        ..claim("anna")
    };
    let hosts = vec![site.host("node1")];
    let stop = CancellationToken::new();
    let lease = Lease::take(hosts, &again, StaleLease::Respect, &stop).await;
    let lease = lease.unwrap();
    assert!(site.lease("node1").unwrap().contains("the next run"));
    lease.release().await.unwrap();
}

#[tokio::test]
async fn one_host_that_is_down_keeps_nobody_and_two_of_three_do() {
    let mut site = Site::new();
    site.down = vec!["node1"];
    let lease = site.take("anna", StaleLease::Respect).await.unwrap();
    let found = site.take("bert", StaleLease::Respect).await.err().unwrap();
    assert!(
        found.to_string().ends_with("(lease on node2)"),
        "whoever reaches others finds it there: {found}"
    );
    lease.release().await.unwrap();
    site.down = vec!["node1", "node3"];
    let error = site.take("anna", StaleLease::Respect).await.err().unwrap();
    insta::assert_snapshot!(error, @r"
    the lease of the cluster is kept on node1, node2, node3, and 2 of them must be asked:
      node1: cannot reach node1: the fake is down
      node3: cannot reach node3: the fake is down
    ");
    insta::assert_snapshot!(error.hint(), @"bring them back; hosts that are lost for good are taken out of the config");
    assert_eq!(site.lease("node2"), None, "what was held is given back");
}

const OFTEN: Duration = Duration::from_millis(20);

#[tokio::test]
async fn it_is_renewed_and_a_host_that_lost_it_gets_it_again() {
    let site = Site::new();
    let (hosts, stop) = (
        ["node1", "node2"].map(|name| site.host(name)),
        CancellationToken::new(),
    );
    let claim = claim("anna");
    let lease = Lease::renewed_every(OFTEN, hosts.into(), &claim, StaleLease::Respect, &stop).await;
    site.age("node1");
    fs::remove_file(site.path("node2")).unwrap();
    let is_old = || {
        site.lease("node1")
            .is_none_or(|lease| lease.ends_with("renewed: 0\n"))
    };
    while is_old() || site.lease("node2").is_none() {
        sleep(OFTEN).await;
    }
    lease.unwrap().release().await.unwrap();
    assert_eq!(fs::read_dir(site.dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn whoever_loses_it_is_ended_and_told() {
    let site = Site::new();
    let stop = CancellationToken::new();
    let hosts = vec![site.host("node1")];
    let anna = claim("anna");
    let lease = Lease::renewed_every(OFTEN, hosts, &anna, StaleLease::Respect, &stop).await;
    let lease = lease.unwrap();
    let other = claim("bert").record() + "\nrenewed: 1\n";
    fs::write(site.path("node1"), &other).unwrap();
    stop.cancelled().await;
    let error = lease.release().await.err().unwrap();
    insta::assert_snapshot!(error, @"another kubexm took this cluster over: install by bert@ops in /home/bert/site, since 2026-11-30T09:12:03Z (lease on node1); this run was ended");
    insta::assert_snapshot!(error.hint(), @"ask bert@ops before you run again: what this run has begun, the other goes on with");
    assert_eq!(site.lease("node1"), Some(other), "it is not ours to remove");
}

#[tokio::test]
async fn a_killed_script_keeps_nobody_out_and_a_host_that_refuses_is_told() {
    let site = Site::new();
    fs::create_dir(site.dir.path().join("node1.lock")).unwrap();
    let (host, stop) = (vec![site.host("node1")], CancellationToken::new());
    let lease = Lease::take(host, &claim("anna"), StaleLease::Respect, &stop).await;
    lease.unwrap().release().await.unwrap();

    let refusing = FakeHost::new("node1").on_command(|_, _| {
        Some(Err(HostError::Timeout {
            command: "lease".to_owned(),
            limit: PATIENCE,
        }))
    });
    let host: Vec<Arc<dyn Host>> = vec![Arc::new(refusing)];
    let error = Lease::take(host, &claim("anna"), StaleLease::Respect, &stop).await;
    assert!(matches!(error, Err(LeaseError::TooFew { .. })));
}

#[test]
fn what_is_told_of_others_has_one_line() {
    let record = Claim {
        owner: "anna\nrenewed: 9999999\u{1b}[2J".to_owned(),
        ..claim("anna")
    }
    .record();
    assert_eq!(record.lines().count(), 7, "{record}");
}
