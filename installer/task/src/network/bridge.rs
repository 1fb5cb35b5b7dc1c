//! The bridge of the CNI plugins on each node, and routes between them. Each node's share of the pods' network is the
//! controller manager's to give, and the nodes are one another's routers.

use std::net::IpAddr;
use std::sync::Arc;

use cluster::{CidrPair, Host};
use engine::{Order, Slot, Step, StepError, Task};
use step::{
    AskNodeNetworks, Content, FileAttrs, FindLink, HoldFile, Link, Neighbour, NodeNetwork,
    PodNetworkTraces, Requirements, RunService, UploadFile,
};
use templates::{CniBridge, NetworkdRoutes, PodFamily, PodRoute, PodRoutes, PodRoutesUnit};

use super::Network;
use crate::Site;
use crate::control_plane::once;
use crate::os::{rendered, rendered_late};
use crate::preflight::facts::ROUTE_PROGRAMS;

const CONFIG: &str = "/etc/cni/net.d/10-kubexm.conflist";
const SCRIPT: &str = "/usr/local/lib/kubexm/routes";
const UNIT: &str = "kubexm-routes.service";
const UNIT_FILE: &str = "/etc/systemd/system/kubexm-routes.service";
const NETWORKD: &str = "/etc/systemd/networkd.conf.d/kubexm.conf";
const NAME: &str = "kubexm";
const BRIDGE: &str = "kubexm0";
/// Routes and rules go with the service, and the configuration with its upload.
const TRACES: PodNetworkTraces = PodNetworkTraces {
    name: "bridge",
    paths: &["/var/lib/cni/networks/kubexm"],
    links: &[BRIDGE],
    protocols: &[],
    through: &[],
    rules: &[],
};

pub(super) struct Bridge;

impl Network for Bridge {
    fn traces(&self) -> Option<PodNetworkTraces> {
        Some(TRACES)
    }

    fn config(&self) -> Option<&'static str> {
        Some(CONFIG)
    }

    fn requirements(&self, site: &Site, host: &Host, wanted: &mut Requirements) {
        wanted.programs.extend_from_slice(ROUTE_PROGRAMS);
        wanted.neighbours = neighbours(site, host);
    }

    /// The plugins take a pod's network back by the configuration that they made it by, and the container runtime makes the
    /// directory anew as long as it runs.
    fn before_runtime(&self) -> Option<Arc<dyn Step>> {
        let path = CONFIG.into();
        Some(Arc::new(HoldFile { path }))
    }

    fn on_nodes(&self, site: &Site, task: Task) -> Task {
        nodes(site, task)
    }
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

fn nodes(site: &Site, task: Task) -> Task {
    let hosts = site.runtime_hosts();
    let links: Vec<(String, Slot<Link>)> = hosts
        .iter()
        .map(|host| (host.name.clone(), Slot::new(&host.name)))
        .collect();
    let networks: Slot<Vec<NodeNetwork>> = Slot::new("the nodes' networks");
    let pods = site.cluster.spec.network.kube_pods_cidr;
    let find = |task: Task, (host, (name, link)): (&&Host, &(String, Slot<Link>))| {
        let address = host.internal_ips().into_iter().next();
        let find = address.map(|address| -> Arc<dyn Step> {
            let link = link.clone();
            Arc::new(FindLink { address, link })
        });
        task.on(name, find.into_iter().collect())
    };
    let found = hosts.iter().zip(&links).fold(task, find);
    let ask = AskNodeNetworks {
        nodes: links.clone(),
        families: pods.iter().count(),
        networks: networks.clone(),
    };
    let asked = once(site, found.then(Order::Settled), vec![Arc::new(ask)]);
    links.iter().fold(asked, |task, (name, link)| {
        task.on(name, files(pods, name, link, &networks))
    })
}

/// The routes come first: with the plugins' configuration the node takes pods.
fn files(
    pods: CidrPair,
    name: &str,
    link: &Slot<Link>,
    networks: &Slot<Vec<NodeNetwork>>,
) -> Vec<Arc<dyn Step>> {
    let file = |path: &str, content: Content, mode: u32| UploadFile {
        path: path.into(),
        content,
        attrs: FileAttrs::root(mode),
    };
    let routes = {
        let (name, networks) = (name.to_owned(), networks.clone());
        Content::Late {
            takes: vec![networks.id()],
            render: Arc::new(move || rendered_late(&routes(pods, &name, taken(&networks)?)?)),
        }
    };
    let config = {
        let (name, networks, link) = (name.to_owned(), networks.clone(), link.clone());
        Content::Late {
            takes: vec![networks.id(), link.id()],
            render: Arc::new(move || {
                let mtu = taken(&link)?.mtu;
                rendered_late(&config(of(taken(&networks)?, &name)?, mtu))
            }),
        }
    };
    let unit = rendered(&PodRoutesUnit {
        script: SCRIPT.to_owned(),
    });
    let drop_in = Content::Text(rendered(&NetworkdRoutes {}));
    vec![
        Arc::new(file(NETWORKD, drop_in, 0o644)),
        Arc::new(file(SCRIPT, routes, 0o755)),
        Arc::new(file(UNIT_FILE, Content::Text(unit), 0o644)),
        Arc::new(RunService {
            unit: UNIT,
            reads: [UNIT_FILE, SCRIPT].map(Into::into).into(),
        }),
        Arc::new(file(CONFIG, config, 0o644)),
    ]
}

fn taken<T: Send + Sync + 'static>(slot: &Slot<T>) -> Result<&T, StepError> {
    slot.get()
        .ok_or_else(|| StepError::new(format!("{} are not known", slot.id().name())))
}

fn of<'n>(networks: &'n [NodeNetwork], name: &str) -> Result<&'n NodeNetwork, StepError> {
    let mut nodes = networks.iter();
    nodes.find(|node| node.name == name).ok_or_else(|| {
        StepError::new(format!("the cluster knows no node {name}"))
            .with_hint("its kubelet has not registered it: journalctl -u kubelet, on that host")
    })
}

fn config(node: &NodeNetwork, mtu: u32) -> CniBridge {
    let default_route = |network: &ipnet::IpNet| match network {
        ipnet::IpNet::V4(_) => "0.0.0.0/0",
        ipnet::IpNet::V6(_) => "::/0",
    };
    CniBridge {
        name: NAME.to_owned(),
        bridge: BRIDGE.to_owned(),
        mtu,
        networks: node.pods.iter().map(ToString::to_string).collect(),
        default_routes: node.pods.iter().map(default_route).collect(),
    }
}

fn routes(pods: CidrPair, name: &str, networks: &[NodeNetwork]) -> Result<PodRoutes, StepError> {
    let others: Vec<&NodeNetwork> = networks.iter().filter(|node| node.name != name).collect();
    let family = |network: cluster::Cidr| {
        let network = network.net();
        let v4 = network.addr().is_ipv4();
        let routes: Result<Vec<Vec<PodRoute>>, StepError> =
            others.iter().map(|node| routes_to(node, v4)).collect();
        Ok(PodFamily {
            flag: if v4 { "-4" } else { "-6" },
            iptables: if v4 { "iptables" } else { "ip6tables" },
            pods: network.to_string(),
            routes: routes?.concat(),
        })
    };
    let families: Result<_, StepError> = pods.iter().map(family).collect();
    Ok(PodRoutes {
        families: families?,
    })
}

/// The routes to one node's pods in one family of addresses.
fn routes_to(node: &NodeNetwork, v4: bool) -> Result<Vec<PodRoute>, StepError> {
    let same = |address: &&IpAddr| address.is_ipv4() == v4;
    let shares = node
        .pods
        .iter()
        .filter(|share| share.addr().is_ipv4() == v4);
    shares
        .map(|share| {
            let via = node.addresses.iter().find(same).ok_or_else(|| {
                let name = &node.name;
                StepError::new(format!(
                    "{name} has pods in {share}, and no internal address of that family that leads there"
                ))
                .with_hint("give the host both addresses in internalAddress")
            })?;
            Ok(PodRoute {
                network: share.to_string(),
                via: *via,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8, addresses: &[&str]) -> NodeNetwork {
        NodeNetwork {
            name: format!("node{number}"),
            pods: vec![
                format!("10.233.{number}.0/24").parse().unwrap(),
                format!("fd85::{number}00/120").parse().unwrap(),
            ],
            addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        }
    }

    fn pods() -> CidrPair {
        "10.233.0.0/16,fd85::/112".parse().unwrap()
    }

    #[test]
    fn a_node_has_routes_to_all_others_in_each_family() {
        let networks = [
            node(1, &["172.16.0.1", "2022::1"]),
            node(2, &["172.16.0.2", "2022::2"]),
            node(3, &["172.16.0.3", "2022::3"]),
        ];
        let routes = routes(pods(), "node2", &networks).unwrap();
        let shown: Vec<String> = routes
            .families
            .iter()
            .flat_map(|family| {
                let flag = family.flag;
                let route =
                    move |route: &PodRoute| format!("{flag} {} {}", route.network, route.via);
                family.routes.iter().map(route)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "-4 10.233.1.0/24 172.16.0.1",
                "-4 10.233.3.0/24 172.16.0.3",
                "-6 fd85::100/120 2022::1",
                "-6 fd85::300/120 2022::3",
            ]
        );
        let config = config(of(&networks, "node2").unwrap(), 1450);
        assert_eq!(config.networks, ["10.233.2.0/24", "fd85::200/120"]);
        assert_eq!(config.default_routes, ["0.0.0.0/0", "::/0"]);
    }

    #[test]
    fn a_node_that_cannot_be_routed_to_is_named() {
        let networks = [
            node(1, &["172.16.0.1", "2022::1"]),
            node(2, &["172.16.0.2"]),
        ];
        let error = routes(pods(), "node1", &networks).unwrap_err();
        assert_eq!(
            error.to_string(),
            "node2 has pods in fd85::200/120, and no internal address of that family that leads there"
        );
        let error = of(&networks, "node9").unwrap_err();
        assert_eq!(error.to_string(), "the cluster knows no node node9");
    }
}
