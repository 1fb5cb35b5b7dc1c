use catalogue::{Carries, Member};

use super::*;
use crate::testing::cluster;

fn resolved(spec: &str) -> Result<Wanted, ResolveFailure> {
    resolve(&cluster(spec), &BTreeSet::new(), &Catalogue::builtin())
}

fn paths(wanted: &Wanted) -> Vec<&str> {
    wanted
        .files
        .iter()
        .map(|wanted| wanted.file.path.as_str())
        .collect()
}

/// Configs that together ask for every component and image set.
fn kinds() -> Vec<Wanted> {
    let mut all = Vec::new();
    for runtime in ["containerd", "docker", "cri-o"] {
        for (kubernetes, etcd) in [
            ("kubexm", "kubexm"),
            ("kubeadm", "kubeadm"),
            ("kubeadm", "external"),
        ] {
            for (plugin, balancer) in [
                ("calico", "haproxy"),
                ("flannel", "nginx"),
                ("flannel", "kube-vip"),
                ("bridge", ""),
            ] {
                for (registry, arch) in
                    [("registry", r#""amd64","arm64""#), ("harbor", r#""amd64""#)]
                {
                    let spec = format!(
                        r#"{{"arch":[{arch}],"roleGroups":{{"registry":["r"]}},
                            "registry":{{"type":"{registry}"}},
                            "kubernetes":{{"type":"{kubernetes}","containerRuntime":{{"type":"{runtime}"}}}},
                            "etcd":{{"type":"{etcd}"}},"network":{{"plugin":"{plugin}"}},
                            "controlPlaneEndpoint":{{"internalLoadbalancer":"{balancer}"}},
                            "dns":{{"nodelocaldns":{{"externalZones":[{{"zones":["a"],"nameservers":["1.1.1.1"]}}]}}}},
                            "tools":["helm","nerdctl","calicoctl","buildkit","docker-compose"]}}"#
                    );
                    all.push(resolved(&spec).unwrap());
                }
            }
        }
    }
    all
}

#[test]
fn every_program_that_is_asked_for_is_one_that_the_catalogue_demands_of_its_archive() {
    for wanted in kinds() {
        for need in &wanted.needs {
            let What::Component { name, programs } = &need.what else {
                continue;
            };
            let file = &wanted
                .files
                .iter()
                .find(|w| w.file.component == *name)
                .unwrap()
                .file;
            for program in *programs {
                let promised = match &file.carries {
                    Carries::Program(itself) => itself == program,
                    Carries::Members(members) => members.iter().any(|member| {
                        matches!(member, Member::At(path) if path.rsplit('/').next() == Some(program))
                    }),
                    Carries::Manifest(_) | Carries::Nothing => false,
                };
                assert!(promised, "{program} of {name}");
            }
        }
    }
}

#[test]
fn every_component_and_image_set_of_the_catalogue_can_be_asked_for() {
    let mut all = kinds();
    let catalogue = Catalogue::builtin();
    // An upgrade asks for more than an install does.
    let stacked = cluster(
        r#"{"arch":["amd64"],"etcd":{"type":"kubeadm"},"kubernetes":{"type":"kubeadm","version":"v1.34.2"}}"#,
    );
    let from = "v1.33.8".parse().unwrap();
    let hops = crate::hops::hops(&stacked, Some(&from), &BTreeSet::new(), &catalogue);
    all.extend(hops.unwrap().into_iter().map(|hop| hop.wanted));
    for component in catalogue.components() {
        let asked = all
            .iter()
            .any(|w| w.files.iter().any(|f| f.file.component == component.name()));
        assert!(asked, "{}", component.name());
    }
    for set in catalogue.image_sets() {
        let asked = |wanted: &Wanted| {
            wanted
                .needs
                .iter()
                .any(|n| matches!(n.what, What::Images { set: named } if named.name() == set))
        };
        assert!(all.iter().any(asked), "{set}");
    }
}

#[test]
fn versions_of_the_config_win_and_several_who_ask_share_a_file() {
    let wanted = resolved(
        r#"{"arch":["amd64"],"etcd":{"version":"3.5.30"},"tools":["docker-compose"],
            "kubernetes":{"containerRuntime":{"type":"containerd","version":"1.7.24"}},
            "roleGroups":{"registry":["r"]},"registry":{"type":"harbor","version":"2.13.0"}}"#,
    )
    .unwrap();
    for path in [
        "etcd/v3.5.30/amd64/etcd-v3.5.30-linux-amd64.tar.gz",
        "container_runtime/containerd/v1.7.24/amd64/containerd-1.7.24-linux-amd64.tar.gz",
        "registry/harbor/v2.13.0/amd64/harbor-offline-installer-v2.13.0.tgz",
    ] {
        assert!(
            paths(&wanted).contains(&path),
            "{path}: {:#?}",
            paths(&wanted)
        );
    }
    let compose = wanted
        .files
        .iter()
        .find(|w| w.file.component == "docker-compose")
        .unwrap();
    assert_eq!(compose.wanted_by, ["role registry (harbor)", "tools"]);
}

#[test]
fn the_etcd_of_kubeadm_is_an_image_under_its_own_tag() {
    let wanted = resolved(
        r#"{"arch":["amd64"],"etcd":{"type":"kubeadm","version":"3.5.30"},
            "kubernetes":{"type":"kubeadm"}}"#,
    )
    .unwrap();
    let etcd = wanted
        .images
        .iter()
        .find(|image| image.reference.contains("/etcd:"))
        .unwrap();
    assert_eq!(etcd.reference, "registry.k8s.io/etcd:3.5.30-0");
    assert!(!paths(&wanted).iter().any(|path| path.starts_with("etcd/")));
}

#[test]
fn harbor_is_for_the_registry_host_alone() {
    let hosts = |arch: &str| {
        format!(
            r#"{{"hosts":[{{"name":"r","address":"192.0.2.1","arch":"{arch}"}},
                {{"name":"n","address":"192.0.2.2","arch":"arm64"}}],
                "roleGroups":{{"registry":["r"]}},"registry":{{"type":"harbor"}}}}"#
        )
    };
    let wanted = resolved(&hosts("amd64")).unwrap();
    assert_eq!(
        wanted
            .files
            .iter()
            .filter(|w| w.file.component == "harbor")
            .count(),
        1
    );
    let error = resolved(&hosts("arm64")).unwrap_err();
    insta::assert_snapshot!(
        format!("{error}\nhint: {}", error.hint().unwrap()),
        @r"
    harbor v2.14.0 is not made for arm64: upstream releases it for amd64 only, wanted by role registry (harbor)
    hint: name the hosts in the config, so that each gets what its own architecture has, or leave that architecture out
    "
    );
}

#[test]
fn a_config_that_says_for_what_machines_is_needed() {
    let error = resolved("{}").unwrap_err();
    insta::assert_snapshot!(
        format!("{error}\nhint: {}", error.hint().unwrap()),
        @r"
    the config names no hosts and no architecture
    hint: say what for: --arch amd64,arm64, or spec.arch in the config
    "
    );
    let arm64 = BTreeSet::from([Arch::Arm64]);
    let config = cluster(r#"{"arch":["amd64"]}"#);
    let wanted = resolve(&config, &arm64, &Catalogue::builtin()).unwrap();
    assert_eq!(
        wanted.arches, arm64,
        "those of the command line are instead of the config's"
    );
}

#[test]
fn what_has_no_key_of_its_own_is_chosen_by_name() {
    let wanted = resolved(r#"{"arch":["amd64"],"versions":{"runc":"1.1.15"}}"#).unwrap();
    assert!(paths(&wanted).contains(&"container_runtime/runc/v1.1.15/amd64/runc.amd64"));
    let error = resolved(r#"{"arch":["amd64"],"versions":{"rnc":"1.1.15"}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "spec.versions names 'rnc', which the catalogue does not know"
    );
    assert!(error.hint().unwrap().contains("registry, runc"));
}

#[test]
fn an_image_is_chosen_by_its_tag_and_a_program_by_a_full_version() {
    for asked in ["3.9", "v3.9"] {
        let config = format!(r#"{{"arch":["amd64"],"versions":{{"pause":"{asked}"}}}}"#);
        let wanted = resolved(&config).unwrap();
        let mut images = wanted.images.iter().map(|image| image.reference.as_str());
        assert!(images.any(|image| image == "registry.k8s.io/pause:3.9"));
        assert!(wanted.named.contains("registry.k8s.io/pause"));
    }
    let error = resolved(r#"{"arch":["amd64"],"versions":{"runc":"1.3"}}"#).unwrap_err();
    insta::assert_snapshot!(
        format!("{error}\nhint: {}", error.hint().unwrap()),
        @r"
    spec.versions names runc '1.3', which is not a full version
    hint: give the patch as well, e.g. v1.3.0
    "
    );
}

#[test]
fn the_command_line_must_serve_every_host() {
    let config = cluster(
        r#"{"hosts":[{"name":"a","address":"10.0.0.1"},{"name":"b","address":"10.0.0.2","arch":"arm64"},
                     {"name":"c","address":"10.0.0.3","arch":"arm64"}]}"#,
    );
    let of = |arches: &[Arch]| {
        let arches = arches.iter().copied().collect();
        resolve(&config, &arches, &Catalogue::builtin())
    };
    let error = of(&[Arch::Amd64]).unwrap_err();
    insta::assert_snapshot!(
        format!("{error}\nhint: {}", error.hint().unwrap()),
        @r"
    the bundle would not serve b (arm64), c (arm64)
    hint: add it to --arch, or take the host out of the config
    "
    );
    let both = of(&[Arch::Amd64, Arch::Arm64]).unwrap();
    assert_eq!(both.arches_of_nobody(&config), []);
}

#[test]
fn an_architecture_that_no_host_has_is_noticed() {
    let arches = BTreeSet::from([Arch::Amd64, Arch::Arm64]);
    for (spec, nobody) in [
        (
            r#"{"hosts":[{"name":"a","address":"10.0.0.1"}]}"#,
            vec![Arch::Arm64],
        ),
        (
            r#"{"hosts":[{"name":"a","address":"10.0.0.1"}],"arch":["arm64"]}"#,
            vec![],
        ),
        ("{}", vec![]),
    ] {
        let config = cluster(spec);
        let wanted = resolve(&config, &arches, &Catalogue::builtin()).unwrap();
        assert_eq!(wanted.arches_of_nobody(&config), nobody, "{spec}");
    }
}

#[test]
fn older_systems_get_a_containerd_that_starts_there() {
    let wanted = resolved(
        r#"{"system":{"os":["debian-13"]},"hosts":[{"name":"a","address":"10.0.0.1","os":"rocky-8"},
            {"name":"b","address":"10.0.0.2","arch":"arm64"}]}"#,
    )
    .unwrap();
    let files: Vec<&str> = paths(&wanted)
        .into_iter()
        .filter(|path| path.starts_with("container_runtime/containerd/"))
        .collect();
    assert_eq!(
        files,
        [
            "container_runtime/containerd/v2.1.9/amd64/containerd-static-2.1.9-linux-amd64.tar.gz",
            "container_runtime/containerd/v2.1.9/arm64/containerd-2.1.9-linux-arm64.tar.gz",
        ]
    );
}

#[test]
fn kubeadm_brings_no_etcd_where_it_runs_none() {
    let listed = [
        "registry.k8s.io/etcd:3.6.5-0",
        "registry.k8s.io/pause:3.10.1",
    ]
    .map(String::from);
    let etcd = |kind: &str| {
        let spec = format!(
            r#"{{"arch":["amd64"],"etcd":{{"type":"{kind}"}},"kubernetes":{{"type":"kubeadm"}}}}"#
        );
        let mut wanted = resolved(&spec).unwrap();
        wanted.believe_kubeadm(&listed);
        let mut images = wanted.images.iter();
        images.any(|image| image.reference.contains("/etcd:"))
    };
    assert_eq!(
        ["kubeadm", "kubexm", "external"].map(etcd),
        [true, false, false]
    );
}

#[test]
fn an_image_may_be_for_one_architecture_alone() {
    let of = |arch: &str| {
        let spec = format!(
            r#"{{"arch":[{arch}],"tools":[],"network":{{"plugin":"bridge"}},
                "images":["docker.io/me/app:1",{{"image":"docker.io/me/gpu:1","arch":["amd64"]}}]}}"#
        );
        let wanted = resolved(&spec).unwrap();
        let own = wanted
            .images
            .iter()
            .filter(|it| it.sets.contains(&ImageSet::User));
        own.map(|it| (it.reference.clone(), it.arches.iter().copied().collect()))
            .collect::<Vec<(String, Vec<Arch>)>>()
    };
    let app = "docker.io/me/app:1".to_owned();
    let both = vec![Arch::Amd64, Arch::Arm64];
    let one = |arch| vec![(app.clone(), vec![arch])];
    assert_eq!(
        of(r#""amd64","arm64""#),
        [
            (app.clone(), both),
            ("docker.io/me/gpu:1".to_owned(), vec![Arch::Amd64])
        ]
    );
    assert_eq!(of(r#""arm64""#), one(Arch::Arm64));
}
