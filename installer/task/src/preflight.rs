use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use artifact::ImageEntry;
use cluster::{
    Arch, EtcdType, ExternalLoadBalancer, Host, KubernetesType, NetworkPlugin, ProxyMode, Role,
    TunnelMode,
};
use engine::{Order, Slot, Step, Task};
use step::{
    CgroupV1, Eviction, Identity, JudgeSurveys, KernelSince, Leftover, Neighbour, Port,
    Requirements, SiteName, Space, Survey, SurveyHost, SystemPackages,
};

use crate::balancer::HEALTH_PORT;
use crate::facts::{
    BGP_PORT, CONNTRACK, CONTROL_PLANE_MEMORY, CONTROL_PLANE_PORTS, CONTROLLERS, DIFF, ETCD_PORTS,
    FLOCK, KEEPALIVED, LEFTOVERS, NFTABLES_KERNEL, NGINX_STREAM, NODE_PORTS, NODE_PROGRAMS,
    PROGRAMS, RIVALS, ROUTE_PROGRAMS, SELINUX_HAPROXY, SELINUX_KEEPALIVED, SELINUX_NGINX,
    SHARING_PROGRAMS, SOCKETS, SYSTEMS, USER_PROGRAMS, forwarding_programs,
};
use crate::kube_pki::kept_authorities;
use crate::packages::system_packages;
use crate::{OPERATOR, Site, programs};

/// How far the clocks of two hosts may be apart: certificates and etcd's leases bear no more.
const SKEW: Duration = Duration::from_secs(2);

/// Certificates are made valid from an hour ago.
const OFF: Duration = Duration::from_mins(30);

/// The check by which kubeadm refuses kernels and cgroups.
const SYSTEM_VERIFICATION: &str = "SystemVerification";

/// Looks at every host, then judges all that was found in one report. A host that is down fails by itself and keeps
/// nobody from going on.
#[must_use]
pub fn survey(site: &Site) -> Task {
    let surveys: Vec<(String, Slot<Survey>)> = site
        .host_names()
        .into_iter()
        .map(|host| (host.clone(), Slot::new(&host)))
        .collect();
    let foundation = site.cluster.foundation();
    let mut task = Task::new("survey");
    for (host, (name, survey)) in site.cluster.spec.hosts.iter().zip(&surveys) {
        let step: Arc<dyn Step> = Arc::new(SurveyHost {
            requirements: Requirements {
                foundation: foundation.clone(),
                ..requirements(site, host)
            },
            survey: survey.clone(),
        });
        task = task.on(name, vec![step]);
    }
    task.then(Order::Settled).on(
        OPERATOR,
        vec![Arc::new(JudgeSurveys {
            surveys,
            unique: unique(&site.cluster),
            skew: skew(&site.cluster),
            off: OFF,
        })],
    )
}

/// Clocks that chrony will set need not agree yet: it does so before anything else goes by them.
fn skew(cluster: &cluster::Cluster) -> Duration {
    if cluster.spec.system.ntp_servers.is_empty() {
        SKEW
    } else {
        OFF
    }
}

/// Names that are given anew may be the same before.
fn unique(cluster: &cluster::Cluster) -> Vec<Identity> {
    if cluster.spec.system.set_hostname {
        vec![Identity::MACHINE_ID]
    } else {
        vec![Identity::HOSTNAME, Identity::MACHINE_ID]
    }
}

/// But for the foundation, which is that of all hosts.
fn requirements(site: &Site, host: &Host) -> Requirements {
    let mut wanted = Requirements {
        cluster: site.cluster.name().to_owned(),
        authorities: kept_authorities(site),
        kubernetes: site.kubernetes_version().with_v(),
        machine: host.arch.uname().to_owned(),
        systems: SYSTEMS.to_vec(),
        addresses: host.internal_ips(),
        programs: PROGRAMS.to_vec(),
        packages: system_packages(site, host),
        timezone: site.cluster.spec.system.timezone.clone(),
        names: site_names(site, host),
        ..Requirements::default()
    };
    let is = |hosts: &[&Host]| hosts.iter().any(|other| other.name == host.name);
    if is(&site.etcd_hosts()) {
        of_etcd(site, host, &mut wanted);
    }
    if site.cluster.spec.etcd.kind == EtcdType::Kubeadm && is(&site.masters()) {
        of_stacked_etcd(site, &mut wanted);
    }
    if is(&site.runtime_hosts()) {
        of_node(site, host, &mut wanted);
    }
    if is(&site.balancer_hosts()) {
        wanted.ports.extend(balancer_ports(site));
        of_balancer(site, &mut wanted);
    }
    if site.internal_balancer_kind().is_some() && is(&site.plain_workers()) {
        wanted.ports.extend(balancer_ports(site));
    }
    if is(&site.sharing_hosts()) {
        wanted.programs.extend_from_slice(SHARING_PROGRAMS);
        wanted.shared = site.virtual_sockets();
    }
    if is(&site.cluster.hosts_in(Role::Master)) {
        wanted.ports.push(Port {
            number: site.cluster.spec.control_plane_endpoint.port,
            of: "kube-apiserver",
        });
        wanted.ports.extend_from_slice(CONTROL_PLANE_PORTS);
        wanted.programs.push(DIFF);
        wanted.memory = Some(CONTROL_PLANE_MEMORY);
    }
    if is(&site.cluster.hosts_in(Role::Registry)) {
        of_registry(site, host, &mut wanted);
    }
    let space = packages_space(&wanted.packages);
    wanted.space.extend(space);
    wanted.programs.sort_unstable_by_key(|program| program.name);
    wanted.programs.dedup();
    wanted.executable.sort_unstable();
    wanted.executable.dedup();
    wanted
}

fn of_etcd(site: &Site, host: &Host, wanted: &mut Requirements) {
    let data_dir = &site.cluster.spec.etcd.data_dir;
    wanted.ports.extend_from_slice(ETCD_PORTS);
    wanted.programs.extend_from_slice(USER_PROGRAMS);
    wanted.executable.push("/usr/local/bin".to_owned());
    wanted.space.push(programs_space(site, "etcd", host.arch));
    wanted.space.push(store_space(site));
    wanted.leftovers.push(Leftover {
        path: format!("{data_dir}/member"),
        of: "another etcd",
    });
}

/// kubeadm begins a store, and goes on with none: not even with that of this cluster of before.
fn of_stacked_etcd(site: &Site, wanted: &mut Requirements) {
    wanted.ports.extend_from_slice(ETCD_PORTS);
    wanted.space.push(store_space(site));
    wanted.leftovers.push(Leftover {
        path: site.cluster.spec.etcd.data_dir.to_string(),
        of: "an etcd of before",
    });
}

fn store_space(site: &Site) -> Space {
    let etcd = &site.cluster.spec.etcd;
    Space {
        path: etcd.data_dir.to_string(),
        bytes: etcd.quota_backend_bytes,
        of: "etcd's data",
    }
}

fn of_node(site: &Site, host: &Host, wanted: &mut Requirements) {
    let spec = &site.cluster.spec;
    let runtime = ["containerd", "runc", "crictl", "cni-plugins"];
    for component in runtime
        .into_iter()
        .chain(site.kubernetes_components_on(host))
    {
        wanted
            .space
            .push(programs_space(site, component, host.arch));
    }
    // An image takes its compressed layers and about three times as much unpacked.
    let bytes = 4 * images_size(site, |image, arch| {
        arch == host.arch && comes_to_every_node(site, image)
    });
    let path = spec.registry.containerd_data_dir.to_string();
    // Containers run what lies in their images.
    wanted.executable.extend([
        "/usr/local/bin".to_owned(),
        "/usr/local/sbin".to_owned(),
        "/opt/cni/bin".to_owned(),
        path.clone(),
    ]);
    wanted.space.push(Space {
        path: path.clone(),
        bytes,
        of: "containerd's images",
    });
    wanted.controllers.extend_from_slice(CONTROLLERS);
    wanted.modules.extend(site.modules());
    of_kubernetes(site, wanted);
    wanted.ports.extend_from_slice(NODE_PORTS);
    wanted.programs.extend_from_slice(NODE_PROGRAMS);
    if spec.kubernetes.kind == KubernetesType::Kubeadm {
        wanted.programs.push(FLOCK);
    }
    if site.traits().conntrack_program {
        wanted.programs.push(CONNTRACK);
    }
    wanted
        .programs
        .extend_from_slice(forwarding_programs(spec.kubernetes.proxy_mode()));
    wanted
        .leftovers
        .extend(LEFTOVERS.iter().map(|(path, of)| Leftover {
            path: (*path).to_owned(),
            of,
        }));
    wanted.rivals.extend_from_slice(RIVALS);
    wanted.sockets.extend_from_slice(SOCKETS);
    wanted.overlay = Some(path);
    wanted.evictions = evictions(site);
    if spec.network.plugin == NetworkPlugin::Bridge {
        wanted.programs.extend_from_slice(ROUTE_PROGRAMS);
        wanted.neighbours = neighbours(site, host);
    }
}

/// What this version of Kubernetes, its network and its way to services ask of kernel and routes.
fn of_kubernetes(site: &Site, wanted: &mut Requirements) {
    let (spec, traits) = (&site.cluster.spec, site.traits());
    let kubernetes = &spec.kubernetes;
    let settings = &kubernetes.kubelet_configuration;
    let by_kubeadm = kubernetes.kind == KubernetesType::Kubeadm;
    let ignored = &kubernetes.ignore_preflight_errors;
    let judges = by_kubeadm
        && !ignored
            .iter()
            .any(|name| name == SYSTEM_VERIFICATION || name == "all");
    let told = settings
        .get("failCgroupV1")
        .and_then(serde_json::Value::as_bool);
    wanted.cgroup_v1 = match told {
        Some(true) => CgroupV1::EndsKubelet,
        None if traits.refuses_cgroup_v1 => CgroupV1::EndsKubelet,
        Some(false) | None if traits.refuses_cgroup_v1 && judges => CgroupV1::EndsKubeadm,
        Some(false) | None => CgroupV1::Works,
    };
    if judges && let Some(release) = traits.kubeadm_kernel {
        wanted.kernels.push(KernelSince {
            release,
            of: "kubeadm",
            or: "set spec.kubernetes.ignorePreflightErrors: [SystemVerification]",
        });
    }
    let services = spec.network.kube_service_cidr.iter();
    match kubernetes.proxy_mode() {
        // Every node has the addresses of services itself.
        ProxyMode::Ipvs => {}
        ProxyMode::Iptables => wanted.routed.extend(services.map(cluster::Cidr::net)),
        ProxyMode::Nftables => {
            wanted.routed.extend(services.map(cluster::Cidr::net));
            wanted.kernels.push(NFTABLES_KERNEL);
        }
    }
    wanted.forwards_v6 = spec.network.kube_pods_cidr.v6.is_some();
    if spec.network.plugin == NetworkPlugin::Calico
        && spec.network.calico.vxlan() == TunnelMode::Never
    {
        wanted.ports.push(BGP_PORT);
    }
}

/// The names that the block in a host's `/etc/hosts` has for what others must find there.
fn site_names(site: &Site, host: &Host) -> Vec<SiteName> {
    let cluster = &site.cluster;
    let endpoint = SiteName {
        name: cluster.spec.control_plane_endpoint.domain.clone(),
        of: "the control plane",
        addresses: site.endpoint_on(host),
    };
    let registry = cluster.registry_host().map(|registry| SiteName {
        name: cluster.registry_domain().to_owned(),
        of: "the registry",
        addresses: registry.internal_ips(),
    });
    let names = [Some(endpoint), registry].into_iter().flatten();
    names.filter(|name| !name.addresses.is_empty()).collect()
}

/// How full disks may be for the kubelet. What is said in bytes is left to it.
fn evictions(site: &Site) -> Vec<Eviction> {
    let spec = &site.cluster.spec;
    let hard = spec.kubernetes.kubelet_configuration.get("evictionHard");
    let percent = |signal: &str, default: &str| {
        let told = hard.and_then(|hard| hard.get(signal)?.as_str());
        let percent = told.unwrap_or(default).strip_suffix('%')?;
        percent.parse::<u64>().ok()
    };
    let of = |path: String, signal: &'static str, default: &str| {
        let percent = percent(signal, default)?;
        Some(Eviction {
            path,
            percent,
            signal,
        })
    };
    let images = spec.registry.containerd_data_dir.to_string();
    let evictions = [
        of("/var/lib/kubelet".to_owned(), "nodefs.available", "10%"),
        of(images, "imagefs.available", "15%"),
    ];
    evictions.into_iter().flatten().collect()
}

fn balancer_ports(site: &Site) -> [Port; 2] {
    let endpoint = site.cluster.spec.control_plane_endpoint.port;
    [endpoint, HEALTH_PORT].map(|number| Port {
        number,
        of: "the load balancer",
    })
}

fn of_balancer(site: &Site, wanted: &mut Requirements) {
    let endpoint = &site.cluster.spec.control_plane_endpoint;
    wanted
        .programs
        .extend([KEEPALIVED, site.balancer_program()]);
    wanted.selinux.push(SELINUX_KEEPALIVED);
    if endpoint.external_load_balancer == ExternalLoadBalancer::KubexmNginx {
        wanted.features.push(NGINX_STREAM);
        wanted.selinux.push(SELINUX_NGINX);
    } else {
        wanted.selinux.push(SELINUX_HAPROXY);
    }
}

fn of_registry(site: &Site, host: &Host, wanted: &mut Requirements) {
    let spec = &site.cluster.spec;
    let port = Port {
        number: site.cluster.registry_port(),
        of: "the registry",
    };
    wanted.ports.push(port);
    wanted.programs.extend_from_slice(USER_PROGRAMS);
    wanted.executable.push("/usr/local/bin".to_owned());
    wanted
        .space
        .push(programs_space(site, "registry", host.arch));
    let path = spec.registry.registry_data_dir.to_string();
    let bytes = images_size(site, |_, _| true);
    wanted.space.push(Space {
        path,
        bytes,
        of: "the registry's images",
    });
}

/// The other nodes, at their addresses of the families that pods have.
fn neighbours(site: &Site, host: &Host) -> Vec<Neighbour> {
    let pods = site.cluster.spec.network.kube_pods_cidr;
    let routed = |address: &IpAddr| match address {
        IpAddr::V4(_) => pods.v4.is_some(),
        IpAddr::V6(_) => pods.v6.is_some(),
    };
    let others = site.runtime_hosts().into_iter();
    others
        .filter(|other| other.name != host.name)
        .flat_map(|other| {
            let addresses = other.internal_ips().into_iter().filter(routed);
            addresses.map(|address| Neighbour {
                name: other.name.clone(),
                address,
            })
        })
        .collect()
}

/// The files of packages while they are installed from, and what comes out of them: three times as much, mostly.
fn packages_space(systems: &[SystemPackages]) -> Vec<Space> {
    let size = |system: &SystemPackages| -> u64 {
        let files = system.packages.iter().map(|package| package.file.size);
        files.sum()
    };
    let files = systems.iter().map(size).max().unwrap_or_default();
    [("/var/lib/kubexm", files), ("/usr", 3 * files)]
        .map(|(path, bytes)| Space {
            path: path.to_owned(),
            bytes,
            of: "packages of the system",
        })
        .into_iter()
        .filter(|space| space.bytes > 0)
        .collect()
}

fn programs_space(site: &Site, component: &'static str, arch: Arch) -> Space {
    let bytes = programs::size(site, component, arch);
    Space {
        path: "/usr/local/bin".to_owned(),
        bytes,
        of: component,
    }
}

/// The user's own images are pulled from the registry where they are needed; without one, every node holds them all.
fn comes_to_every_node(site: &Site, image: &ImageEntry) -> bool {
    site.cluster.registry_host().is_none() || !site.release.is_users_own(&image.reference)
}

/// The compressed size of these images, each for these architectures.
fn images_size(site: &Site, counts: impl Fn(&ImageEntry, Arch) -> bool) -> u64 {
    let images = site.manifest.images.iter();
    images
        .flat_map(|image| {
            image
                .platforms
                .iter()
                .map(move |platform| (image, platform))
        })
        .filter(|(image, platform)| counts(image, platform.arch))
        .map(|(_, platform)| platform.size)
        .sum()
}

#[cfg(test)]
mod tests {
    use artifact::{Manifest, Tree};
    use cluster::Spec;

    use super::*;

    fn of(name: &str) -> Requirements {
        of_plugin(name, NetworkPlugin::Calico)
    }

    fn of_plugin(name: &str, plugin: NetworkPlugin) -> Requirements {
        of_spec(name, |spec| spec.network.plugin = plugin)
    }

    fn of_spec(name: &str, change: impl FnOnce(&mut Spec)) -> Requirements {
        let text = include_str!("../../../examples/three-etcd.yaml");
        let mut cluster = cluster::parse("config.yaml", text).unwrap().cluster;
        change(&mut cluster.spec);
        in_cluster(name, cluster)
    }

    fn of_text(name: &str, text: &str) -> Requirements {
        in_cluster(name, cluster::parse("config.yaml", text).unwrap().cluster)
    }

    fn in_cluster(name: &str, cluster: cluster::Cluster) -> Requirements {
        let manifest = Manifest {
            arches: vec![Arch::Amd64],
            ..Manifest::new(cluster.name(), "0.1.0")
        };
        let tree = Tree::at("/srv/.kubexm/lab");
        let site = Site::new(cluster, manifest, tree, None);
        requirements(&site, site.cluster.host(name).unwrap())
    }

    #[test]
    fn cloned_machines_may_share_a_name_that_they_will_not_keep() {
        let names = |set_hostname: bool| -> Vec<&str> {
            let text = include_str!("../../../examples/three-etcd.yaml");
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
        let text = include_str!("../../../examples/stacked-etcd.yaml");
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
        let of = |version, change: &dyn Fn(&mut cluster::Kubernetes)| {
            kubernetes(version, change).cgroup_v1
        };
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
    fn clocks_that_will_be_set_need_not_agree_yet() {
        let text = include_str!("../../../examples/three-etcd.yaml");
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
        let nginx = include_str!("../../../examples/ha-nginx.yaml");
        let balancer = of_text("lb1", nginx);
        assert_eq!(shared(&balancer), ["172.16.0.100:6443"]);
        assert_eq!(balancer.features, [NGINX_STREAM]);
        assert_eq!(ports(&balancer), [6443, 10242]);
        assert!(of_text("master1", nginx).shared.is_empty());
        let haproxy = of_text("lb2", include_str!("../../../examples/ha-haproxy.yaml"));
        assert!(haproxy.features.is_empty());
        let kube_vip = include_str!("../../../examples/ha-kube-vip.yaml");
        assert_eq!(shared(&of_text("master2", kube_vip)), ["172.16.0.100:6443"]);
        assert!(of_text("worker1", kube_vip).shared.is_empty());
        let theirs = include_str!("../../../examples/ha-external.yaml");
        assert!(of_text("master1", theirs).shared.is_empty());
    }
}
