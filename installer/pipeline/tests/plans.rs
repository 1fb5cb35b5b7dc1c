//! Whole plans of the example configs, as people read them.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use artifact::{Contents, FileEntry, ImageEntry, ImageSet, Sha256, Tree};
use cluster::{Cluster, Role};
use common::{complete, config};
use engine::Graph;
use pipeline::{
    Data, InstallStage, PipelineError, PushedImages, RuntimeChange, Site, adopt, delete, install,
    push_images, told_of_runtime, with_hosts_of,
};

fn plan(text: &str) -> String {
    let cluster = config(text);
    let manifest = complete(&cluster);
    let tree = Tree::at(format!("/srv/.kubexm/{}", cluster.name()));
    install(
        &Site::new(cluster, manifest, tree, None),
        None,
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
        (
            "external-registry",
            include_str!("../../../examples/external-registry.yaml"),
        ),
        ("flannel", include_str!("../../../examples/flannel.yaml")),
        (
            "two-registries",
            include_str!("../../../examples/two-registries.yaml"),
        ),
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

#[test]
fn each_runtime_as_a_plan() {
    let bridge = include_str!("../../../examples/bridge.yaml");
    for runtime in ["cri-o", "docker"] {
        let text = format!("{bridge}  kubernetes: {{containerRuntime: {{type: {runtime}}}}}\n");
        insta::assert_snapshot!(runtime, plan(&text));
    }
}

#[test]
fn another_runtime_comes_only_where_somebody_asks_for_it() {
    let before = include_str!("../../../examples/bridge.yaml");
    let now = format!("{before}  kubernetes: {{containerRuntime: {{type: cri-o}}}}\n");
    let (applied, mut site) = (site_of(before), site_of(&now));
    let planned = |site: &Site| install(site, Some(&applied), InstallStage::LAST);
    let error = planned(&site).err().unwrap();
    insta::assert_snapshot!(error, @"the nodes run containerd, and the config asks for cri-o");
    insta::assert_snapshot!(error.hint().unwrap(), @"kubexm install --replace-runtime changes it, node by node; docs/runtimes.md tells what becomes of pods");
    insta::assert_snapshot!(told_of_runtime(&applied, &site).unwrap(), @"containerd v1.2.3 gives way to cri-o v1.2.3, which does not take over its containers: node by node, pods go elsewhere first, and those that no drain takes end and are made anew");
    assert_eq!(told_of_runtime(&site, &site), None);
    site.runtime_change = RuntimeChange::Wanted;
    let tree = planned(&site).unwrap().tree();
    for wanted in [
        "lead the kubelet to it, where containers do not run on",
        "remove /etc/containerd/config.toml",
        "remove what former runtimes left",
    ] {
        assert!(tree.contains(wanted), "{wanted}: {tree}");
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

fn with_node_local_dns(mode: &str) -> String {
    include_str!("../../../examples/three-etcd.yaml").replace(
        "version: v1.34.2\n    type: kubexm\n",
        &format!("version: v1.34.2\n    type: kubexm\n    proxyMode: {mode}\n"),
    ) + "  dns: {nodelocaldns: {externalZones: [{zones: [corp.internal], nameservers: [10.0.0.53]}]}}\n"
}

#[test]
fn a_dns_cache_on_each_node_comes_with_dns_and_is_waited_for() {
    let text = with_node_local_dns("iptables");
    let told = plan(&text);
    for step in [
        "apply the way of nodelocaldns to coredns to the cluster",
        "apply nodelocaldns to the cluster",
        "wait until nodelocaldns is Ready on every node",
    ] {
        assert_eq!(told.matches(step).count(), 1, "{step}: {told}");
    }
    let backwards = delete(&site_of(&text), Data::Keep).unwrap().tree();
    assert!(
        backwards.contains("remove what nodelocaldns left on the node"),
        "{backwards}"
    );
    let cluster = config(&text);
    let mut manifest = complete(&cluster);
    for release in &mut manifest.releases {
        release.images.remove(&ImageSet::Nodelocaldns);
    }
    let error = refused(cluster, manifest).to_string();
    assert!(error.contains("wanted by dns nodelocaldns"), "{error}");
}

/// Behind all kubelets, which tell new pods another address.
#[test]
fn a_dns_cache_that_is_asked_for_no_more_goes_last() {
    let before = with_node_local_dns("ipvs");
    let after = before.replace("nodelocaldns: {", "nodelocaldns: {enabled: false, ");
    let steps = |now: &str| -> Vec<(String, String)> {
        let graph = install(&site_of(now), Some(&site_of(&before)), InstallStage::LAST).unwrap();
        let nodes = graph.view().into_iter();
        nodes
            .map(|node| (node.stage.to_string(), node.step))
            .collect()
    };
    let removal = ("former addons".to_owned(), "remove nodelocaldns".to_owned());
    assert!(steps(&after).contains(&removal));
    assert!(!steps(&before).contains(&removal));
    assert!(
        !steps(&after)
            .iter()
            .any(|(_, step)| step.starts_with("apply nodelocaldns"))
    );
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

fn refused(cluster: Cluster, manifest: Contents) -> PipelineError {
    let tree = Tree::at("/srv/.kubexm/three-etcd");
    install(
        &Site::new(cluster, manifest, tree, None),
        None,
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
    include_str!("../../../examples/external-registry.yaml"),
    include_str!("../../../examples/flannel.yaml"),
    include_str!("../../../examples/two-registries.yaml"),
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
    install(&site, None, InstallStage::LAST).unwrap()
}

/// Into both registries, and nodes learn of a host that no image had before; nothing is started anew.
#[test]
fn images_of_your_own_as_a_plan() {
    let plan = |text: &str| {
        let cluster = config(text);
        let manifest = complete(&cluster);
        let tree = Tree::at(format!("/srv/.kubexm/{}", cluster.name()));
        let pushed = || PushedImages {
            layout: "/tmp/layout".into(),
            images: vec![ImageEntry::new("quay.io/own/tool:2", Sha256::of(b"tool"))],
        };
        let site = with_hosts_of(Site::new(cluster, manifest, tree, None), &pushed());
        push_images(&site, pushed()).map(|graph| graph.tree())
    };
    let two = plan(include_str!("../../../examples/two-registries.yaml"));
    insta::assert_snapshot!("images-push", two.unwrap());
    let none = plan(include_str!("../../../examples/no-registry.yaml")).err();
    let none = none.unwrap();
    insta::assert_snapshot!(format!("{none}\nhint: {}", none.hint().unwrap()), @r"
    the site has no registry that images could be in
    hint: without one, images come onto nodes by spec.images and a bundle; or name a host under roleGroups.registry
    ");
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
        let has_registry = cluster.has_registry();
        let graph = graph(cluster);
        let steps = graph.view();
        let push = steps
            .iter()
            .find(|node| node.step.starts_with("push images"));
        assert_eq!(push.is_some(), has_registry, "{text}");
        let mut pulls: BTreeMap<&str, usize> = BTreeMap::new();
        for node in &steps {
            if !nodes.contains(node.host.as_str()) || !PULLING.contains(&&*node.stage) {
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

/// The hosts of a role that has so many of them that it bears the loss of one, and that are not the registry.
fn spare(cluster: &Cluster, role: Role, majority: usize) -> Vec<String> {
    let hosts = cluster.hosts_in(role);
    let registry = cluster.registry_host().map(|host| host.name.clone());
    let names = hosts.iter().map(|host| host.name.clone());
    let names: Vec<String> = names
        .filter(|name| Some(name) != registry.as_ref())
        .filter(|name| !is_irreplaceable(cluster, name))
        .collect();
    if hosts.len() < majority {
        Vec::new()
    } else {
        names
    }
}

/// Whether the cluster has no majority, or no master, without this host, whatever else it is.
fn is_irreplaceable(cluster: &Cluster, name: &str) -> bool {
    [Role::Etcd, Role::Master].into_iter().any(|role| {
        let hosts = cluster.hosts_in(role);
        hosts.len() < 3 && hosts.iter().any(|host| host.name == name)
    })
}

/// None of these hosts, being down, holds up any other.
async fn holds_up_nobody(role: Role, majority: usize) {
    let mut seen = 0;
    for text in EXAMPLES {
        let cluster = config(text);
        for host in spare(&cluster, role, majority) {
            let mut held = held_up(text, &host).await;
            // Only what was applied as a whole is noted.
            held.retain(|path| !path.starts_with("record/"));
            assert!(held.is_empty(), "{host} of {}: {held:#?}", cluster.name());
            seen += 1;
        }
    }
    assert!(seen > 0, "no example has such a role");
}

#[tokio::test]
async fn a_member_of_etcd_that_is_down_holds_up_nobody() {
    holds_up_nobody(Role::Etcd, 3).await;
}

#[tokio::test]
async fn a_master_that_is_down_holds_up_nobody() {
    holds_up_nobody(Role::Master, 3).await;
}

#[tokio::test]
async fn a_worker_that_is_down_holds_up_nobody() {
    holds_up_nobody(Role::Worker, 1).await;
}

#[tokio::test]
async fn a_load_balancer_that_is_down_holds_up_nobody() {
    holds_up_nobody(Role::LoadBalancer, 2).await;
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
    // What does not pull goes on: the hosts' systems, their runtime, etcd, load balancers.
    let pulling = [
        "control plane",
        "images",
        "network",
        "node network",
        "record",
        "workers",
    ];
    assert_eq!(stages, pulling.into());
    for text in EXAMPLES {
        let cluster = config(text);
        let hosts = cluster.hosts_in(Role::Registry);
        let [registry] = hosts.as_slice() else {
            continue;
        };
        let held = held_up(text, &registry.name).await;
        let other = held.iter().find(|path| {
            !pulling
                .iter()
                .any(|stage| path.starts_with(&format!("{stage}/")))
        });
        assert_eq!(other, None, "{}", cluster.name());
        assert!(!held.is_empty(), "{}", cluster.name());
    }
}

#[tokio::test]
async fn of_two_registries_either_may_be_down() {
    let text = include_str!("../../../examples/two-registries.yaml");
    for down in ["registry1", "registry2"] {
        let held = held_up(text, down).await;
        let held: BTreeSet<&str> = held
            .iter()
            .filter_map(|path| path.split('/').next())
            .collect();
        assert_eq!(held, ["record"].into(), "without {down}");
    }
}

/// On which hosts each of these steps is done where everything is to be changed, and this one goes wrong on a host.
async fn touched(text: &str, host: &str, wrong: &str, steps: &[&str]) -> BTreeSet<String> {
    let graph = graph(config(text));
    let is = |step: &str| graph.view().iter().any(|node| node.step == step);
    for step in [&[wrong], steps].concat() {
        assert!(is(step), "there is no step '{step}'");
    }
    let done = graph.failing_at(host, wrong).await.into_iter();
    let done = done.filter(|node| steps.contains(&&*node.step));
    done.map(|node| node.host.to_string()).collect()
}

#[tokio::test]
async fn where_a_change_goes_wrong_no_other_host_is_touched_by_it() {
    let stacked = include_str!("../../../examples/stacked-etcd.yaml");
    let binaries = include_str!("../../../examples/three-etcd.yaml");
    let kubelet = [
        "programs kubelet in /usr/local/bin",
        "upload /etc/kubernetes/kubelet.yaml",
        "service kubelet.service",
    ];
    let pods = [
        "static pods",
        "etcd's static pod",
        "kubeadm upload-config all",
    ];
    let apiserver = [
        "programs kube-apiserver in /usr/local/bin",
        "service kube-scheduler.service",
    ];
    let etcd = [
        "programs etcd in /usr/local/bin",
        "upload /etc/etcd/etcd.env",
    ];
    let containerd = [
        "programs containerd in /usr/local/bin",
        "upload /etc/containerd/config.toml",
    ];
    let haproxy = include_str!("../../../examples/ha-haproxy.yaml");
    let balancer = [
        "replace /etc/haproxy/haproxy.cfg",
        "service haproxy.service",
    ];
    let keepalived = [
        "replace /etc/keepalived/keepalived.conf",
        "service keepalived.service",
    ];
    let kube_vip = include_str!("../../../examples/ha-kube-vip.yaml");
    let vip = [
        "upload /etc/kubernetes/kube-vip.conf",
        "upload /etc/kubernetes/manifests/kube-vip.yaml",
    ];
    for (text, role, wrong, steps) in [
        (
            stacked,
            Role::Master,
            "heartbeat",
            &[&kubelet[..], &pods].concat(),
        ),
        (stacked, Role::Master, "static pods", &pods.to_vec()),
        (binaries, Role::Master, "heartbeat", &kubelet.to_vec()),
        (
            binaries,
            Role::Master,
            "ready kube-apiserver",
            &apiserver.to_vec(),
        ),
        (binaries, Role::Etcd, "service etcd.service", &etcd.to_vec()),
        (
            stacked,
            Role::Master,
            "stays up containerd.service",
            &containerd.to_vec(),
        ),
        (
            haproxy,
            Role::LoadBalancer,
            "stays up haproxy.service",
            &[&balancer[..], &keepalived].concat(),
        ),
        (
            haproxy,
            Role::LoadBalancer,
            "stays up keepalived.service",
            &keepalived.to_vec(),
        ),
        (kube_vip, Role::Master, "await kube-vip", &vip.to_vec()),
    ] {
        let cluster = config(text);
        let first = &cluster.first_in(role).unwrap().name;
        let wrong = match wrong {
            "heartbeat" => format!("heartbeat {first}"),
            wrong => wrong.to_owned(),
        };
        let touched = touched(text, first, &wrong, steps).await;
        let alone = touched.is_empty() || touched == BTreeSet::from([first.clone()]);
        assert!(
            alone,
            "{wrong} on {first} of {}: {touched:?}",
            cluster.name()
        );
    }
}

fn site_of(text: &str) -> Site {
    let cluster = config(text);
    let manifest = complete(&cluster);
    let tree = Tree::at(format!("/srv/.kubexm/{}", cluster.name()));
    Site::new(cluster, manifest, tree, None)
}

/// What of a changed config takes something away: the stages of it alone, and by whom they are followed.
fn retired(before: &str, now: &str) -> String {
    let graph = install(&site_of(now), Some(&site_of(before)), InstallStage::LAST).unwrap();
    let tree = graph.tree();
    let mut lines = Vec::new();
    let mut shown = false;
    for line in tree.lines() {
        if !line.starts_with(' ') {
            shown = line.starts_with("retire");
        }
        if shown {
            lines.push(line);
        }
    }
    lines.join("\n")
}

#[test]
fn what_a_config_asks_for_as_before_takes_nothing_away() {
    for text in [
        include_str!("../../../examples/three-etcd.yaml"),
        include_str!("../../../examples/ha-haproxy.yaml"),
        include_str!("../../../examples/ha-kube-vip.yaml"),
        include_str!("../../../examples/kubeadm.yaml"),
    ] {
        assert_eq!(retired(text, text), "");
    }
}

/// The one holds the port that the other needs: it goes before that one comes.
#[test]
fn another_balancer_takes_the_place_of_the_one_before() {
    let before = include_str!("../../../examples/ha-haproxy.yaml");
    let after = before.replace(
        "externalLoadBalancer: kubexm",
        "externalLoadBalancer: kubexm-kn",
    );
    insta::assert_snapshot!("retired-haproxy", retired(before, &after));
    let graph = install(&site_of(&after), Some(&site_of(before)), InstallStage::LAST).unwrap();
    let view = graph.view();
    let at = |stage: &str, step: &str| {
        let mut nodes = view.iter();
        nodes.find(|node| node.stage == stage && node.step.contains(step) && node.host == "lb1")
    };
    let (stopped, started) = (
        at("retire first/load balancer", "haproxy.service").unwrap(),
        at("load balancer", "nginx.service").unwrap(),
    );
    assert!(stopped.id < started.id);
}

#[test]
fn a_runtime_class_is_one_object_and_files_of_its_nodes() {
    let bridge = include_str!("../../../examples/bridge.yaml");
    assert!(!plan(bridge).contains("runtime classes"));
    let mut cluster = config(bridge);
    let mut hosts = cluster.spec.hosts.iter_mut();
    let host = hosts.find(|host| host.name == "node2").unwrap();
    host.runtime_classes = vec![cluster::RuntimeClass::Nvidia];
    let planned = graph(cluster).tree();
    assert!(
        planned.contains("apply runtime classes to the cluster"),
        "{planned}"
    );
}

#[test]
fn harbor_as_a_plan() {
    let text = include_str!("../../../examples/harbor.yaml");
    insta::assert_snapshot!("harbor", plan(text));
    let mut site = site_of(text);
    insta::assert_snapshot!(
        "harbor-deleted",
        delete(&site_of(text), Data::Keep).unwrap().tree()
    );
    let refused = pipeline::prune_images(&site, &BTreeMap::new());
    insta::assert_snapshot!(refused.err().unwrap(), @"kubexm does not keep this registry, and removes nothing from it");
    site.tree = Tree::at("/lost");
    let fetched = adopt(&site).unwrap().tree();
    assert!(fetched.contains("fetch Harbor's passwords"), "{fetched}");
}

#[test]
fn tools_come_as_the_config_asks_and_go_when_it_does_so_no_more() {
    let bridge = include_str!("../../../examples/bridge.yaml");
    let asked = format!("{bridge}  tools: [buildkit, nerdctl]\n");
    let none = format!("{bridge}  tools: []\n");
    insta::assert_snapshot!("tools-gone", retired(&asked, &none));
    let docker = format!(
        "{bridge}  kubernetes: {{containerRuntime: {{type: docker}}}}\n  tools: [docker-compose, nerdctl]\n"
    );
    let of_tools = |text: &str| -> Vec<String> {
        let graph = graph(config(text));
        let view = graph.view().into_iter();
        let nodes = view.filter(|node| node.stage == "tools" && node.host == "node2");
        nodes.map(|node| node.title.clone()).collect()
    };
    insta::assert_snapshot!("tools-docker", of_tools(&docker).join("\n"));
    insta::assert_snapshot!("tools-buildkit", of_tools(&asked).join("\n"));
}

#[test]
fn a_registry_that_has_moved_leaves_its_images_and_nothing_else() {
    let before = include_str!("../../../examples/three-etcd.yaml");
    let after = before.replace("registry: [registry1]", "registry: [worker1]");
    assert_ne!(before, after);
    insta::assert_snapshot!("retired-registry", retired(before, &after));
}

/// Of what a step has set up together, only that goes which nobody asks for.
#[test]
fn modules_of_another_way_to_services_go_and_all_others_stay() {
    let with = |mode: &str| {
        include_str!("../../../examples/three-etcd.yaml").replace(
            "version: v1.34.2\n    type: kubexm\n",
            &format!("version: v1.34.2\n    type: kubexm\n    proxyMode: {mode}\n"),
        )
    };
    let told = retired(&with("ipvs"), &with("iptables"));
    assert!(told.contains("ip_vs"), "{told}");
    assert!(!told.contains("/etc/modules-load.d"), "{told}");
    let site = |mode: &str| site_of(&with(mode));
    let graph = install(&site("iptables"), Some(&site("ipvs")), InstallStage::LAST).unwrap();
    let steps: Vec<String> = graph.view().into_iter().map(|node| node.step).collect();
    let unload: Vec<&String> = steps
        .iter()
        .filter(|step| step.contains("take back module"))
        .collect();
    assert!(!unload.is_empty());
    for step in unload {
        assert!(
            step.contains("module ip_vs") && !step.contains("overlay"),
            "{step}"
        );
    }
}

#[test]
fn members_masters_and_nodes_are_not_taken_away_by_a_config() {
    let before = include_str!("../../../examples/three-etcd.yaml");
    let without = |from: &str, to: &str| {
        let after = before.replace(from, to);
        assert_ne!(before, after, "{from}");
        let refused = install(&site_of(&after), Some(&site_of(before)), InstallStage::LAST);
        refused.err().unwrap()
    };
    let error = without("etcd: [\"node[1:3]\"]", "etcd: [node1]");
    insta::assert_snapshot!(error, @r"
    install takes no node from a living cluster, nor any of these roles:
      node2: it is a member of etcd: kubexm delete node node2 --role etcd
      node3: it is a member of etcd: kubexm delete node node3 --role etcd
    ");
    insta::assert_snapshot!(error.hint().unwrap(), @"run what is named behind each with -f CONFIG, or give the roles back in the config");
}

/// A work directory that was lost comes back from its hosts, and nothing there is changed.
#[test]
fn what_an_install_brings_to_hosts_is_fetched_from_there() {
    for (name, text) in [
        (
            "adopt-three-etcd",
            include_str!("../../../examples/three-etcd.yaml"),
        ),
        (
            "adopt-ha",
            include_str!("../../../examples/ha-haproxy.yaml"),
        ),
        (
            "adopt-stacked",
            include_str!("../../../examples/stacked-etcd.yaml"),
        ),
    ] {
        let cluster = config(text);
        let tree = Tree::at(format!("/srv/.kubexm/{}", cluster.name()));
        let nothing = Contents::new(cluster.name(), "0.1.0");
        let graph = adopt(&Site::new(cluster, nothing, tree, None)).unwrap();
        insta::assert_snapshot!(name, graph.tree());
        for node in graph.view() {
            let is_local = node.host == "(operator)";
            let reads = ["look", "fetch"].contains(&node.stage.as_str());
            assert!(is_local || reads, "{node:?}");
        }
    }
}
