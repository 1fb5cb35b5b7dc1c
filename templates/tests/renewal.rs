//! The script that renews certificates, run with programs that note what they are told.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use templates::{RenewCertificates, Template};

/// A master with a certificate that is due. Everything on it is well.
struct Master(TempDir);

/// What was done, and what was said where it was not.
struct Renewal {
    done: String,
    said: String,
    status: i32,
}

impl Master {
    fn new() -> Self {
        let master = Self(TempDir::new().unwrap());
        let note = format!(
            "echo \"${{0##*/}} $*\" >> {}",
            master.path("done").display()
        );
        master.program(
            "kubeadm",
            &format!("case $2 in check-expiration) echo 'apiserver 5d ca no' ;; *) {note} ;; esac"),
        );
        master.program(
            "crictl",
            &format!(
                "case $1 in ps) echo \"${{6##*=}}\" ;; exec) cat {} ;; *) {note} ;; esac",
                master.path("health").display()
            ),
        );
        master.program("kubectl", ":");
        fs::write(master.path("etcd.yaml"), "").unwrap();
        master.health(&[WELL, WELL]);
        master
    }

    /// As etcdctl tells it of the members.
    fn health(&self, members: &[&str]) {
        let text = format!("[{}]\n", members.join(","));
        fs::write(self.path("health"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        fs::write(self.path(name), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn renew(&self) -> Renewal {
        let dir = self.0.path().to_str().unwrap();
        let script = RenewCertificates { port: 6443 }.render().unwrap();
        let script = script
            .replace("PATH=", &format!("PATH={dir}:"))
            .replace("/var/lib/kubexm/kubeadm/", &format!("{dir}/"))
            .replace("/etc/kubernetes/manifests/", &format!("{dir}/"))
            .replace("/run/", &format!("{dir}/"));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        Renewal {
            done: fs::read_to_string(self.path("done")).unwrap_or_default(),
            said: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().unwrap(),
        }
    }
}

const WELL: &str = r#"{"endpoint":"https://10.0.0.1:2379","health":true,"took":"5.1ms"}"#;
const FULL: &str = r#"{"endpoint":"https://10.0.0.2:2379","health":false,"took":"5.1ms","error":"Active Alarm(s): NOSPACE NOSPACE "}"#;
const CORRUPT: &str = r#"{"endpoint":"https://10.0.0.2:2379","health":false,"took":"5.1ms","error":"Active Alarm(s): NOSPACE CORRUPT "}"#;
const AWAY: &str = r#"{"endpoint":"https://10.0.0.3:2379","health":false,"took":"5s","error":"context deadline exceeded"}"#;

const ALL: &str = "kubeadm certs renew all --config /etc/kubernetes/kubeadm.yaml
crictl stop --timeout 60 etcd
crictl stop --timeout 60 kube-apiserver
crictl stop --timeout 60 kube-controller-manager
crictl stop --timeout 60 kube-scheduler
";

#[test]
fn one_pod_after_the_other_starts_anew() {
    let renewal = Master::new().renew();
    assert_eq!(
        (&*renewal.done, &*renewal.said, renewal.status),
        (ALL, "", 0)
    );
}

/// It serves all the same, and certificates go on ending.
#[test]
fn a_store_that_is_full_keeps_no_certificate_from_being_renewed() {
    let master = Master::new();
    master.health(&[FULL, FULL]);
    assert_eq!(master.renew().done, ALL);
}

#[test]
fn no_member_is_stopped_while_another_is_away() {
    let master = Master::new();
    for members in [&[WELL, AWAY][..], &[FULL, AWAY], &[CORRUPT, WELL]] {
        master.health(members);
        let renewal = master.renew();
        let said = "left for the next day: not all members of etcd are healthy\n";
        assert_eq!(
            (&*renewal.done, &*renewal.said, renewal.status),
            ("", said, 1),
            "{members:?}"
        );
    }
    // Nobody answers at all.
    fs::write(master.path("health"), "").unwrap();
    assert_eq!(master.renew().status, 1);

    // Where etcd is not the master's own, it is not asked.
    fs::remove_file(master.path("etcd.yaml")).unwrap();
    let without_etcd = ALL.replace("crictl stop --timeout 60 etcd\n", "");
    assert_eq!(master.renew().done, without_etcd);
}

/// Machines that were off for a year: nothing answers before it has other certificates.
#[test]
fn what_has_ended_is_renewed_before_anybody_is_asked() {
    let master = Master::new();
    fs::write(master.path("health"), "").unwrap();
    let note = format!("echo \"kubeadm $*\" >> {}", master.path("done").display());
    let ended = |names: &[&str]| {
        let rows: Vec<String> = names
            .iter()
            .map(|name| format!("echo '{name} Jan 01, 2025 00:00 UTC <invalid> ca no';"))
            .collect();
        let told = rows.concat();
        let renewed = master.path("renewed").display().to_string();
        master.program(
            "kubeadm",
            &format!("case $2 in check-expiration) [ -e {renewed} ] || {{ {told} }} ;; *) {note}; touch {renewed} ;; esac"),
        );
        // The apiserver answers with other certificates, and not before.
        master.program("kubectl", &format!("[ -e {renewed} ]"));
    };
    ended(&["admin.conf", "apiserver", "etcd-peer", "etcd-server"]);
    assert_eq!(master.renew().done, ALL);

    // A member that is well may be missed by others, whatever else has ended.
    let master = Master::new();
    master.health(&[WELL, AWAY]);
    master.program(
        "kubeadm",
        "echo 'scheduler.conf Jan 01, 2025 00:00 UTC <invalid> ca no'",
    );
    assert_eq!(master.renew().status, 1);
}

/// On a master with IPv6 alone nobody listens on 127.0.0.1.
#[test]
fn members_are_asked_where_the_manifest_says() {
    let master = Master::new();
    let manifest = "  annotations:\n    kubeadm.kubernetes.io/etcd.advertise-client-urls: https://[fd00::1]:2379\n";
    fs::write(master.path("etcd.yaml"), manifest).unwrap();
    let (asked, health) = (master.path("asked"), master.path("health"));
    master.program(
        "crictl",
        &format!(
            "case $1 in ps) echo \"${{6##*=}}\" ;; exec) cat {}; \
             for word; do case $word in --endpoints=*) echo \"$word\" >> {} ;; esac; done ;; esac",
            health.display(),
            asked.display()
        ),
    );
    assert_eq!(master.renew().status, 0);
    let asked = fs::read_to_string(asked).unwrap();
    let mut asked: Vec<&str> = asked.lines().collect();
    asked.dedup();
    assert_eq!(asked, ["--endpoints=https://[fd00::1]:2379"]);
}

#[test]
fn a_run_that_is_at_work_on_the_host_is_left_in_peace() {
    let master = Master::new();
    let lock = File::create(master.path("kubexm-kubeadm.lock")).unwrap();
    lock.lock().unwrap();
    let renewal = master.renew();
    let said = "left for the next day: another kubeadm is at work on this host\n";
    assert_eq!(
        (&*renewal.done, &*renewal.said, renewal.status),
        ("", said, 0)
    );
    drop(lock);
    assert_eq!(master.renew().done, ALL);
}
