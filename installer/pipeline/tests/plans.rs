//! Whole plans of the example configs, as people read them.

use std::collections::{BTreeMap, BTreeSet};

use artifact::{
    FileEntry, ImageEntry, Manifest, PlatformEntry, Program, Release, Sha256, Tree, What, needs,
};
use cluster::{Arch, Cluster, RegistryType, Role, RuntimeType};
use engine::Graph;
use pipeline::{Data, InstallStage, PipelineError, Site, delete, install};

fn config(text: &str) -> Cluster {
    cluster::parse("config.yaml", text).unwrap().cluster
}

/// A bundle that holds everything the config asks for.
fn complete(cluster: &Cluster) -> Manifest {
    let arches: Vec<Arch> = cluster.arches().into_iter().collect();
    let (mut files, mut images, mut sets) = (Vec::new(), Vec::new(), BTreeMap::new());
    for need in needs(cluster) {
        match need.what {
            What::Component { name, programs } => {
                let version = match name {
                    "kubelet" => cluster.spec.kubernetes.version.with_v(),
                    _ => "v1.2.3".to_owned(),
                };
                files.extend(
                    arches
                        .iter()
                        .map(|arch| archive(name, &version, programs, *arch)),
                );
            }
            What::Images { set } => {
                let reference = format!("registry.k8s.io/{set}:1");
                sets.insert(set, vec![reference.clone()]);
                images.push(image(reference, &need.wanted_by, &arches));
            }
            What::Image { reference } => images.push(image(reference, &need.wanted_by, &arches)),
            What::Package { .. } => {}
        }
    }
    // Several may ask for the same.
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    let release = Release {
        images: sets,
        ..Release::of(cluster.spec.kubernetes.version.clone(), &files)
    };
    Manifest {
        releases: vec![release],
        arches,
        files,
        images,
        ..Manifest::new(cluster.name(), "0.1.0")
    }
}

fn archive(component: &str, version: &str, programs: &[&str], arch: Arch) -> FileEntry {
    let program = |name: &&str| Program {
        name: (*name).into(),
        // Those of Kubernetes come as they are, not in an archive.
        member: (!component.starts_with("kube")).then(|| format!("bin/{name}")),
        size: 1 << 20,
        sha256: Sha256::of(name.as_bytes()),
    };
    FileEntry {
        component: Some(component.into()),
        version: Some(version.into()),
        arch: Some(arch),
        programs: programs.iter().map(program).collect(),
        ..FileEntry::new(
            format!("{component}/{version}/{arch}/{component}.tar.gz"),
            1 << 20,
            0o644,
            Sha256::of(component.as_bytes()),
        )
    }
}

fn image(reference: String, wanted_by: &str, arches: &[Arch]) -> ImageEntry {
    let digest = Sha256::of(reference.as_bytes());
    let platform = |arch: &Arch| PlatformEntry {
        arch: *arch,
        digest,
        size: 1 << 20,
    };
    ImageEntry {
        platforms: arches.iter().map(platform).collect(),
        wanted_by: vec![wanted_by.into()],
        ..ImageEntry::new(reference, digest)
    }
}

fn plan(text: &str) -> String {
    let cluster = config(text);
    let manifest = complete(&cluster);
    let tree = Tree::at(format!("/srv/.kubexm/{}", cluster.name()));
    install(
        &Site::new(cluster, manifest, tree, None),
        InstallStage::LAST,
    )
    .unwrap()
    .tree()
}

#[test]
fn the_examples_as_plans() {
    insta::assert_snapshot!(
        "three-etcd",
        plan(include_str!("../../../examples/three-etcd.yaml"))
    );
    insta::assert_snapshot!(
        "minimal",
        plan(include_str!("../../../examples/minimal.yaml"))
    );
}

/// Each by itself: a topology, or a choice that makes it another plan.
#[test]
fn each_choice_as_a_plan() {
    for (name, text) in [
        ("bridge", include_str!("../../../examples/bridge.yaml")),
        (
            "dual-stack",
            include_str!("../../../examples/dual-stack.yaml"),
        ),
        (
            "external-etcd",
            include_str!("../../../examples/external-etcd.yaml"),
        ),
        ("flannel", include_str!("../../../examples/flannel.yaml")),
        (
            "kubeadm-whole",
            include_str!("../../../examples/kubeadm.yaml"),
        ),
        (
            "mixed-arch",
            include_str!("../../../examples/mixed-arch.yaml"),
        ),
        (
            "single-node",
            include_str!("../../../examples/single-node.yaml"),
        ),
        (
            "stacked-etcd",
            include_str!("../../../examples/stacked-etcd.yaml"),
        ),
    ] {
        insta::assert_snapshot!(name, plan(text));
    }
}

/// The plan itself is another where a version has another order of who may do what; the rest is in the files.
#[test]
fn what_the_version_changes_of_a_plan() {
    let lines = |kind: &str, version: &str| -> Vec<String> {
        let text = include_str!("../../../examples/three-etcd.yaml").replace(
            "version: v1.34.2\n    type: kubexm\n",
            &format!("version: {version}\n    type: {kind}\n"),
        );
        let plan = plan(&text).replace(version, "VERSION");
        plan.lines().map(str::to_owned).collect()
    };
    let added = |kind: &str, before: &str, after: &str| {
        let before = lines(kind, before);
        let after = lines(kind, after).into_iter();
        let added: Vec<String> = after.filter(|line| !before.contains(line)).collect();
        added.join("\n")
    };
    insta::assert_snapshot!(added("kubexm", "v1.28.15", "v1.29.14"), @"
    make the certificate kubernetes/super-admin
    write the kubeconfig of kubernetes-super-admin
    write /etc/kubernetes/super-admin.conf
    give the administrators their rights
    ");
    for (before, after, why) in [
        ("v1.24.17", "v1.28.15", ""),
        // From 1.35 on services are not forwarded by ipvs, unless somebody asks for it.
        (
            "v1.29.14",
            "v1.36.2",
            "      load kernel modules overlay, br_netfilter, nf_conntrack",
        ),
    ] {
        assert_eq!(added("kubexm", before, after), why);
        assert_eq!(added("kubeadm", before, after), why);
    }
}

/// A plugin that comes by its manifest is never left out.
#[test]
fn a_network_plugin_is_applied_or_the_install_refused() {
    for (name, text) in [
        ("calico", include_str!("../../../examples/three-etcd.yaml")),
        ("calico", include_str!("../../../examples/minimal.yaml")),
        ("flannel", include_str!("../../../examples/flannel.yaml")),
    ] {
        let applied = format!("apply {name} to the cluster");
        assert!(plan(text).contains(&applied), "{text}");
        let cluster = config(text);
        let mut manifest = complete(&cluster);
        let is_plugin = |file: &FileEntry| file.component.as_deref() == Some(name);
        manifest.files.retain(|file| !is_plugin(file));
        let error = refused(cluster, manifest).to_string();
        assert!(
            error.contains(&format!("wanted by network {name}")),
            "{error}"
        );
    }
}

#[test]
fn by_kubeadm_masters_and_workers_join_the_first() {
    let text = include_str!("../../../examples/three-etcd.yaml").replace(
        "type: kubexm\n    containerRuntime",
        "type: kubeadm\n    autoRenewCerts: true\n    containerRuntime",
    );
    let plan = plan(&text);
    let begin = plan.find("\ncontrol plane").unwrap();
    insta::assert_snapshot!("kubeadm", &plan[begin..]);
}

/// From the load balancers on: what comes before does not know them.
fn behind_etcd(text: &str) -> String {
    let plan = plan(text);
    let begin = plan
        .find("\nload balancer")
        .or(plan.find("\ncontrol plane"));
    plan[begin.unwrap()..].to_owned()
}

#[test]
fn in_front_of_three_masters() {
    insta::assert_snapshot!(
        "haproxy-hosts",
        plan(include_str!("../../../examples/ha-haproxy.yaml"))
    );
    insta::assert_snapshot!(
        "nginx-hosts",
        behind_etcd(include_str!("../../../examples/ha-nginx.yaml"))
    );
    let internal = include_str!("../../../examples/ha-internal.yaml");
    insta::assert_snapshot!("haproxy-pods", behind_etcd(internal));
    insta::assert_snapshot!(
        "nginx-pods",
        behind_etcd(&internal.replace(
            "internalLoadbalancer: haproxy",
            "internalLoadbalancer: nginx"
        ))
    );
    insta::assert_snapshot!(
        "kube-vip",
        behind_etcd(include_str!("../../../examples/ha-kube-vip.yaml"))
    );
    insta::assert_snapshot!(
        "external",
        behind_etcd(include_str!("../../../examples/ha-external.yaml"))
    );
}

#[test]
fn the_same_examples_backwards() {
    let back = |text: &str, data| {
        let cluster = config(text);
        let manifest = complete(&cluster);
        let tree = Tree::at(format!("/srv/.kubexm/{}", cluster.name()));
        let site = Site::new(cluster, manifest, tree, None);
        delete(&site, data).unwrap().tree()
    };
    let three = include_str!("../../../examples/three-etcd.yaml");
    insta::assert_snapshot!("three-etcd-purged", back(three, Data::Purge));
    insta::assert_snapshot!("three-etcd-deleted", back(three, Data::Keep));
    let balanced = include_str!("../../../examples/ha-nginx.yaml");
    insta::assert_snapshot!("nginx-hosts-purged", back(balanced, Data::Purge));
}

#[test]
fn without_a_registry_host_every_node_gets_the_images() {
    let text = include_str!("../../../examples/three-etcd.yaml")
        .replace("    registry: [registry1]\n", "");
    let plan = plan(&text);
    assert!(!plan.contains("registry:"), "{plan}");
    insta::assert_snapshot!("without-registry", plan);
}

#[test]
fn a_renamed_host_is_renamed_only_if_asked() {
    let text = include_str!("../../../examples/three-etcd.yaml");
    assert!(!plan(text).contains("hostname"));
    let asked = text.replace(
        "  roleGroups:",
        "  system: {setHostname: true}\n  roleGroups:",
    );
    assert!(plan(&asked).contains("set the hostname to node1"));
}

#[test]
fn what_the_bundle_lacks_is_told_as_one_list_before_anything_is_touched() {
    let cluster = config(include_str!("../../../examples/three-etcd.yaml"));
    let mut manifest = complete(&cluster);
    let lost: BTreeSet<&str> = ["calico", "etcd", "runc"].into();
    manifest
        .files
        .retain(|file| !lost.contains(file.component.as_deref().unwrap()));
    manifest
        .images
        .retain(|image| !image.reference.contains("/pause"));
    let error = refused(cluster, manifest);
    assert!(matches!(error, PipelineError::Missing(_)));
    insta::assert_snapshot!(error, @r"
    the config asks for what the bundle does not hold:
      runc v1.2.3 for amd64, wanted by containerRuntime containerd
      image registry.k8s.io/pause:1 for amd64, wanted by containerRuntime containerd
      image registry.k8s.io/pause:1 for amd64, wanted by kubernetes kubexm
      etcd v1.2.3 for amd64, wanted by etcd kubexm
      calico v1.2.3 for amd64, wanted by network calico
    ");
    insta::assert_snapshot!(error.hint().unwrap(), @"bundle again with the config of this site, or ask for what the bundle holds");
}

#[test]
fn other_versions_than_the_bundle_s_are_refused() {
    let text = include_str!("../../../examples/three-etcd.yaml");
    let manifest = complete(&config(text));
    let asked = text
        .replace(
            "    dataDir: /var/lib/etcd",
            "    dataDir: /var/lib/etcd\n    version: 3.6.9",
        )
        .replace(
            "  roleGroups:",
            "  versions: {runc: v9.9.9, pause: '3.99', cni-plugins: 1.2.3}\n  roleGroups:",
        );
    let mut cluster = config(&asked);
    cluster.spec.kubernetes.version = "v1.33.1".parse().unwrap();
    let error = refused(cluster, manifest);
    assert!(matches!(error, PipelineError::Missing(_)));
    insta::assert_snapshot!(error, @r"
    the config asks for what the bundle does not hold:
      kubelet v1.33.1, wanted by the config (the bundle holds v1.34.2)
      etcd v3.6.9, wanted by the config (the bundle holds v1.2.3)
      pause 3.99, wanted by the config (the bundle holds 1)
      runc v9.9.9, wanted by the config (the bundle holds v1.2.3)
    ");
}

#[test]
fn what_has_no_stage_yet_is_refused_as_one_list() {
    let text = include_str!("../../../examples/three-etcd.yaml");
    let mut cluster = config(text);
    cluster.spec.kubernetes.container_runtime.kind = RuntimeType::CriO;
    cluster.spec.registry.kind = RegistryType::Harbor;
    let manifest = complete(&cluster);
    let error = refused(cluster, manifest);
    assert!(matches!(error, PipelineError::Unsupported(_)));
    insta::assert_snapshot!(error, @r"
    this version cannot install what the config chooses:
      spec.kubernetes.containerRuntime.type: cri-o (only containerd so far)
      spec.registry.type: harbor (only registry so far)
    ");
    insta::assert_snapshot!(error.hint().unwrap(), @"choose what can be installed; `kubexm bundle` packs the others as well");
}

fn refused(cluster: Cluster, manifest: Manifest) -> PipelineError {
    let tree = Tree::at("/srv/.kubexm/three-etcd");
    install(
        &Site::new(cluster, manifest, tree, None),
        InstallStage::LAST,
    )
    .err()
    .unwrap()
}

/// The example configs from which a cluster can be installed.
const EXAMPLES: &[&str] = &[
    include_str!("../../../examples/bridge.yaml"),
    include_str!("../../../examples/dual-stack.yaml"),
    include_str!("../../../examples/external-etcd.yaml"),
    include_str!("../../../examples/flannel.yaml"),
    include_str!("../../../examples/ha-external.yaml"),
    include_str!("../../../examples/ha-haproxy.yaml"),
    include_str!("../../../examples/ha-internal.yaml"),
    include_str!("../../../examples/ha-kube-vip.yaml"),
    include_str!("../../../examples/ha-nginx.yaml"),
    include_str!("../../../examples/kubeadm.yaml"),
    include_str!("../../../examples/minimal.yaml"),
    include_str!("../../../examples/mixed-arch.yaml"),
    include_str!("../../../examples/no-registry.yaml"),
    include_str!("../../../examples/single-node.yaml"),
    include_str!("../../../examples/stacked-etcd.yaml"),
    include_str!("../../../examples/three-etcd.yaml"),
];

fn graph(cluster: Cluster) -> Graph {
    let manifest = complete(&cluster);
    let tree = Tree::at(format!("/srv/.kubexm/{}", cluster.name()));
    let site = Site::new(cluster, manifest, tree, None);
    install(&site, InstallStage::LAST).unwrap()
}

/// Everything that a step waits for, directly or not.
fn all_ahead_of(graph: &Graph, id: usize) -> BTreeSet<usize> {
    let (mut all, mut open) = (BTreeSet::new(), vec![id]);
    while let Some(next) = open.pop() {
        open.extend(
            graph
                .ahead_of(next)
                .into_iter()
                .filter(|id| all.insert(*id)),
        );
    }
    all
}

#[test]
fn nobody_pulls_before_the_registry_holds_every_image() {
    const PULLING: &[&str] = &[
        "images",
        "control plane",
        "network",
        "workers",
        "node network",
    ];
    for text in EXAMPLES {
        let cluster = config(text);
        let nodes: BTreeSet<String> = [Role::Master, Role::Worker]
            .into_iter()
            .flat_map(|role| cluster.hosts_in(role))
            .map(|host| host.name.clone())
            .collect();
        let has_registry = cluster.registry_host().is_some();
        let graph = graph(cluster);
        let steps = graph.view();
        let push = steps
            .iter()
            .find(|node| node.step.starts_with("push images"));
        assert_eq!(push.is_some(), has_registry, "{text}");
        let mut pulls: BTreeMap<&str, usize> = BTreeMap::new();
        for node in &steps {
            if !nodes.contains(&node.host) || !PULLING.contains(&&*node.stage) {
                continue;
            }
            *pulls.entry(&node.host).or_default() += usize::from(node.step.starts_with("pull "));
            if let Some(push) = push {
                let ahead = all_ahead_of(&graph, node.id);
                assert!(ahead.contains(&push.id), "{} on {}", node.title, node.host);
            }
        }
        assert!(pulls.len() == nodes.len() && pulls.values().all(|pulls| *pulls == 1));
    }
}

/// Of a cluster that is there, all steps of the other hosts that are not done while this host is down, but for those of
/// the proof.
async fn held_up(text: &str, down: &str) -> Vec<String> {
    let graph = graph(config(text));
    let done: BTreeSet<usize> = graph
        .without(down)
        .await
        .iter()
        .map(|node| node.id)
        .collect();
    let nodes = graph.view().into_iter();
    nodes
        .filter(|node| node.host != down && node.stage != "proof" && !done.contains(&node.id))
        .map(|node| format!("{}/{}/{}/{}", node.stage, node.task, node.host, node.step))
        .collect()
}

#[tokio::test]
async fn one_host_that_is_down_holds_up_no_other() {
    let three_etcd = include_str!("../../../examples/three-etcd.yaml");
    let haproxy = include_str!("../../../examples/ha-haproxy.yaml");
    let vip = include_str!("../../../examples/ha-kube-vip.yaml");
    let stacked = include_str!("../../../examples/stacked-etcd.yaml");
    for text in [three_etcd, haproxy, vip, stacked] {
        let cluster = config(text);
        for role in [Role::Etcd, Role::Master, Role::Worker, Role::LoadBalancer] {
            let hosts = cluster.hosts_in(role);
            let registry = cluster.registry_host().map(|host| &host.name);
            for host in &hosts {
                let alone = role != Role::Worker && hosts.len() < 3 && role != Role::LoadBalancer;
                if alone || Some(&host.name) == registry {
                    continue;
                }
                let held: Vec<String> = held_up(text, &host.name).await;
                assert!(
                    held.is_empty(),
                    "{} of {}: {held:#?}",
                    host.name,
                    cluster.name()
                );
            }
        }
    }
}

#[tokio::test]
async fn a_registry_that_is_down_holds_up_what_pulls() {
    let text = include_str!("../../../examples/three-etcd.yaml");
    let registry = config(text).registry_host().unwrap().name.clone();
    let held = held_up(text, &registry).await;
    let stages: BTreeSet<&str> = held
        .iter()
        .filter_map(|path| path.split('/').next())
        .collect();
    assert!(
        !stages.contains("etcd") && !stages.contains("runtime"),
        "{stages:?}"
    );
    assert!(
        stages.contains("images") && stages.contains("workers"),
        "{stages:?}"
    );
}
