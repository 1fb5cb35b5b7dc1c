//! What each minor of Kubernetes changes in what the nodes are given, from the oldest to the newest.

use std::fmt::Write as _;

use cluster::{Host, Program, Version, flag_gone, kubelet_key_since, plugin_gone, proxy_key_since};

use crate::Site;
use crate::control_plane::arguments;
use crate::kubeadm::config;
use crate::nodes::{kube_proxy, kubelet};
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

/// Every flag that a program is started with, by plain binaries and by kubeadm.
fn flags(site: &Site, host: &Host) -> Vec<(Program, String, String)> {
    let owned = |program: Program, arguments: templates::Arguments| -> Vec<_> {
        let arguments = arguments.iter();
        arguments
            .map(|(name, value)| (program, name.to_owned(), value.to_owned()))
            .collect()
    };
    let by_kubeadm = config::kubeadm(site, host).cluster;
    let of_kubeadm = [
        (Program::Apiserver, by_kubeadm.api_server),
        (Program::ControllerManager, by_kubeadm.controller_manager),
        (Program::Scheduler, by_kubeadm.scheduler),
    ];
    let of_kubeadm = of_kubeadm.into_iter().flat_map(|(program, component)| {
        let arguments = component.arguments.into_iter();
        arguments.map(move |(name, value)| (program, name, value))
    });
    let of_kubelet = kubelet::arguments(site, host).into_iter().map(|argument| {
        let argument = argument.trim_start_matches("--");
        let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
        (Program::Kubelet, name.to_owned(), value.to_owned())
    });
    let mut all = owned(Program::Apiserver, arguments::apiserver(site, host));
    all.extend(owned(
        Program::ControllerManager,
        arguments::controller_manager(site),
    ));
    all.extend(owned(Program::Scheduler, arguments::scheduler(site)));
    all.extend(of_kubelet);
    all.extend(of_kubeadm);
    all
}

fn keys(yaml: &str) -> Vec<&str> {
    let lines = yaml
        .lines()
        .filter(|line| line.starts_with(char::is_alphabetic));
    lines
        .filter_map(|line| line.split_once(':').map(|(key, _)| key))
        .collect()
}

/// What kubexm writes for a minor, this minor knows: every flag, admission plugin and key.
#[test]
fn no_minor_is_given_what_it_does_not_know() {
    for minor in 24..=37 {
        let version = Version::new(1, minor, 0);
        for kind in ["kubexm", "kubeadm"] {
            let site = site(&format!(
                "kubernetes: {{version: v1.{minor}.0, type: {kind}}}"
            ));
            for host in &site.cluster.spec.hosts {
                let flags = flags(&site, host);
                assert!(flags.len() > 50, "{flags:?}");
                for (program, flag, value) in flags {
                    let gone = flag_gone(program, &flag, &version);
                    assert_eq!(gone, None, "1.{minor} {kind}: {} --{flag}", program.name());
                    if flag.ends_with("-admission-plugins") {
                        for plugin in value.split(',') {
                            assert_eq!(plugin_gone(plugin, &version), None, "{plugin}");
                        }
                    }
                }
                for key in keys(&kubelet::config(&site, host)) {
                    assert_eq!(kubelet_key_since(key, &version), None, "1.{minor}: {key}");
                }
                let texts = [
                    rendered(&config::kube_proxy(&site)),
                    kube_proxy::config(&site, host),
                ];
                for key in texts.iter().flat_map(|text| keys(text)) {
                    assert_eq!(proxy_key_since(key, &version), None, "1.{minor}: {key}");
                }
            }
        }
    }
}
