//! What a load balancer asks of its host.

use cluster::ExternalLoadBalancer;
use step::{Port, Requirements};

use crate::Site;
use crate::balancer::HEALTH_PORT;
use crate::preflight::facts::{
    KEEPALIVED, NGINX_STREAM, SELINUX_HAPROXY, SELINUX_KEEPALIVED, SELINUX_NGINX,
};

pub(super) fn balancer_ports(site: &Site) -> [Port; 2] {
    let endpoint = site.cluster.spec.control_plane_endpoint.port;
    [endpoint, HEALTH_PORT].map(|number| Port {
        number,
        of: "the load balancer",
    })
}

pub(super) fn of_balancer(site: &Site, wanted: &mut Requirements) {
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
