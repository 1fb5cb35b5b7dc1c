use super::Check;
use crate::{ExternalLoadBalancer, InternalLoadBalancer, KeyPath, ProxyMode, Role};

const EXTERNAL: &str = "spec.controlPlaneEndpoint.externalLoadBalancer";
const INTERNAL: &str = "spec.controlPlaneEndpoint.internalLoadbalancer";
const ADDRESS: &str = "spec.controlPlaneEndpoint.lb_address";
const GROUP: &str = "spec.roleGroups.loadbalancer";

pub(super) fn check(check: &mut Check<'_>) {
    one_balancer(check);
    group(check);
    virtual_address(check);
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

fn virtual_address(check: &mut Check<'_>) {
    let endpoint = &check.cluster.spec.control_plane_endpoint;
    if !check.sound(&[ADDRESS]) {
        return;
    }
    let (external, internal) = (
        endpoint.external_load_balancer,
        endpoint.internal_load_balancer,
    );
    let kube_vip = internal == InternalLoadBalancer::KubeVip;
    let needed = external != ExternalLoadBalancer::None || kube_vip;
    let empty = endpoint.lb_address.is_empty();
    if endpoint.external_dns && !empty {
        check.error(
            KeyPath::of(ADDRESS),
            "externalDNS is true, so lb_address must be empty".to_owned(),
            "set lb_address to \"\", or externalDNS to false".to_owned(),
        );
    } else if needed && empty && !endpoint.external_dns {
        let who = if external == ExternalLoadBalancer::None {
            "kube-vip"
        } else {
            "the external load balancer"
        };
        check.error(
            KeyPath::of(ADDRESS),
            format!("{who} needs a virtual IP address in lb_address"),
            "give an address of the nodes' network that no machine has".to_owned(),
        );
    } else if !needed && !empty && check.sound(&[EXTERNAL, INTERNAL]) {
        check.warn(
            KeyPath::of(ADDRESS),
            "lb_address is set, but neither an external load balancer nor kube-vip uses it"
                .to_owned(),
            None,
        );
    }
    if external.is_ours() || kube_vip {
        for ip in endpoint.lb_address.iter() {
            let owner =
                check.cluster.spec.hosts.iter().find(|host| {
                    host.internal_ips().contains(&ip) || host.address == ip.to_string()
                });
            if let Some(owner) = owner {
                check.error(
                    KeyPath::of(ADDRESS),
                    format!(
                        "the virtual address {ip} is the address of '{}'",
                        owner.name
                    ),
                    "give an address that no machine has".to_owned(),
                );
            }
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
