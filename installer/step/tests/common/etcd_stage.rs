//! A place where real etcd runs: in a mount and a network of its own, and with a `crictl` that stands for the runtime.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use camino::Utf8Path;
use step::{
    Certificate, CertificateAuthority, CertificateSpec, EtcdCluster, EtcdPeer, EtcdRuns,
    KeyPairFiles, Usage,
};

use super::converge;

const INSIDE: &str = "KUBEXM_TEST_INSIDE";
pub const DATA: &str = "/var/lib/etcd-of-test";
pub const PKI: &str = "/etc/kubernetes/pki/etcd";
const PROGRAMS: [&str; 3] = ["etcd", "etcdctl", "etcdutl"];

/// Where the programs are, if all of them are there.
pub fn programs() -> Option<PathBuf> {
    let dir = PathBuf::from(std::env::var_os("KUBEXM_LAB_KUBE")?);
    let all = PROGRAMS.iter().all(|name| dir.join(name).exists());
    all.then_some(dir)
}

/// Runs an ignored test of this program in a mount and a network of its own, where that can be had.
pub fn run_apart(test: &str) {
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
            "300",
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{wrong}");
    assert!(said.contains("1 passed"), "{said}");
}

/// Nothing of the machine is changed: what is written to lies in memory.
pub fn set_the_stage(programs: &Path) {
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

pub async fn make_certificates(addresses: &[[u8; 4]]) {
    let files = |name: &str| KeyPairFiles::at(Utf8Path::new(PKI).join(name));
    let authority = CertificateAuthority::new(files("ca"), "etcd-ca");
    converge(&authority).await.unwrap();
    for name in ["server", "peer", "healthcheck-client"] {
        let spec = CertificateSpec::new(name, Usage::Both)
            .dns(["localhost"])
            .ips(addresses.iter().map(|address| (*address).into()));
        let step = Certificate::new(files("ca"), files(name), spec);
        converge(&step).await.unwrap();
    }
}

/// One of three on loopback.
pub fn peer(number: u8) -> EtcdPeer {
    EtcdPeer {
        name: format!("e{number}"),
        address: format!("127.0.0.{number}"),
    }
}

pub fn cluster(members: &[u8]) -> EtcdCluster {
    EtcdCluster {
        peers: members.iter().copied().map(peer).collect(),
        runs: EtcdRuns::StaticPod,
    }
}

/// A member as kubeadm starts it.
pub struct MemberOfTest {
    pub name: String,
    pub address: String,
    pub data_dir: String,
    pub cluster: String,
    pub state: &'static str,
    pub quota: u64,
}

pub const LOG: &str = "/var/lib/kubexm/log";

pub fn start_member(member: &MemberOfTest) -> Child {
    let log = std::fs::File::create(LOG).unwrap();
    let pair = |of: &str, name: &str| {
        [
            format!("--{of}cert-file={PKI}/{name}.crt"),
            format!("--{of}key-file={PKI}/{name}.key"),
            format!("--{of}trusted-ca-file={PKI}/ca.crt"),
            format!("--{of}client-cert-auth=true"),
        ]
    };
    let MemberOfTest { name, address, .. } = member;
    Command::new("/usr/local/bin/etcd")
        .args([
            format!("--name={name}"),
            format!("--data-dir={}", member.data_dir),
            format!("--listen-client-urls=https://{address}:2379"),
            format!("--advertise-client-urls=https://{address}:2379"),
            format!("--listen-peer-urls=https://{address}:2380"),
            format!("--initial-advertise-peer-urls=https://{address}:2380"),
            format!("--initial-cluster={}", member.cluster),
            format!("--initial-cluster-state={}", member.state),
            format!("--quota-backend-bytes={}", member.quota),
        ])
        .args(pair("", "server"))
        .args(pair("peer-", "peer"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

pub fn try_etcdctl(arguments: &[&str]) -> Output {
    Command::new("/usr/local/bin/etcdctl")
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
        .unwrap()
}

pub fn etcdctl(arguments: &[&str]) -> String {
    let output = try_etcdctl(arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
