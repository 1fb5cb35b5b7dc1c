use std::fs;
use std::path::Path;

use super::help::VERBS;
use super::{kubexm, told};

#[test]
fn each_shell_gets_its_completions() {
    for (shell, sign) in [
        ("bash", "complete -F _kubexm"),
        ("zsh", "#compdef kubexm"),
        ("fish", "complete -c kubexm"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let text = told(Path::new("."), &["completion", shell]);
        assert!(
            text.starts_with("exit 0\n-- stdout\n") && text.contains(sign),
            "{shell}: {text}"
        );
        assert!(
            text.contains("bundle") && text.contains("install"),
            "{shell}"
        );
    }
}

#[test]
fn bash_takes_its_completions() {
    let script = kubexm(Path::new("."), &["completion", "bash"])
        .output()
        .unwrap()
        .stdout;
    assert_cmd::Command::new("bash")
        .args(["-n"])
        .write_stdin(script)
        .assert()
        .success();
}

#[test]
fn every_verb_has_a_manual_page() {
    let dir = tempfile::tempdir().unwrap();
    let man = dir.path().join("share/man1");
    kubexm(dir.path(), &["man", "share/man1"])
        .assert()
        .success();
    for verb in VERBS {
        let page = [&["kubexm"], verb].concat().join("-");
        let text = fs::read_to_string(man.join(format!("{page}.1"))).unwrap();
        assert!(
            text.contains(".SH SYNOPSIS") && text.contains("Examples:"),
            "{page}: {text}"
        );
    }
    assert!(
        !man.join("kubexm-help.1").exists(),
        "what is hidden has no page"
    );
}

#[test]
fn manual_pages_do_not_go_where_a_file_is() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    insta::assert_snapshot!(told(dir.path(), &["man", "file/man1"]));
}

#[test]
fn the_version_is_told_for_people_and_for_programs() {
    let text = told(Path::new("."), &["version"]);
    assert!(
        text.starts_with("exit 0\n-- stdout\nkubexm VERSION (linux "),
        "{text}"
    );
    let json = kubexm(Path::new("."), &["version", "--output", "json"])
        .output()
        .unwrap()
        .stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["kubexm"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["bundle_format"], 1);
    let flag = told(Path::new("."), &["--version"]);
    assert_eq!(flag, "exit 0\n-- stdout\nkubexm VERSION\n");
}

#[test]
fn diagnostics_appear_only_when_asked_for_and_never_on_stdout() {
    let dir = tempfile::tempdir().unwrap();
    let quiet = kubexm(dir.path(), &["version"]).output().unwrap();
    let loud = kubexm(dir.path(), &["version", "-vvv"]).output().unwrap();
    assert!(quiet.stderr.is_empty());
    assert_eq!(quiet.stdout, loud.stdout);
}
