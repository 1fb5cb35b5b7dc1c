//! What the config says of networks and hosts, as values of the chart of a network plugin.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::{Cidr, CidrPair, Cluster, Host, KnownAddon, NodeLocalDns, Role};

/// Where Kube-OVN has the addresses of nodes in its own network. Its own default.
const JOIN: (&str, &str) = ("100.64.0.0/16", "fd00:100:64::/112");

pub(super) fn of(cluster: &Cluster, known: KnownAddon) -> Map<String, Value> {
    let values = match known {
        KnownAddon::Cilium => cilium(cluster),
        KnownAddon::KubeOvn => kube_ovn(cluster),
        _ => Value::Null,
    };
    match values {
        Value::Object(values) => values,
        _ => Map::new(),
    }
}

fn cilium(cluster: &Cluster) -> Value {
    let pods = cluster.spec.network.kube_pods_cidr;
    let nodes = cluster.spec.hosts.iter().filter(|host| {
        let roles = cluster.roles_of(&host.name);
        roles.contains(&Role::Master) || roles.contains(&Role::Worker)
    });
    let mut values = json!({
        "ipv4": { "enabled": pods.v4.is_some() },
        "ipv6": { "enabled": pods.v6.is_some() },
    });
    if nodes.count() == 1 {
        // The chart wants two, each on a node of its own.
        values["operator"] = json!({ "replicas": 1 });
    }
    values
}

fn kube_ovn(cluster: &Cluster) -> Value {
    let network = &cluster.spec.network;
    let pods = network.kube_pods_cidr;
    let masters = cluster.hosts_in(Role::Master);
    let addresses: Vec<String> = masters.into_iter().filter_map(first_address).collect();
    let (stack, join) = match (pods.v4, pods.v6) {
        (Some(_), Some(_)) => ("dual_stack", format!("{},{}", JOIN.0, JOIN.1)),
        (None, Some(_)) => ("ipv6", JOIN.1.to_owned()),
        (_, None) => ("ipv4", JOIN.0.to_owned()),
    };
    let networks = json!({
        "POD_CIDR": pods.to_string(),
        "POD_GATEWAY": gateways(pods),
        "SVC_CIDR": network.kube_service_cidr.to_string(),
        "JOIN_CIDR": join,
        // It would ask the world whether there is one.
        "PINGER_EXTERNAL_ADDRESS": "",
        "PINGER_EXTERNAL_DOMAIN": "",
    });
    let local = cluster.spec.dns.nodelocaldns.runs();
    let local = local.then(|| NodeLocalDns::ADDRESS.to_string());
    json!({
        "MASTER_NODES": addresses.join(","),
        "networking": { "NET_STACK": stack, "NODE_LOCAL_DNS_IP": local.unwrap_or_default() },
        stack: networks,
    })
}

fn first_address(host: &Host) -> Option<String> {
    let first = host.internal_ips().into_iter().next();
    first.map(|address| address.to_string())
}

/// The first address of each.
fn gateways(pods: CidrPair) -> String {
    let first = |cidr: Cidr| match cidr.net().network() {
        IpAddr::V4(network) => IpAddr::V4((u32::from(network) + 1).into()),
        IpAddr::V6(network) => IpAddr::V6((u128::from(network) + 1).into()),
    };
    let all: Vec<String> = pods.iter().map(|cidr| first(cidr).to_string()).collect();
    all.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(plugin: &str, network: &str) -> String {
        let text = format!(
            "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {{name: c}}
spec:
  hosts:
    - {{name: a, address: 10.0.0.1, internalAddress: '10.0.0.1,fd00::1'}}
    - {{name: b, address: 10.0.0.2, internalAddress: '10.0.0.2,fd00::2'}}
  roleGroups: {{etcd: [a], master: [a, b], worker: [b]}}
  controlPlaneEndpoint: {{externalLoadBalancer: external, lb_address: 10.0.0.9}}
  network: {{plugin: {plugin}{network}}}
  dns: {{nodelocaldns: {{enabled: true}}}}
  addons: [metallb, {{name: {plugin}, values: {{operator: {{prometheus: {{enabled: false}}}}}}}}]
"
        );
        let cluster = crate::parse("c.yaml", &text).unwrap().cluster;
        let addons = cluster.addons();
        let names: Vec<&str> = addons.iter().map(|addon| addon.name.as_str()).collect();
        assert_eq!(names, [plugin, "metallb"]);
        format!("{:#}", Value::Object(addons[0].values.clone()))
    }

    #[test]
    fn what_the_config_says_becomes_values_and_an_entry_says_more() {
        insta::assert_snapshot!("cilium", values("cilium", ""));
        insta::assert_snapshot!("kube-ovn", values("kube-ovn", ""));
        let dual =
            ", kubePodsCIDR: '10.244.0.0/16,fd01::/64', kubeServiceCIDR: '10.96.0.0/12,fd85::/112'";
        insta::assert_snapshot!("kube-ovn-dual", values("kube-ovn", dual));
    }
}
