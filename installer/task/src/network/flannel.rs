//! Flannel by its manifest, with the pods' networks of the config.

use std::net::IpAddr;
use std::sync::Arc;

use cluster::{CidrPair, Host};
use engine::{StepError, Task};
use serde_json::Value;
use step::{PodNetworkTraces, Port, Requirements};

use super::manifest::{self, Objects, Place};
use super::{Network, VXLAN_MODULE, pods_on_nodes};
use crate::Site;
use crate::control_plane::once;

const CONFIG: &str = "/etc/cni/net.d/10-flannel.conflist";
const TRACES: PodNetworkTraces = PodNetworkTraces {
    name: "flannel",
    paths: &[
        CONFIG,
        "/opt/cni/bin/flannel",
        "/run/flannel",
        "/var/lib/cni/flannel",
        "/var/lib/cni/networks/cbr0",
    ],
    links: &["flannel.*", "flannel-v6.*", "cni0"],
    protocols: &[],
    through: &[],
    rules: &["FLANNEL", "flanneld"],
};

/// Where its tunnels end on each node.
const VXLAN_PORT: Port = Port {
    number: 8472,
    of: "flannel's VXLAN",
};

pub(super) struct Flannel;

impl Network for Flannel {
    fn traces(&self) -> Option<PodNetworkTraces> {
        Some(TRACES)
    }

    fn config(&self) -> Option<&'static str> {
        Some(CONFIG)
    }

    fn requirements(&self, _: &Site, _: &Host, wanted: &mut Requirements) {
        wanted.datagram_ports.push(VXLAN_PORT);
        wanted.modules.push(VXLAN_MODULE);
    }

    fn on_cluster(&self, site: &Site, task: Task) -> Task {
        apply(site, task)
    }

    fn on_nodes(&self, site: &Site, task: Task) -> Task {
        pods_on_nodes(site, task, TRACES.name, "app=flannel")
    }
}

fn apply(site: &Site, task: Task) -> Task {
    let pods = site.cluster.spec.network.kube_pods_cidr;
    let way = Way::of(site);
    let applied = manifest::apply(site, "flannel", move |objects| {
        edit(objects, pods)?;
        way.edit(objects)
    });
    once(site, task, vec![Arc::new(applied)])
}

/// How flannel finds the interface that leads to the other nodes. By itself it takes that of the default route, which may
/// be another one, or not there at all.
enum Way {
    /// The one with the address that Kubernetes knows the node by: the manifest stays as it is when nodes come.
    NodeAddress,
    /// The one with one of these addresses. Where pods have IPv6 addresses flannel must be told that of the node as well,
    /// and Kubernetes tells a pod only the first.
    AnyOf(Vec<IpAddr>),
}

/// The variable of flannel's environment that holds its node's address.
const NODE_ADDRESS: &str = "KUBEXM_NODE_ADDRESS";

impl Way {
    fn of(site: &Site) -> Self {
        if site.cluster.spec.network.kube_pods_cidr.v6.is_none() {
            return Self::NodeAddress;
        }
        let hosts = site.runtime_hosts().into_iter();
        Self::AnyOf(hosts.flat_map(|host| site.node_ips(host)).collect())
    }

    fn edit(&self, objects: &mut Objects) -> Result<(), StepError> {
        let told = match self {
            Self::NodeAddress => {
                flanneld(objects)?.set_env_of_field(NODE_ADDRESS, "status.hostIP")?;
                format!("--iface=$({NODE_ADDRESS})")
            }
            Self::AnyOf(addresses) => {
                let texts = addresses.iter().map(ToString::to_string);
                let patterns: Vec<String> = texts.map(|text| text.replace('.', "\\.")).collect();
                format!("--iface-regex=^({})$", patterns.join("|"))
            }
        };
        flanneld(objects)?.at(&["args"])?.with(&told)
    }
}

fn flanneld(objects: &mut Objects) -> Result<Place<'_>, StepError> {
    objects
        .object("DaemonSet", "kube-flannel-ds")?
        .container("kube-flannel")
}

fn edit(objects: &mut Objects, pods: CidrPair) -> Result<(), StepError> {
    let map = objects.object("ConfigMap", "kube-flannel-cfg")?;
    map.at(&["data", "net-conf.json"])?
        .edit_json(&[], |mut config| {
            config = config.must(&["Network"])?.must(&["Backend", "Type"])?;
            let v4 = pods.v4.map(|pods| pods.to_string());
            let v6 = pods.v6.map(|pods| pods.to_string());
            let enabled = |network: &Option<String>| Value::Bool(network.is_some());
            let families = [("EnableIPv4", enabled(&v4)), ("EnableIPv6", enabled(&v6))];
            let networks = [("Network", v4), ("IPv6Network", v6)];
            let networks = networks
                .into_iter()
                .filter_map(|(key, network)| Some((key, Value::String(network?))));
            config.merge(&families.into_iter().chain(networks).collect::<Vec<_>>())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAND_IN: &str = include_str!("../../../../tests/lab/upstream/manifests/flannel.yaml");

    fn edited(pods: &str, text: &str) -> Result<String, StepError> {
        let mut objects = Objects::read("kube-flannel.yml".into(), text)?;
        let pods: CidrPair = pods.parse().unwrap();
        edit(&mut objects, pods)?;
        let way = match pods.v6 {
            None => Way::NodeAddress,
            Some(_) => Way::AnyOf(["10.0.0.1", "fd00::1"].map(|ip| ip.parse().unwrap()).into()),
        };
        way.edit(&mut objects)?;
        Ok(objects.into_list())
    }

    #[test]
    fn what_the_config_says_is_in_the_manifest() {
        insta::assert_snapshot!("flannel", edited("10.233.64.0/18", STAND_IN).unwrap());
        let dual = edited("10.233.64.0/18,fd85::/112", STAND_IN).unwrap();
        assert!(
            dual.contains(r#"\"IPv6Network\": \"fd85::/112\""#),
            "{dual}"
        );
        assert!(dual.contains(r#"\"EnableIPv6\": true"#), "{dual}");
        let regex = r#""--iface-regex=^(10\\.0\\.0\\.1|fd00::1)$""#;
        assert!(dual.contains(regex), "{dual}");
    }

    #[test]
    fn a_place_that_is_not_there_is_named() {
        let said = |what: &str| {
            let text = STAND_IN.replace(what, &what.replacen(char::is_alphabetic, "Another", 1));
            edited("10.233.64.0/18", &text).unwrap_err().to_string()
        };
        insta::assert_snapshot!(said("kube-flannel-cfg"), @"kube-flannel.yml has no ConfigMap kube-flannel-cfg");
        insta::assert_snapshot!(said("net-conf.json"), @"kube-flannel.yml has no data.net-conf.json in ConfigMap kube-flannel-cfg");
        insta::assert_snapshot!(said("\"Type\""), @"kube-flannel.yml has no Backend.Type in data.net-conf.json in ConfigMap kube-flannel-cfg");
        insta::assert_snapshot!(said("args"), @"kube-flannel.yml has no args in container kube-flannel in DaemonSet kube-flannel-ds");
    }
}
