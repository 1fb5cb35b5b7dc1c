//! The steps that set up load balancers, and what is said where they fail.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use common::{converge, reason, told};
use engine::{Cx, Slot, State, Step};
use event::Progress;
use host::fake::{FakeFiles, FakeHost};
use host::{Command, Output};
use step::{Content, FileAttrs, PrepareVrrp, ReachAddress, ReachApiserver, ReplaceConfig, Vrrp};
use tempfile::TempDir;

const CONFIG: &str = "/etc/haproxy/haproxy.cfg";
const NEW: &str = "/etc/haproxy/haproxy.cfg.kubexm-new";

fn cx(host: FakeHost) -> (Arc<FakeHost>, Cx) {
    let host = Arc::new(host);
    let cx = Cx::new(host.clone(), Progress::unseen());
    (host, cx)
}

fn said(status: u32, stderr: &str) -> Output {
    Output {
        status,
        stdout: Vec::new(),
        stderr: stderr.into(),
    }
}

fn replace(text: &str) -> ReplaceConfig {
    ReplaceConfig {
        path: CONFIG.into(),
        content: Content::Text(text.to_owned()),
        attrs: FileAttrs::root(0o644),
        judge: &["haproxy", "-c", "-q", "-f"],
    }
}

/// A host with the package's configuration, whose haproxy knows no `fronted`.
fn with_haproxy() -> FakeHost {
    let act = |command: &Command, files: &mut FakeFiles| match command.text() {
        text if text.starts_with("haproxy -c") => {
            let judged = text.rsplit(' ').next().unwrap();
            let text =
                String::from_utf8_lossy(&files[camino::Utf8Path::new(judged)].bytes).into_owned();
            let bad = text.contains("fronted");
            let stderr = if bad { "unknown keyword 'fronted'" } else { "" };
            Some(Ok(said(u32::from(bad), stderr)))
        }
        text if text.starts_with("rm -f") => {
            files.remove(camino::Utf8Path::new(NEW));
            Some(Ok(said(0, "")))
        }
        text if text.starts_with("mv -f") => {
            let new = files.remove(camino::Utf8Path::new(NEW)).unwrap();
            files.insert(CONFIG.into(), new);
            Some(Ok(said(0, "")))
        }
        _ => None,
    };
    FakeHost::new("lb1")
        .with_file(CONFIG, "the package's", 0o644)
        .on_command(act)
}

fn text_of(host: &FakeHost, path: &str) -> Option<String> {
    let files = host.files();
    let file = files.get(camino::Utf8Path::new(path))?;
    Some(String::from_utf8_lossy(&file.bytes).into_owned())
}

#[tokio::test]
async fn a_configuration_that_its_program_refuses_changes_nothing() {
    let (host, cx) = cx(with_haproxy());
    let error = replace("fronted apiserver\n").apply(&cx).await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r"
    cannot have haproxy take the new /etc/haproxy/haproxy.cfg: unknown keyword 'fronted'
    hint: /etc/haproxy/haproxy.cfg is as it was: look for what its haproxy does not know
    ");
    assert_eq!(text_of(&host, CONFIG).unwrap(), "the package's");
    assert_eq!(text_of(&host, NEW), None);
}

#[tokio::test]
async fn a_configuration_that_its_program_takes_comes_in_its_place() {
    let (host, cx) = cx(with_haproxy());
    replace("frontend apiserver\n").apply(&cx).await.unwrap();
    assert_eq!(text_of(&host, CONFIG).unwrap(), "frontend apiserver\n");
    assert_eq!(text_of(&host, NEW), None);
    let transcript = host.transcript();
    let (noted, judged) = (
        transcript.find("note").unwrap(),
        transcript.find("haproxy -c").unwrap(),
    );
    assert!(noted < judged, "{transcript}");
}

#[tokio::test]
async fn an_apiserver_that_no_worker_reaches() {
    let refuse = |command: &Command, _: &mut FakeFiles| {
        let asks = command.text().contains("/readyz");
        asks.then(|| {
            Ok(said(
                1,
                "dial tcp 127.0.0.1:6443: connect: connection refused",
            ))
        })
    };
    let step = ReachApiserver {
        endpoint: "https://lb.kubexm.local:6443".into(),
        patience: Duration::ZERO,
    };
    let (_, cx) = cx(FakeHost::new("worker1").on_command(refuse));
    assert_eq!(
        step.check(&cx).await.unwrap(),
        State::needed("dial tcp 127.0.0.1:6443: connect: connection refused")
    );
    insta::assert_snapshot!(told(&step.apply(&cx).await.unwrap_err()), @r"
    cannot reach the apiserver through https://lb.kubexm.local:6443: dial tcp 127.0.0.1:6443: connect: connection refused
    hint: on the host: getent hosts, and the log of the load balancer it leads to
    ");
}

#[tokio::test]
async fn a_virtual_address_that_nobody_takes() {
    let step = ReachAddress {
        address: "172.16.0.100:6443".parse().unwrap(),
        patience: Duration::ZERO,
    };
    let (_, cx) = cx(FakeHost::new("lb1").on("/dev/tcp/172.16.0.100/6443", 1, ""));
    assert_eq!(
        step.check(&cx).await.unwrap(),
        State::needed("does not answer")
    );
    insta::assert_snapshot!(told(&step.apply(&cx).await.unwrap_err()), @r"
    172.16.0.100:6443 does not answer
    hint: on the load balancers: journalctl -u keepalived; ip addr; a network that lets only known addresses through must be told of this one
    ");
}

/// What the hosts share, kept on this machine.
fn vrrp(dir: &TempDir) -> PrepareVrrp {
    let dir = Utf8PathBuf::try_from(dir.path().to_owned()).unwrap();
    PrepareVrrp {
        file: dir.join("certs/loadbalancer/vrrp.json"),
        vrrp: Slot::new("vrrp"),
    }
}

fn made(vrrp: &Slot<Vrrp>) -> (u8, String) {
    let vrrp = vrrp.get().unwrap();
    (vrrp.router_id.get(), vrrp.password().to_owned())
}

#[tokio::test]
async fn vrrp_s_identity_is_made_once_and_kept() {
    let dir = TempDir::new().unwrap();
    let first = vrrp(&dir);
    assert_eq!(
        converge(&first).await.unwrap().unwrap(),
        "there is none yet"
    );
    let (id, password) = made(&first.vrrp);
    assert_eq!(password.len(), 8);
    let again = vrrp(&dir);
    assert_eq!(converge(&again).await.unwrap(), None);
    assert_eq!(made(&again.vrrp), (id, password.clone()));
    let file = first.file.as_std_path();
    assert_eq!(
        fs::metadata(file).unwrap().permissions().mode() & 0o777,
        0o600
    );

    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    let open = vrrp(&dir);
    assert_eq!(
        converge(&open).await.unwrap().unwrap(),
        "others can read the password"
    );
    assert_eq!(made(&open.vrrp), (id, password));
}

#[tokio::test]
async fn another_site_has_another_identity() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (one, two) = (vrrp(&one), vrrp(&two));
    converge(&one).await.unwrap();
    converge(&two).await.unwrap();
    assert_ne!(made(&one.vrrp).1, made(&two.vrrp).1);
}

#[tokio::test]
async fn a_damaged_identity_is_told_and_not_overwritten() {
    let dir = TempDir::new().unwrap();
    let step = vrrp(&dir);
    assert_eq!(reason(&step).await, "there is none yet");
    fs::create_dir_all(step.file.parent().unwrap()).unwrap();
    fs::write(&step.file, "{\"routerId\": 0").unwrap();
    let error = converge(&step).await.unwrap_err();
    let told = told(&error).replace(dir.path().to_str().unwrap(), "TREE");
    insta::assert_snapshot!(told, @r"
    TREE/certs/loadbalancer/vrrp.json is damaged
    hint: remove TREE/certs/loadbalancer/vrrp.json, and the next run makes it anew
    ");
    assert_eq!(fs::read_to_string(&step.file).unwrap(), "{\"routerId\": 0");
}
