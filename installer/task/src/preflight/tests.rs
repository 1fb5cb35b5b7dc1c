use artifact::{Contents, Tree};
use cluster::{Arch, KubernetesType, NetworkPlugin, ProxyMode, Spec, TunnelMode};
use step::CgroupV1;

use super::*;
use crate::preflight::facts::{CONTROLLERS, NGINX_STREAM};

fn of(name: &str) -> Requirements {
    of_plugin(name, NetworkPlugin::Calico)
}

fn of_plugin(name: &str, plugin: NetworkPlugin) -> Requirements {
    of_spec(name, |spec| spec.network.plugin = plugin)
}

fn of_spec(name: &str, change: impl FnOnce(&mut Spec)) -> Requirements {
    let text = include_str!("../../../../examples/three-etcd.yaml");
    let mut cluster = cluster::parse("config.yaml", text).unwrap().cluster;
    change(&mut cluster.spec);
    in_cluster(name, cluster)
}

fn of_text(name: &str, text: &str) -> Requirements {
    in_cluster(name, cluster::parse("config.yaml", text).unwrap().cluster)
}

fn in_cluster(name: &str, cluster: cluster::Cluster) -> Requirements {
    let site = site_of(cluster);
    requirements(&site, site.cluster.host(name).unwrap(), &Groups::of(&site))
}

fn site_of(cluster: cluster::Cluster) -> Site {
    let contents = Contents {
        arches: vec![Arch::Amd64],
        ..Contents::new(cluster.name(), "0.1.0")
    };
    let tree = Tree::at("/srv/.kubexm/lab");
    Site::new(cluster, contents, tree, None)
}

#[test]
fn cloned_machines_may_share_a_name_that_they_will_not_keep() {
    let names = |set_hostname: bool| -> Vec<&str> {
        let text = include_str!("../../../../examples/three-etcd.yaml");
        let mut cluster = cluster::parse("config.yaml", text).unwrap().cluster;
        cluster.spec.system.set_hostname = set_hostname;
        unique(&cluster).iter().map(Identity::name).collect()
    };
    assert_eq!(names(false), ["hostname", "machine-id"]);
    assert_eq!(names(true), ["machine-id"]);
}

#[test]
fn with_a_bridge_all_nodes_are_neighbours_and_the_registry_is_none() {
    let bridge = |name: &str| of_plugin(name, NetworkPlugin::Bridge);
    let names = |wanted: &Requirements| -> Vec<String> {
        let neighbours = wanted.neighbours.iter();
        neighbours
            .map(|neighbour| format!("{} {}", neighbour.name, neighbour.address))
            .collect()
    };
    insta::assert_snapshot!(names(&bridge("node1")).join(", "), @"node2 172.16.0.12, node3 172.16.0.13, worker1 172.16.0.21");
    assert!(bridge("registry1").neighbours.is_empty());
    assert!(of("node1").neighbours.is_empty());
    let asks_for_ip = |program: &step::Program| program.name == "ip";
    assert!(bridge("node1").programs.iter().any(asks_for_ip));
}

fn ports(wanted: &Requirements) -> Vec<u16> {
    wanted.ports.iter().map(|port| port.number).collect()
}

/// What the network asks of a node: UDP ports, modules beyond those of every node, directories.
fn network(change: impl FnOnce(&mut cluster::Network)) -> String {
    let wanted = of_spec("worker1", |spec| change(&mut spec.network));
    let node = of_plugin("worker1", NetworkPlugin::None);
    let modules = wanted.modules.iter();
    let modules = modules.filter(|module| !node.modules.contains(module));
    let modules: Vec<&str> = modules.map(|module| module.name).collect();
    let directories: Vec<&str> = wanted.directories.iter().map(|it| it.path).collect();
    let datagrams: Vec<u16> = wanted
        .datagram_ports
        .iter()
        .map(|port| port.number)
        .collect();
    let streams = ports(&wanted)
        .into_iter()
        .filter(|port| !ports(&node).contains(port));
    let streams: Vec<u16> = streams.collect();
    format!("tcp {streams:?} udp {datagrams:?} {modules:?} {directories:?}")
}

#[test]
fn each_network_asks_for_its_ports_modules_and_directories() {
    insta::assert_snapshot!(network(|it| it.plugin = NetworkPlugin::Calico), @r#"tcp [179] udp [] ["ipip"] ["/sys/fs/bpf"]"#);
    let by_vxlan = network(|it| {
        it.plugin = NetworkPlugin::Calico;
        it.calico.ipip_mode = None;
        it.calico.vxlan_mode = Some(TunnelMode::Always);
    });
    insta::assert_snapshot!(by_vxlan, @r#"tcp [] udp [4789] ["vxlan"] ["/sys/fs/bpf"]"#);
    insta::assert_snapshot!(network(|it| it.plugin = NetworkPlugin::Flannel), @r#"tcp [] udp [8472] ["vxlan"] []"#);
    insta::assert_snapshot!(network(|it| it.plugin = NetworkPlugin::Bridge), @"tcp [] udp [] [] []");
}

#[test]
fn a_master_with_etcd_must_bear_the_control_plane() {
    let wanted = of("node1");
    let expected = [2379, 2380, 2381, 179, 10250, 10256, 6443, 10257, 10259];
    assert_eq!(ports(&wanted), expected);
    let elsewhere = of_spec("node1", |spec| spec.control_plane_endpoint.port = 8443);
    assert!(ports(&elsewhere).contains(&8443) && !ports(&elsewhere).contains(&6443));
    assert_eq!(wanted.memory, Some(CONTROL_PLANE_MEMORY));
    assert_eq!(wanted.controllers, CONTROLLERS);
    let programs: Vec<&str> = wanted.programs.iter().map(|program| program.name).collect();
    let expected = [
        "diff",
        "groupadd",
        "ipset",
        "iptables",
        "mount",
        "sha256sum",
        "systemctl",
        "useradd",
    ];
    assert_eq!(programs, expected);
    let directories = [
        "/opt/cni/bin",
        "/usr/local/bin",
        "/usr/local/sbin",
        "/var/lib/containerd",
    ];
    assert_eq!(wanted.executable, directories);
}

#[test]
fn a_worker_needs_what_containers_need_and_a_registry_does_not() {
    let (worker, registry) = (of("worker1"), of("registry1"));
    assert_eq!(
        (ports(&worker), ports(&registry)),
        (vec![179, 10250, 10256, 6443, 10242], vec![5000])
    );
    assert_eq!((worker.memory, registry.memory), (None, None));
    let modules: Vec<&str> = worker.modules.iter().map(|module| module.name).collect();
    assert_eq!(
        modules[..4],
        ["overlay", "br_netfilter", "nf_conntrack", "ip_vs"]
    );
    assert!(registry.modules.is_empty() && registry.controllers.is_empty());
    assert_eq!(registry.executable, ["/usr/local/bin"]);
}

#[test]
fn a_master_with_stacked_etcd_has_no_other_store() {
    let text = include_str!("../../../../examples/stacked-etcd.yaml");
    let (master, worker) = (of_text("master1", text), of_text("worker1", text));
    assert!(ports(&master).starts_with(&[2379, 2380, 2381]));
    assert!(!ports(&worker).contains(&2379));
    let store = |wanted: &Requirements| {
        let mut paths = wanted.leftovers.iter().map(|leftover| &leftover.path);
        paths.any(|path| path == "/var/lib/etcd")
    };
    assert!(store(&master) && !store(&worker));
}

/// Of a worker of a cluster with these settings of Kubernetes.
fn kubernetes(version: &str, change: impl FnOnce(&mut cluster::Kubernetes)) -> Requirements {
    of_spec("worker1", |spec| {
        spec.kubernetes.version = version.parse().unwrap();
        change(&mut spec.kubernetes);
    })
}

#[test]
fn cgroup_v1_is_refused_where_kubernetes_refuses_it() {
    let fails = |kubernetes: &mut cluster::Kubernetes, fails: bool| {
        let settings = &mut kubernetes.kubelet_configuration;
        settings.insert("failCgroupV1".to_owned(), fails.into());
    };
    let of =
        |version, change: &dyn Fn(&mut cluster::Kubernetes)| kubernetes(version, change).cgroup_v1;
    assert_eq!(of("v1.34.2", &|_| ()), CgroupV1::Works);
    assert_eq!(of("v1.35.0", &|_| ()), CgroupV1::EndsKubelet);
    assert_eq!(of("v1.34.2", &|it| fails(it, true)), CgroupV1::EndsKubelet);
    assert_eq!(of("v1.35.0", &|it| fails(it, false)), CgroupV1::Works);
    let by_kubeadm = |ignored: &[&str]| {
        let ignored: Vec<String> = ignored.iter().map(|name| (*name).to_owned()).collect();
        of("v1.35.0", &|it| {
            it.kind = KubernetesType::Kubeadm;
            it.ignore_preflight_errors.clone_from(&ignored);
            fails(it, false);
        })
    };
    assert_eq!(by_kubeadm(&[]), CgroupV1::EndsKubeadm);
    assert_eq!(by_kubeadm(&["SystemVerification"]), CgroupV1::Works);
}

#[test]
fn kernel_and_routes_go_by_the_way_to_services() {
    let of = |mode: ProxyMode| {
        let wanted = kubernetes("v1.35.0", |it| it.proxy_mode = Some(mode));
        (wanted.routed.len(), wanted.kernels.len())
    };
    assert_eq!(of(ProxyMode::Ipvs), (0, 0));
    assert_eq!(of(ProxyMode::Iptables), (1, 0));
    assert_eq!(of(ProxyMode::Nftables), (1, 1));
    let by_kubeadm = |version| {
        let wanted = kubernetes(version, |it| it.kind = KubernetesType::Kubeadm);
        wanted.kernels.first().map(|kernel| kernel.release)
    };
    let asked = ["v1.31.0", "v1.32.4", "v1.33.1", "v1.34.2"].map(by_kubeadm);
    assert_eq!(asked, [None, Some((4, 19)), Some((4, 19)), None]);
}

#[test]
fn how_full_a_disk_may_be_is_for_the_config_to_say() {
    let of = |hard: serde_json::Value| {
        let wanted = kubernetes("v1.34.2", |it| {
            it.kubelet_configuration
                .insert("evictionHard".to_owned(), hard);
        });
        let evictions = wanted.evictions.iter();
        let told = evictions.map(|eviction| format!("{} {}", eviction.path, eviction.percent));
        told.collect::<Vec<_>>().join(", ")
    };
    let default = "/var/lib/kubelet 10, /var/lib/containerd 15";
    assert_eq!(of(serde_json::json!({})), default);
    let own = serde_json::json!({ "nodefs.available": "1%", "imagefs.available": "2Gi" });
    assert_eq!(of(own), "/var/lib/kubelet 1");
    // The disk that the kubelet looks at.
    let elsewhere = kubernetes("v1.34.2", |it| {
        let flags = ["--root-dir=/data/a", "--root-dir=/data/kubelet/", "--v=2"];
        it.kubelet_args = flags.map(str::to_owned).into();
    });
    assert_eq!(elsewhere.evictions[0].path, "/data/kubelet");
}

#[test]
fn names_are_those_of_the_block_in_the_hosts_file() {
    let names = |host: &str| -> Vec<String> {
        let wanted = of(host);
        let names = wanted.names.iter();
        names
            .map(|name| format!("{}: {:?}", name.of, name.addresses))
            .collect()
    };
    assert_eq!(
        names("node1"),
        [
            "the control plane: [172.16.0.11]",
            "the registry: [172.16.0.10]"
        ]
    );
}

#[test]
fn of_a_registry_that_is_down_it_is_said_what_waits() {
    let text = include_str!("../../../../examples/three-etcd.yaml");
    let cluster = cluster::parse("config.yaml", text).unwrap().cluster;
    let site = site_of(cluster);
    let told = |name: &str| without(&site, site.cluster.host(name).unwrap());
    assert!(
        told("registry1")
            .unwrap()
            .contains("whatever pulls images waits")
    );
    assert_eq!(told("node1"), None);
}

#[test]
fn clocks_that_will_be_set_need_not_agree_yet() {
    let text = include_str!("../../../../examples/three-etcd.yaml");
    let mut cluster = cluster::parse("config.yaml", text).unwrap().cluster;
    cluster.spec.system.ntp_servers.clear();
    assert_eq!(skew(&cluster), SKEW);
    cluster.spec.system.ntp_servers = vec!["node1".to_owned()];
    assert_eq!(skew(&cluster), OFF);
}

fn shared(wanted: &Requirements) -> Vec<String> {
    wanted.shared.iter().map(ToString::to_string).collect()
}

#[test]
fn hosts_that_share_an_address_are_asked_who_has_it() {
    let nginx = include_str!("../../../../examples/ha-nginx.yaml");
    let balancer = of_text("lb1", nginx);
    assert_eq!(shared(&balancer), ["172.16.0.100:6443"]);
    assert_eq!(balancer.features, [NGINX_STREAM]);
    assert_eq!(ports(&balancer), [6443, 10242]);
    assert!(of_text("master1", nginx).shared.is_empty());
    let haproxy = of_text("lb2", include_str!("../../../../examples/ha-haproxy.yaml"));
    assert!(haproxy.features.is_empty());
    let kube_vip = include_str!("../../../../examples/ha-kube-vip.yaml");
    assert_eq!(shared(&of_text("master2", kube_vip)), ["172.16.0.100:6443"]);
    assert!(of_text("worker1", kube_vip).shared.is_empty());
    let theirs = include_str!("../../../../examples/ha-external.yaml");
    assert!(of_text("master1", theirs).shared.is_empty());
}

#[test]
fn what_a_cluster_was_made_with_is_asked_of_every_host() {
    for name in ["node1", "worker1"] {
        let wanted = of(name);
        let paths: Vec<&str> = wanted
            .authorities
            .iter()
            .map(|it| it.path.as_str())
            .collect();
        let expected = [
            "/etc/kubernetes/pki/ca.crt",
            "/etc/kubernetes/pki/front-proxy-ca.crt",
            "/etc/kubernetes/pki/sa.pub",
            "/etc/kubernetes/pki/etcd/ca.crt",
            "/etc/etcd/pki/ca.crt",
        ];
        assert_eq!(paths, expected);
    }
}

/// A network comes up by the first configuration in its directory, a kubelet by the certificate that it had.
#[test]
fn what_others_leave_on_a_node_is_asked_for() {
    let wanted = of("worker1");
    let left = |path: &str| wanted.leftovers.iter().any(|it| it.path == path);
    for path in [
        "/etc/cni/net.d/*.conf",
        "/etc/cni/net.d/*.conflist",
        "/etc/kubernetes",
        "/sys/class/net/cni0",
        "/var/lib/kubelet/pki",
    ] {
        assert!(left(path), "{path}");
    }
    let rivals: Vec<&str> = wanted.rivals.iter().map(|rival| rival.unit).collect();
    for unit in [
        "kubelet.service",
        "nm-cloud-setup.service",
        "nm-cloud-setup.timer",
    ] {
        assert!(rivals.contains(&unit), "{unit}: {rivals:?}");
    }
}

#[test]
fn every_port_that_selinux_must_allow_a_balancer_is_named() {
    let wanted = of_text("lb1", include_str!("../../../../examples/ha-nginx.yaml"));
    let nginx = wanted.selinux.iter().find(|boolean| boolean.of == "nginx");
    let besides = nginx.unwrap().besides.unwrap();
    assert!(
        besides.contains("the port of the control plane's endpoint"),
        "{besides}"
    );
    let health = crate::balancer::HEALTH_PORT.to_string();
    assert!(besides.contains(&health), "{besides}");
}
