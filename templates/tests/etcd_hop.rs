//! Real members of etcd that go from 3.5 to 3.6 one after the other, each with the environment that is written for its version.
//! `KUBEXM_ETCD_HOP` names the folders with `etcd`, `etcdctl` and `etcdutl` of both versions, the older first: `OLD:NEW`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use templates::*;

/// How long a member may take to be well.
const PATIENCE: Duration = Duration::from_mins(1);
const MEMBERS: [(&str, &str); 3] = [
    ("a", "127.0.35.1"),
    ("b", "127.0.35.2"),
    ("c", "127.0.35.3"),
];

#[derive(Clone, Copy, PartialEq)]
enum Of {
    Old,
    New,
}

struct Site {
    dir: TempDir,
    old: PathBuf,
    new: PathBuf,
}

struct Member {
    child: Child,
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Member {
    fn stop(mut self) {
        let stopped = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(stopped.unwrap().success());
        self.child.wait().unwrap();
    }
}

fn openssl(dir: &Path, args: &[&str]) {
    let made = Command::new("openssl")
        .current_dir(dir)
        .args(args)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

impl Site {
    fn new() -> Self {
        let folders = std::env::var("KUBEXM_ETCD_HOP").expect("KUBEXM_ETCD_HOP names no folders");
        let (old, new) = folders.split_once(':').expect("it is OLD:NEW");
        let dir = TempDir::new().unwrap();
        let key = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ];
        let authority = [
            "req",
            "-x509",
            "-subj",
            "/CN=etcd-ca",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
        ];
        openssl(dir.path(), &[&authority[..], &key].concat());
        let names = MEMBERS
            .map(|(_, address)| format!("IP:{address}"))
            .join(",");
        let names = format!("subjectAltName=IP:127.0.0.1,{names}");
        for name in ["server", "peer"] {
            let (crt, private) = (format!("{name}.crt"), format!("{name}.key"));
            let of = [
                "req",
                "-x509",
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-subj",
                "/CN=member",
            ];
            let to = ["-keyout", &private, "-out", &crt, "-addext", &names];
            openssl(dir.path(), &[&of[..], &to, &key].concat());
        }
        Self {
            dir,
            old: old.into(),
            new: new.into(),
        }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn program(&self, of: Of, name: &str) -> PathBuf {
        match of {
            Of::Old => self.old.join(name),
            Of::New => self.new.join(name),
        }
    }

    /// What the unit of a member reads, without the sockets that all members have on one address.
    fn environment(&self, of: Of, (name, address): (&str, &str)) -> Vec<(String, String)> {
        let settings = EtcdEnvironment {
            name: name.to_owned(),
            address: address.to_owned(),
            data_dir: self.path(name),
            pki_dir: self.path(""),
            heartbeat_ms: 100,
            election_ms: 1000,
            snapshot_count: 10_000,
            compaction_hours: 8,
            quota_bytes: 8 << 30,
            max_request_bytes: 1_572_864,
            max_snapshots: 5,
            max_wals: 5,
            metrics: "basic".to_owned(),
            metrics_reach: MetricsReach::Host,
            log_level: "info".to_owned(),
            corruption_check: match of {
                Of::Old => CorruptionCheck::Experimental,
                Of::New => CorruptionCheck::FeatureGate,
            },
        };
        let bootstrap = EtcdBootstrap {
            state: BootstrapState::New,
            token: "hop".to_owned(),
            members: MEMBERS
                .map(|(name, address)| format!("{name}=https://{address}:2380"))
                .to_vec(),
        };
        let text = format!(
            "{}\n{}",
            settings.render().unwrap(),
            bootstrap.render().unwrap()
        );
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let pairs =
            lines.filter(|(key, _)| key.starts_with("ETCD_") && !key.contains("METRICS_URLS"));
        pairs
            .map(|(key, value)| {
                let value = value
                    .trim_matches('"')
                    .replace(",https://127.0.0.1:2379", "");
                (key.to_owned(), value)
            })
            .collect()
    }

    fn start(&self, of: Of, member: (&str, &str)) -> Member {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path(&format!("{}.log", member.0)))
            .unwrap();
        let child = Command::new(self.program(of, "etcd"))
            .env_clear()
            .envs(self.environment(of, member))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Member {
            child: child.unwrap(),
        }
    }

    fn etcdctl(&self, address: &str, args: &[&str]) -> Output {
        let mut command = Command::new(self.program(Of::New, "etcdctl"));
        let endpoint = format!("https://{address}:2379");
        command.env_clear().args([
            "--endpoints",
            &endpoint,
            "--dial-timeout=1s",
            "--command-timeout=3s",
        ]);
        command.args(["--cacert", &self.path("ca.crt")]);
        command.args([
            "--cert",
            &self.path("server.crt"),
            "--key",
            &self.path("server.key"),
        ]);
        command.args(args).output().unwrap()
    }

    fn told(&self, address: &str, args: &[&str]) -> String {
        let output = self.etcdctl(address, args);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Until every member serves a read that all agree on.
    fn well(&self) {
        let began = Instant::now();
        for (name, address) in MEMBERS {
            while !self
                .etcdctl(address, &["endpoint", "health"])
                .status
                .success()
            {
                assert!(
                    began.elapsed() < PATIENCE,
                    "{name}: {}",
                    fs::read_to_string(self.path(&format!("{name}.log"))).unwrap()
                );
                thread::yield_now();
            }
        }
    }

    fn status(&self, address: &str) -> Value {
        let told = self.told(address, &["endpoint", "status", "-w", "json"]);
        serde_json::from_str::<Value>(&told).unwrap()[0]["Status"].clone()
    }

    fn keys(&self) -> usize {
        let told = self.told(MEMBERS[0].1, &["get", "--prefix", "--keys-only", "k/"]);
        told.lines().filter(|line| !line.is_empty()).count()
    }

    /// What etcd's own tool of the old version finds in the data of a member that is stopped.
    fn v2store(&self, name: &str) -> String {
        let mut check = Command::new(self.program(Of::Old, "etcdutl"));
        let checked = check
            .args(["check", "v2store", "--data-dir", &self.path(name)])
            .output()
            .unwrap();
        assert!(
            checked.status.success(),
            "{}",
            String::from_utf8_lossy(&checked.stderr)
        );
        String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned()
    }
}

/// Writes one key after the other until it is told to stop; how many were written, and the longest wait for one.
fn writes(site: &Site, stop: &AtomicBool) -> (usize, Duration) {
    let (mut written, mut longest, mut since) = (0, Duration::ZERO, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let key = format!("k/{written}");
        let taken = MEMBERS.iter().any(|(_, address)| {
            let output = site.etcdctl(address, &["put", &key, "v"]);
            output.status.success()
        });
        if taken {
            written += 1;
            longest = longest.max(since.elapsed());
            since = Instant::now();
        }
    }
    (written, longest)
}

#[test]
#[ignore = "needs the programs of two versions of etcd"]
fn members_go_from_3_5_to_3_6_one_by_one_while_somebody_writes() {
    let site = Arc::new(Site::new());
    let mut members: Vec<Option<Member>> = MEMBERS
        .map(|member| Some(site.start(Of::Old, member)))
        .into();
    site.well();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (site, stop) = (site.clone(), stop.clone());
        thread::spawn(move || writes(&site, &stop))
    };
    let began = Instant::now();
    let snapshot = site.path("before.db");
    site.told(MEMBERS[0].1, &["snapshot", "save", &snapshot]);
    let mut swap = |at: usize, of: Of| {
        members[at].take().unwrap().stop();
        let found = site.v2store(MEMBERS[at].0);
        assert!(found.contains("No custom content found"), "{found}");
        members[at] = Some(site.start(of, MEMBERS[at]));
        site.well();
    };
    swap(0, Of::New);
    let mixed = site.status(MEMBERS[0].1);
    println!("mixed: {mixed}");
    // As long as one member is old, each can go back.
    swap(0, Of::Old);
    for at in 0..MEMBERS.len() {
        swap(at, Of::New);
    }
    let took = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let (written, longest) = writer.join().unwrap();
    assert_eq!(site.keys(), written, "nothing that was taken is lost");
    let stored = || {
        site.status(MEMBERS[2].1)["storageVersion"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    while stored() != "3.6.0" {
        assert!(began.elapsed() < took + PATIENCE, "{}", stored());
        thread::yield_now();
    }
    println!("rolled in {took:?}; {written} writes, the longest wait {longest:?}");
    assert!(longest < Duration::from_secs(10), "{longest:?}");

    // Now there is no way back by programs alone.
    members[0].take().unwrap().stop();
    let mut back = site.start(Of::Old, MEMBERS[0]);
    let ended = back.child.wait().unwrap();
    assert!(!ended.success(), "the older etcd serves data of the newer");

    // The snapshot of before is one.
    let mut restore = Command::new(site.program(Of::New, "etcdutl"));
    restore.args([
        "snapshot",
        "restore",
        &snapshot,
        "--data-dir",
        &site.path("restored"),
    ]);
    assert!(restore.output().unwrap().status.success());
}
