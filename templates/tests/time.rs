//! chrony's configuration, as goldens and judged by chronyd.

use std::fs;
use std::process::Command;

use templates::*;

fn config(servers: &[&str], hosts: &[&str], clients: &[&str]) -> String {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let config = ChronyConfig {
        servers: names(servers),
        hosts: names(hosts),
        clients: clients.iter().map(|ip| ip.parse().unwrap()).collect(),
        drift_file: "/var/lib/chrony/chrony.drift".into(),
    };
    config.render().unwrap()
}

fn serving() -> String {
    config(
        &["ntp.site"],
        &["172.16.0.12"],
        &["172.16.0.12", "172.16.0.13", "2022::13"],
    )
}

fn going_by_others() -> String {
    config(&["2022::9", "ntp.site"], &["172.16.0.11"], &[])
}

#[test]
fn configurations() {
    insta::assert_snapshot!("chrony-server.conf", serving());
    insta::assert_snapshot!("chrony-client.conf", going_by_others());
}

/// It prints what it has read, and does not start.
#[test]
fn chronyd_takes_them() {
    for config in [serving(), going_by_others()] {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &config).unwrap();
        let output = Command::new("/usr/sbin/chronyd")
            .args(["-p", "-f"])
            .arg(file.path())
            .output()
            .expect("chronyd is installed: tests/setup.sh");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}
