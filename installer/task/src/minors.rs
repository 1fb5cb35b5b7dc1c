//! What each minor of Kubernetes changes in what the nodes are given, from the oldest to the newest.

use std::fmt::Write as _;

use cluster::Host;

use crate::Site;
use crate::control_plane::arguments;
use crate::kubeadm::config;
use crate::nodes::kubelet;
use crate::os::rendered;
use crate::testing::site;

/// All that depends on the version, by its file.
fn files(site: &Site, host: &Host) -> Vec<(&'static str, String)> {
    let words = |arguments: templates::Arguments| {
        let words = arguments.iter();
        let words: Vec<String> = words
            .map(|(name, value)| format!("--{name}={value}"))
            .collect();
        words.join("\n")
    };
    vec![
        ("kubelet", kubelet::arguments(site, host).join("\n")),
        ("kubelet.yaml", kubelet::config(site, host)),
        ("kubeadm.yaml", rendered(&config::kubeadm(site, host))),
        ("kube-apiserver", words(arguments::apiserver(site, host))),
        (
            "kube-controller-manager",
            words(arguments::controller_manager(site)),
        ),
        ("kube-scheduler", words(arguments::scheduler(site))),
    ]
}

/// The lines that are in one text alone. A line that stands in both, elsewhere or more often, is none.
fn difference(before: &str, after: &str) -> Vec<String> {
    let only = |sign: char, of: &str, not: &str| -> Vec<String> {
        let others: Vec<&str> = not.lines().collect();
        let own = of.lines().filter(|line| !others.contains(line));
        own.map(|line| format!("{sign} {line}")).collect()
    };
    [only('-', before, after), only('+', after, before)].concat()
}

fn of_minor(minor: u64) -> Vec<(&'static str, String)> {
    let site = site(&format!("kubernetes: {{version: v1.{minor}.0}}"));
    let version = format!("v1.{minor}.0");
    let host = site.cluster.host("m1").unwrap();
    let files = files(&site, host).into_iter();
    files
        .map(|(name, text)| (name, text.replace(&version, "VERSION")))
        .collect()
}

#[test]
fn each_minor_changes_what_it_must() {
    let mut told = String::new();
    for minor in 25..=37 {
        let (before, after) = (of_minor(minor - 1), of_minor(minor));
        for ((name, before), (_, after)) in before.iter().zip(&after) {
            for line in difference(before, after) {
                writeln!(told, "1.{minor} {name}: {line}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(told);
}
