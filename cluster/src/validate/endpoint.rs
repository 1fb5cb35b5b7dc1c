use super::Check;
use crate::{
    ControlPlaneEndpoint, ExternalLoadBalancer, Host, InternalLoadBalancer, KeyPath, ProxyMode,
    Role,
};

const EXTERNAL: &str = "spec.controlPlaneEndpoint.externalLoadBalancer";
const INTERNAL: &str = "spec.controlPlaneEndpoint.internalLoadbalancer";
const ADDRESS: &str = "spec.controlPlaneEndpoint.lb_address";
const DNS: &str = "spec.controlPlaneEndpoint.externalDNS";
const PORT: &str = "spec.controlPlaneEndpoint.port";
const GROUP: &str = "spec.roleGroups.loadbalancer";

pub(super) fn check(check: &mut Check<'_>) {
    one_balancer(check);
    group(check);
    port_of_its_own(check);
    port_without_rights(check);
    virtual_address(check);
    holders(check);
    kube_vip_with_ipvs(check);
}

fn one_balancer(check: &mut Check<'_>) {
    let endpoint = &check.cluster.spec.control_plane_endpoint;
    if check.written(EXTERNAL) && check.written(INTERNAL) {
        let line = check.line(&KeyPath::of(EXTERNAL));
        check.error(
            KeyPath::of(INTERNAL),
            format!("an external{line} and an internal load balancer are both set"),
            "keep one of them, and leave the other empty (\"\")".to_owned(),
        );
    }
    let masters = check.cluster.hosts_in(Role::Master).len();
    let none = endpoint.external_load_balancer == ExternalLoadBalancer::None
        && endpoint.internal_load_balancer == InternalLoadBalancer::None;
    if none && masters > 1 && !endpoint.external_dns && check.sound(&[EXTERNAL, INTERNAL]) {
        check.error(
            KeyPath::of(INTERNAL),
            format!("{masters} masters and no load balancer in front of them"),
            "set internalLoadbalancer to haproxy, nginx or kube-vip, or an externalLoadBalancer"
                .to_owned(),
        );
    }
}

fn group(check: &mut Check<'_>) {
    let hosts = check.cluster.spec.hosts.len();
    let members = check.cluster.spec.role_groups.loadbalancer.len();
    if !check.sound(&[EXTERNAL, GROUP]) {
        return;
    }
    match check
        .cluster
        .spec
        .control_plane_endpoint
        .external_load_balancer
    {
        ExternalLoadBalancer::External if members > 0 => check.error(
            KeyPath::of(GROUP),
            "the load balancer is external, so no host can have the role loadbalancer".to_owned(),
            "remove the role, or set externalLoadBalancer to kubexm".to_owned(),
        ),
        ExternalLoadBalancer::None if members > 0 => check.warn(
            KeyPath::of(GROUP),
            "no external load balancer is set, so the hosts of this role do nothing".to_owned(),
            "set externalLoadBalancer to kubexm, or remove the role".to_owned(),
        ),
        balancer if balancer.is_ours() && members == 0 && hosts > 0 => check.error(
            KeyPath::of(EXTERNAL),
            "kubexm is to set up a load balancer, but no host has the role loadbalancer".to_owned(),
            "name one or two hosts under roleGroups.loadbalancer".to_owned(),
        ),
        _ => {}
    }
}

/// On the balancers' hosts they listen where the apiservers listen on the masters.
fn port_of_its_own(check: &mut Check<'_>) {
    let cluster = check.cluster;
    let endpoint = &cluster.spec.control_plane_endpoint;
    if !endpoint.external_load_balancer.is_ours() || !check.sound(&["spec.roleGroups"]) {
        return;
    }
    for host in cluster.hosts_in(Role::LoadBalancer) {
        if cluster.roles_of(&host.name).contains(&Role::Master) {
            check.error(
                KeyPath::of(GROUP),
                format!(
                    "'{}' is a master and a load balancer, and both listen on port {}",
                    host.name, endpoint.port
                ),
                "take other hosts for the load balancers, or let the masters share the address: \
                 internalLoadbalancer: kube-vip"
                    .to_owned(),
            );
        }
    }
}

/// A pod that is not root may listen from here on.
const FIRST_OPEN_PORT: u16 = 1024;

fn port_without_rights(check: &mut Check<'_>) {
    let endpoint = &check.cluster.spec.control_plane_endpoint;
    let program = match endpoint.internal_load_balancer {
        InternalLoadBalancer::Haproxy => "haproxy",
        InternalLoadBalancer::Nginx => "nginx",
        InternalLoadBalancer::None | InternalLoadBalancer::KubeVip => return,
    };
    if endpoint.port < FIRST_OPEN_PORT && check.sound(&[PORT]) {
        check.error(
            KeyPath::of(PORT),
            format!(
                "the pod of {program} is not root, so it cannot listen on port {}",
                endpoint.port
            ),
            format!("take a port from {FIRST_OPEN_PORT} on, e.g. 6443"),
        );
    }
}

/// Who holds the virtual address, where kubexm sets that up.
fn holder(endpoint: &ControlPlaneEndpoint) -> Option<(Role, &'static str)> {
    let kube_vip = endpoint.internal_load_balancer == InternalLoadBalancer::KubeVip;
    if endpoint.external_load_balancer.is_ours() {
        Some((Role::LoadBalancer, "the load balancer"))
    } else {
        kube_vip.then_some((Role::Master, "kube-vip"))
    }
}

fn virtual_address(check: &mut Check<'_>) {
    let endpoint = &check.cluster.spec.control_plane_endpoint;
    if !check.sound(&[ADDRESS]) {
        return;
    }
    let ours = holder(endpoint);
    let external = endpoint.external_load_balancer == ExternalLoadBalancer::External;
    let empty = endpoint.lb_address.is_empty();
    if endpoint.external_dns {
        if let Some((_, who)) = ours {
            check.error(
                KeyPath::of(DNS),
                format!("{who} needs a virtual address, and externalDNS allows none"),
                "set externalDNS to false and give the address in lb_address".to_owned(),
            );
        } else if !empty {
            check.error(
                KeyPath::of(ADDRESS),
                "externalDNS is true, so lb_address must be empty".to_owned(),
                "set lb_address to \"\", or externalDNS to false".to_owned(),
            );
        }
    } else if empty && (external || ours.is_some()) {
        let who = ours.map_or("the external load balancer", |(_, who)| who);
        check.error(
            KeyPath::of(ADDRESS),
            format!("{who} needs a virtual IP address in lb_address"),
            "give an address of the nodes' network that no machine has".to_owned(),
        );
    } else if !empty && !external && ours.is_none() && check.sound(&[EXTERNAL, INTERNAL]) {
        check.warn(
            KeyPath::of(ADDRESS),
            "lb_address is set, but neither an external load balancer nor kube-vip uses it"
                .to_owned(),
            None,
        );
    }
}

/// The virtual addresses against those of the hosts.
fn holders(check: &mut Check<'_>) {
    let cluster = check.cluster;
    let endpoint = &cluster.spec.control_plane_endpoint;
    let Some((role, who)) = holder(endpoint) else {
        return;
    };
    if !check.sound(&[ADDRESS, "spec.hosts", "spec.roleGroups"]) {
        return;
    }
    for ip in endpoint.lb_address.iter() {
        let is_owner =
            |host: &&Host| host.internal_ips().contains(&ip) || host.address == ip.to_string();
        if let Some(owner) = cluster.spec.hosts.iter().find(is_owner) {
            check.error(
                KeyPath::of(ADDRESS),
                format!(
                    "the virtual address {ip} is the address of '{}'",
                    owner.name
                ),
                "give an address that no machine has".to_owned(),
            );
        }
        let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
        // A host with none at all was told of already.
        let lacks = |host: &&Host| {
            let ips = host.internal_ips();
            !ips.is_empty() && !ips.iter().any(|own| own.is_ipv4() == ip.is_ipv4())
        };
        if let Some(host) = cluster.hosts_in(role).into_iter().find(lacks) {
            check.error(
                KeyPath::of(ADDRESS),
                format!(
                    "{who} on '{}' is to hold {ip}, but the host has no {family} address",
                    host.name
                ),
                format!("add one to its internalAddress, or take {ip} out of lb_address"),
            );
        }
    }
}

fn kube_vip_with_ipvs(check: &mut Check<'_>) {
    let spec = &check.cluster.spec;
    let kube_vip =
        spec.control_plane_endpoint.internal_load_balancer == InternalLoadBalancer::KubeVip;
    let ipvs = spec.kubernetes.proxy_mode() == ProxyMode::Ipvs;
    let proxy = spec.kubernetes.kube_proxy_configuration.as_ref();
    let excluded = proxy
        .and_then(|proxy| proxy.ipvs.as_ref())
        .is_some_and(|ipvs| !ipvs.exclude_cidrs.is_empty());
    let list = "spec.kubernetes.kubeProxyConfiguration.ipvs.excludeCIDRs";
    if kube_vip && ipvs && !excluded && check.sound(&[list]) {
        check.warn(
            KeyPath::of(INTERNAL),
            "with kube-vip, kube-proxy in the mode ipvs removes the virtual address again"
                .to_owned(),
            format!("put the nodes' network into {list}"),
        );
    }
}
