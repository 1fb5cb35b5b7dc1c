//! What goes with the tools: as text, and where bash is the judge, in bash.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use templates::{BashCompletion, BuildkitUnit, NerdctlConfig, Template};

#[test]
fn tool_files() {
    insta::assert_snapshot!("buildkit.service", BuildkitUnit {}.render().unwrap());
    let nerdctl = NerdctlConfig {
        socket: "/run/containerd/containerd.sock".into(),
        hosts_dir: "/etc/containerd/certs.d".into(),
    };
    insta::assert_snapshot!("nerdctl.toml", nerdctl.render().unwrap());
}

/// It is read when somebody completes a command for the first time, and the program is asked only then.
#[test]
fn bash_completes_by_what_the_program_says() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("tool");
    let says =
        "#!/bin/sh\n[ \"$1 $2\" = 'completion bash' ] && echo \"complete -W 'get apply' tool\"\n";
    std::fs::write(&program, says).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let program = "tool".to_owned();
    let text = BashCompletion { program }.render().unwrap();
    let completion = dir.path().join("completion");
    std::fs::write(&completion, &text).unwrap();
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let script = ". \"$1\"; complete -p tool";
    let bash = Command::new("bash")
        .args(["--norc", "-c", script, "bash"])
        .arg(&completion)
        .env("PATH", path)
        .output()
        .unwrap();
    let said = String::from_utf8(bash.stdout).unwrap();
    assert_eq!(said.trim(), "complete -W 'get apply' tool", "{text}");
}
