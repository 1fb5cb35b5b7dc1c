use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use super::{kubexm, told};

const CONFIG: &str = "\
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: small}
spec:
  arch: [amd64]
  kubernetes: {version: v1.34.2}
";

fn site(config: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.yaml"), config).unwrap();
    dir
}

fn bundled(config: &str, args: &[&str]) -> String {
    let dir = site(config);
    let text = told(
        dir.path(),
        &[&["bundle", "-f", "config.yaml"], args].concat(),
    );
    assert!(!dir.path().join("small.tar.zst").exists(), "{text}");
    text
}

#[test]
fn a_mirror_that_cannot_be_meant_is_wrong_usage() {
    insta::assert_snapshot!(bundled(CONFIG, &["--mirror", "https://mirror.example.org"]));
}

#[test]
fn a_mirror_in_the_environment_is_read_as_well() {
    let dir = site(CONFIG);
    let output = kubexm(dir.path(), &["bundle", "-f", "config.yaml"])
        .env("KUBEXM_MIRROR", "docker.io=nonsense")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("mirror for 'docker.io'"), "{text}");
}

#[test]
fn locked_needs_a_lock() {
    insta::assert_snapshot!(bundled(CONFIG, &["--locked"]));
}

#[test]
fn a_key_that_is_not_there_is_wrong_usage() {
    insta::assert_snapshot!(bundled(CONFIG, &["--sign", "nowhere"]));
}

#[test]
fn a_public_key_does_not_sign() {
    let dir = site(CONFIG);
    fs::write(dir.path().join("key.pub"), "ssh-ed25519 AAAA somebody\n").unwrap();
    let text = told(
        dir.path(),
        &["bundle", "-f", "config.yaml", "--sign", "key.pub"],
    );
    assert!(
        text.starts_with("exit 2\n-- stderr\nerror: key.pub: "),
        "{text}"
    );
    assert!(text.contains("\nhint: give the private key"), "{text}");
}

#[test]
fn a_config_without_hosts_and_architecture_is_wrong() {
    insta::assert_snapshot!(bundled(&CONFIG.replace("  arch: [amd64]\n", ""), &[]));
}

#[test]
fn a_secret_that_is_not_at_hand_is_named_before_anything_is_fetched() {
    let auths = "  registry: {auths: {ghcr.io: {username: me, password: {env: GHCR_TOKEN}}}}\n";
    insta::assert_snapshot!(bundled(&format!("{CONFIG}{auths}"), &[]));
}

/// The mirror takes the connection and never answers; the interrupt comes when it surely waits for that.
#[test]
fn an_interrupt_ends_it_with_exit_code_130() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("*=http://{}", listener.local_addr().unwrap());
    let dir = site(CONFIG);
    let program = kubexm(dir.path(), &[]).get_program().to_owned();
    let child = Command::new(program)
        .current_dir(dir.path())
        .args(["bundle", "-f", "config.yaml", "--mirror", &mirror])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _connection = listener.accept().unwrap();
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("press Ctrl-C again to stop at once"),
        "{text}"
    );
    assert!(output.stdout.is_empty());
    assert_eq!(report(dir.path())["outcome"], "interrupted");
}

/// A mirror that has nothing.
fn empty_mirror() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("*=http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 8192]);
            let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    mirror
}

#[test]
fn what_cannot_be_worked_out_leaves_a_report_with_the_cause() {
    let (dir, mirror) = (site(CONFIG), empty_mirror());
    let args = [
        "bundle",
        "-f",
        "config.yaml",
        "--mirror",
        &mirror,
        "--dry-run",
    ];
    assert!(told(dir.path(), &args).starts_with("exit 1"));
    assert!(
        !dir.path().join(".kubexm").exists(),
        "a dry run writes nothing"
    );
    let text = told(dir.path(), &args[..5]);
    assert!(
        text.starts_with("exit 1\n") && !text.contains("\nerror:"),
        "{text}"
    );
    assert!(
        text.contains("failed: plan: work out what the bundle holds"),
        "{text}"
    );
    let report = report(dir.path());
    assert_eq!(report["outcome"], "failed");
    let units = report["units"].as_array().unwrap();
    let plan = units.iter().find(|unit| unit["stage"] == "plan").unwrap();
    assert!(
        plan["error"].as_str().unwrap().contains("not found (404)"),
        "{report}"
    );
}

fn report(dir: &Path) -> Value {
    let entries = fs::read_dir(dir.join(".kubexm/small/state")).unwrap();
    let mut names = entries.map(|entry| entry.unwrap().path());
    let report = names.find(|path| path.extension().is_some_and(|ext| ext == "json"));
    serde_json::from_slice(&fs::read(report.unwrap()).unwrap()).unwrap()
}
