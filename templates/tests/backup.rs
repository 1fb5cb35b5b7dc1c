//! The script that backs up a member of etcd, run with programs that stand for etcd's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use templates::{BackUpEtcd, BackUpEtcdTimer, BackUpEtcdUnit, MemberHome, Template};

/// A member's host. Everything on it is well.
struct Host {
    dir: TempDir,
    home: MemberHome,
}

/// What was said, and whether it went well.
struct Ended {
    said: String,
    well: bool,
}

const ETCDCTL: &str = r#"for last; do :; done
case "$*" in
*"snapshot save"*)
	head -c 4096 /dev/urandom > "$last"
	sha256sum < "$last" | cut -c1-64 | sed 's/../\\x&/g' | xargs -0 printf '%b' | head -c 32 >> "$last" ;;
*"endpoint status"*) echo "https://127.0.0.1:2379, 8e9e, 3.6.10, 25 kB, true, false, 2, 8, 8, " ;;
*"member list"*) echo "8e9e, started, m1, https://10.0.0.1:2380, https://10.0.0.1:2379, false"
	echo "8e9f, started, m2, https://10.0.0.2:2380, https://10.0.0.2:2379, false" ;;
esac"#;
const ETCDUTL: &str =
    r#"echo '{"hash":3154987,"revision":1043,"totalKey":612,"totalSize":2912288}'"#;

impl Host {
    fn new(home: MemberHome) -> Self {
        let host = Self {
            dir: TempDir::new().unwrap(),
            home,
        };
        for dir in ["bin", "data/member/snap", "kept"] {
            fs::create_dir_all(host.path(dir)).unwrap();
        }
        fs::write(host.path("data/member/snap/db"), "x").unwrap();
        host.program("etcdctl", ETCDCTL);
        host.program("etcdutl", ETCDUTL);
        host.program(
            "crictl",
            "case $1 in ps) echo 1f ;; *) shift 2; exec \"$@\" ;; esac",
        );
        host.program("df", "echo head; echo 'd 9 9 99999999 1% /'");
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn script(&self) -> String {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let script = BackUpEtcd {
            cluster: "demo".into(),
            kubernetes: "v1.36.2".into(),
            host: "m1".into(),
            dir: path("kept"),
            data_dir: path("data"),
            keep: 2,
            home: self.home,
            endpoint: "https://127.0.0.1:2379".into(),
            pki_dir: "/etc/etcd/pki".into(),
        };
        let script = script.render().unwrap();
        script.replace("PATH=", &format!("PATH={}:", path("bin")))
    }

    fn back_up(&self) -> Ended {
        let output = Command::new("sh")
            .args(["-c", &self.script()])
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(text).unwrap();
        Ended {
            said: said.replace(self.dir.path().to_str().unwrap(), ""),
            well: output.status.success(),
        }
    }

    /// What lies there, hidden files as well.
    fn kept(&self) -> Vec<String> {
        let names = fs::read_dir(self.path("kept")).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn has(&self, name: &str) {
        fs::write(self.path("kept").join(name), "x").unwrap();
    }

    /// Nothing is taken, and what was there is there still.
    fn refuses(&self) -> String {
        let before = self.kept();
        let ended = self.back_up();
        assert!(!ended.well, "{}", ended.said);
        assert_eq!(self.kept(), before);
        assert!(!self.path("data/kubexm-timer.db").exists());
        ended.said
    }
}

#[test]
fn a_snapshot_is_whole_has_its_note_and_is_for_nobody_else() {
    for home in [MemberHome::Service, MemberHome::Pod] {
        let host = Host::new(home);
        let ended = host.back_up();
        assert!(ended.well, "{}", ended.said);
        let kept = host.kept();
        let [snapshot, note] = kept.as_slice() else {
            panic!("{kept:?}: {}", ended.said);
        };
        assert_eq!(*note, format!("{snapshot}.json"));
        for name in [snapshot, note] {
            let of = fs::metadata(host.path("kept").join(name)).unwrap();
            assert_eq!(of.permissions().mode() & 0o777, 0o600, "{name}");
        }
        assert!(
            ended.said.ends_with(": 4128 bytes, revision 1043\n"),
            "{}",
            ended.said
        );
        assert!(!host.path("data/kubexm-timer.db").exists());
        let text = fs::read_to_string(host.path("kept").join(note)).unwrap();
        let note: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(note["members"], serde_json::json!(["m1", "m2"]));
        assert_eq!(
            (&note["etcd"], &note["keys"]),
            (&"3.6.10".into(), &612.into())
        );
        let taken = note["taken"].as_str().unwrap().replace(['-', ':'], "");
        assert_eq!(*snapshot, format!("etcd-m1-{taken}.db"));
    }
}

#[test]
fn the_oldest_of_this_host_go_when_a_new_one_is_there() {
    let host = Host::new(MemberHome::Service);
    let others = [
        "etcd-m10-20200101T000000Z.db",
        "etcd-m2-20200101T000000Z.db",
        "mine.db",
    ];
    for name in others {
        host.has(name);
    }
    for year in 2020..2024 {
        host.has(&format!("etcd-m1-{year}0101T000000Z.db"));
        host.has(&format!("etcd-m1-{year}0101T000000Z.db.json"));
    }
    assert!(host.back_up().well);
    let kept = host.kept();
    assert_eq!(kept.len(), others.len() + 4, "{kept:?}");
    assert!(kept.contains(&"etcd-m1-20230101T000000Z.db.json".to_owned()));
    assert!(others.iter().all(|name| kept.contains(&(*name).to_owned())));
}

#[test]
fn what_a_later_clock_has_called_newer_stays() {
    let host = Host::new(MemberHome::Service);
    host.has("etcd-m1-20990101T000000Z.db");
    host.has("etcd-m1-20200101T000000Z.db");
    assert!(host.back_up().well);
    let kept = host.kept();
    assert!(
        kept.contains(&"etcd-m1-20990101T000000Z.db".to_owned()),
        "{kept:?}"
    );
    assert_eq!(kept.len(), 3, "{kept:?}");
}

#[test]
fn a_disk_is_never_filled() {
    for home in [MemberHome::Service, MemberHome::Pod] {
        let host = Host::new(home);
        host.has("etcd-m1-20200101T000000Z.db");
        host.program("df", "echo head; echo 'd 9 9 102400 1% /'");
        assert_eq!(
            host.refuses(),
            "no snapshot was taken: no room in /kept: it takes 256 MiB, and 100 MiB are free\n"
        );
    }
}

#[test]
fn what_is_no_snapshot_is_none_and_costs_none() {
    let host = Host::new(MemberHome::Service);
    host.has("etcd-m1-20200101T000000Z.db");
    host.has("etcd-m1-20200102T000000Z.db");
    host.program("etcdutl", "exit 1");
    let etcdctl = ETCDCTL.replace("| head -c 32", "| head -c 31");
    host.program(
        "etcdctl",
        &format!("case \"$*\" in *status*snap*) exit 1 ;; esac\n{etcdctl}"),
    );
    let told = host.refuses();
    assert!(told.contains("no snapshot was taken: "), "{told}");
    host.program("etcdutl", ETCDUTL);
    assert_eq!(
        host.refuses(),
        "no snapshot was taken: the file in /kept is damaged: its digest does not fit\n"
    );
    host.program("etcdctl", "case \"$*\" in *health*) exit 1 ;; esac");
    assert_eq!(
        host.refuses(),
        "no snapshot was taken: the member of etcd on this host is not healthy\n"
    );
    host.program(
        "etcdctl",
        "case \"$*\" in *save*) echo 'Error: no space left' >&2; exit 1 ;; esac",
    );
    assert_eq!(
        host.refuses(),
        "no snapshot was taken: Error: no space left\n"
    );
}

#[test]
fn what_a_killed_run_left_goes_with_the_next() {
    for home in [MemberHome::Service, MemberHome::Pod] {
        let host = Host::new(home);
        let left = [
            ".etcd-m1.part",
            ".etcd-m1.part.part",
            ".etcd-m1.part.json",
            "etcd-m1-20200101T000000Z.db.json",
        ];
        for name in left {
            host.has(name);
        }
        fs::write(host.path("data/kubexm-timer.db.part"), "x").unwrap();
        let ended = host.back_up();
        assert!(ended.well, "{}", ended.said);
        assert_eq!(host.kept().len(), 2, "{:?}", host.kept());
        if home == MemberHome::Pod {
            assert!(!host.path("data/kubexm-timer.db.part").exists());
        }
    }
}

#[test]
fn files_of_the_timer() {
    let host = Host::new(MemberHome::Pod);
    let script = host.script();
    insta::assert_snapshot!("back-up-etcd.service", unit());
    insta::assert_snapshot!("back-up-etcd.timer", timer());
    let shellcheck = Command::new("shellcheck")
        .args(["--shell=sh", "--exclude=SC2046,SC2086,SC1117", "-"])
        .stdin(Stdio::piped())
        .spawn();
    if let Ok(mut judge) = shellcheck {
        std::io::Write::write_all(&mut judge.stdin.take().unwrap(), script.as_bytes()).unwrap();
        assert!(judge.wait().unwrap().success());
    }
}

fn unit() -> String {
    let script = "/usr/local/lib/kubexm/back-up-etcd".into();
    let dir = "/var/backups/etcd".into();
    BackUpEtcdUnit { script, dir }.render().unwrap()
}

fn timer() -> String {
    let schedule = "Mon..Fri *-*-* 03:00".into();
    BackUpEtcdTimer { schedule }.render().unwrap()
}

/// systemd itself understands them, where this machine has it.
#[test]
fn systemd_reads_the_units() {
    let dir = TempDir::new().unwrap();
    let service = dir.path().join("kubexm-etcd-backup.service");
    let timer_file = dir.path().join("kubexm-etcd-backup.timer");
    fs::write(
        &service,
        unit().replace("/usr/local/lib/kubexm/back-up-etcd", "/bin/true"),
    )
    .unwrap();
    fs::write(&timer_file, timer()).unwrap();
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args([&service, &timer_file])
        .output();
    let Ok(verdict) = verify else { return };
    let said = String::from_utf8_lossy(&verdict.stderr);
    let about: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("kubexm-etcd-backup"))
        .collect();
    assert!(about.is_empty(), "{about:?}");
}
