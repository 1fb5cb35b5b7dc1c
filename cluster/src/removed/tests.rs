use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::*;

fn minor(minor: u64) -> Version {
    Version::new(1, minor, 0)
}

/// All that each hop takes away, as a page to read beside the changelogs.
#[test]
fn each_hop_takes_away_what_it_does() {
    let mut told = String::new();
    for hop in 24..=37 {
        for (_, programs, flags, instead) in FLAGS.iter().filter(|row| row.0 == hop) {
            let programs: Vec<&str> = programs.iter().map(|program| program.name()).collect();
            writeln!(
                told,
                "1.{hop} {}: {flags}\n     {instead}",
                programs.join(", ")
            )
            .unwrap();
        }
        for (_, plugin, instead) in PLUGINS.iter().filter(|row| row.0 == hop) {
            writeln!(told, "1.{hop} admission plugin {plugin}\n     {instead}").unwrap();
        }
        for (_, version, kind, instead) in APIS.iter().filter(|row| row.0 == hop) {
            writeln!(told, "1.{hop} API {version} {kind}\n     {instead}").unwrap();
        }
        for (_, keys) in KUBELET_KEYS.iter().filter(|row| row.0 == hop) {
            writeln!(told, "1.{hop} brings keys of KubeletConfiguration: {keys}").unwrap();
        }
        for (_, keys) in PROXY_KEYS.iter().filter(|row| row.0 == hop) {
            writeln!(
                told,
                "1.{hop} brings keys of KubeProxyConfiguration: {keys}"
            )
            .unwrap();
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_flag_goes_with_its_minor_and_only_of_the_programs_that_had_it() {
    for (program, flag, since) in [
        (Program::Apiserver, "service-account-api-audiences", 25),
        (Program::Scheduler, "logtostderr", 26),
        (Program::Kubelet, "container-runtime", 27),
        (Program::ControllerManager, "pod-eviction-timeout", 27),
        (Program::Apiserver, "cloud-config", 33),
        (Program::Kubelet, "cloud-config", 34),
        (Program::Kubelet, "pod-infra-container-image", 35),
        (Program::Kubelet, "containerd", 37),
    ] {
        assert_eq!(flag_gone(program, flag, &minor(since - 1)), None, "{flag}");
        let gone = flag_gone(program, flag, &minor(since)).unwrap();
        assert_eq!(
            (gone.minor, flag_gone(program, flag, &minor(40))),
            (since, Some(gone))
        );
    }
    // The controller manager still has it, and the kubelet has its own port.
    assert_eq!(
        flag_gone(Program::ControllerManager, "cloud-config", &minor(36)),
        None
    );
    assert_eq!(flag_gone(Program::Kubelet, "port", &minor(36)), None);
}

#[test]
fn the_tables_are_in_order_and_name_everything_once() {
    assert!(FLAGS.is_sorted_by_key(|row| row.0));
    assert!(PLUGINS.is_sorted_by_key(|row| row.0));
    assert!(APIS.is_sorted_by_key(|row| row.0));
    let mut seen = BTreeSet::new();
    for (_, programs, flags, instead) in FLAGS {
        assert!(
            flags.split(' ').is_sorted() && !instead.is_empty(),
            "{flags}"
        );
        for flag in flags.split(' ') {
            for program in *programs {
                assert!(seen.insert((program.name(), flag)), "{flag}");
            }
        }
    }
    for keys in [KUBELET_KEYS, PROXY_KEYS] {
        assert!(keys.is_sorted_by_key(|row| row.0));
        assert!(keys.iter().all(|(_, keys)| keys.split(' ').is_sorted()));
    }
}

#[test]
fn an_api_that_goes_has_a_successor() {
    let gone = api_gone("flowcontrol.apiserver.k8s.io/v1beta3", "flowschemas").unwrap();
    assert_eq!(
        (gone.minor, gone.instead),
        (32, "flowcontrol.apiserver.k8s.io/v1")
    );
    assert_eq!(api_gone("v1", "endpoints"), None);
}
