//! The units of a control plane from plain binaries, as systemd reads them, and its first grants.

use std::process::Command;

use templates::*;

fn text(template: &impl Template) -> String {
    template.render().unwrap()
}

fn arguments(of: &[(&str, &str)]) -> Arguments {
    let nothing = Arguments::default();
    of.iter()
        .fold(nothing, |all, (name, value)| all.with(name, *value))
}

fn units() -> [(&'static str, String); 4] {
    let arguments = arguments(&[
        (
            "etcd-servers",
            "https://172.16.0.2:2379,https://172.16.0.3:2379",
        ),
        ("profiling", "false"),
        ("service-account-extend-token-expiration", "100% of $MINE"),
    ]);
    let apiserver = ApiserverUnit {
        arguments: arguments.clone(),
    };
    let controller_manager = ControllerManagerUnit {
        arguments: arguments.clone(),
    };
    [
        ("kube-apiserver.service", text(&apiserver)),
        ("kube-controller-manager.service", text(&controller_manager)),
        ("kube-scheduler.service", text(&SchedulerUnit { arguments })),
        ("kube-proxy.service", text(&KubeProxyUnit {})),
    ]
}

#[test]
fn unit_files() {
    for (name, text) in units() {
        insta::assert_snapshot!(name, text);
    }
    let none = ApiserverUnit {
        arguments: Arguments::default(),
    };
    assert!(text(&none).contains("ExecStart=/usr/local/bin/kube-apiserver\n"));
}

/// With `true` in the place of each program, because the programs themselves are not there.
#[test]
fn systemd_understands_the_units() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in units() {
        let path = dir.path().join(name);
        let program = name.trim_end_matches(".service");
        let text = text.replace(&format!("/usr/local/bin/{program}"), "/bin/true");
        std::fs::write(&path, text).unwrap();
        let output = Command::new("systemd-analyze")
            .arg("verify")
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let of_ours: Vec<&str> = said.lines().filter(|line| line.contains(name)).collect();
        assert!(output.status.success() && of_ours.is_empty(), "{said}");
    }
}

#[test]
fn grants() {
    insta::assert_snapshot!("cluster-roles.yaml", text(&ClusterRoles {}));
    insta::assert_snapshot!("cluster-admins.yaml", text(&ClusterAdmins {}));
}
