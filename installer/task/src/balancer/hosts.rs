use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::{ExternalLoadBalancer, Host, InternalLoadBalancer, Role};
use engine::{Batch, Order, Rolling, Slot, Step, StepError, Task, Turn};
use step::{
    Bringer, Content, ExpectFiles, FileAttrs, FindLink, Link, PrepareVrrp, Program, ReachAddress,
    ReloadService, ReplaceConfig, RunService, StaysUp, Vrrp,
};
use templates::{BalancerCheck, BalancerHome, HaproxyConfig, KeepalivedConfig, NginxConfig};

use crate::balancer::HEALTH_PORT;
use crate::control_plane::pki::CA;
use crate::files::{directory, upload};
use crate::os::{rendered, rendered_late};
use crate::site::names;
use crate::{OPERATOR, Site};

const HAPROXY_CONFIG: &str = "/etc/haproxy/haproxy.cfg";
const HAPROXY_CA: &str = "/etc/haproxy/kubexm-ca.crt";
const NGINX_CONFIG: &str = "/etc/nginx/nginx.conf";
const NGINX_CA: &str = "/etc/nginx/kubexm-ca.crt";
pub(crate) const KEEPALIVED_CONFIG: &str = "/etc/keepalived/keepalived.conf";
/// Where the policy of `SELinux` lets keepalived run scripts.
const KEEPALIVED_SCRIPTS: &str = "/usr/libexec/keepalived";
const KEEPALIVED_CHECK: &str = "/usr/libexec/keepalived/kubexm-check";

/// What the services write by themselves and leave behind: the mount point of the log in haproxy's root, its own notes, a
/// name for the routes that keepalived makes.
const HAPROXY_WRITES: &[&str] = &[
    "/run/haproxy.pid",
    "/run/haproxy-master.sock",
    "/var/lib/haproxy/dev/log",
];
const KEEPALIVED_WRITES: &[&str] = &["/etc/iproute2/rt_addrprotos.d/keepalived.conf"];

/// More than the priorities of any two hosts are apart.
const PENALTY: u8 = 100;
const LOWEST_PRIORITY: u8 = PENALTY + 1;

/// The load balancers that kubexm sets up on hosts of their own: on each a balancer to all masters, and keepalived, which
/// has one of them hold the virtual addresses.
#[must_use]
pub fn load_balancer(site: &Site) -> Task {
    let task = Task::new("load balancers");
    let hosts = site.balancer_hosts();
    if hosts.is_empty() {
        return task;
    }
    let vrrp = Slot::new("the id and password of VRRP");
    let mut task = task.on(
        OPERATOR,
        vec![Arc::new(PrepareVrrp {
            file: vrrp_file(site),
            vrrp: vrrp.clone(),
        })],
    );
    let mut rolling = Rolling::new(Batch::One);
    for (place, host) in hosts.iter().enumerate() {
        let balancer = balancer(site, host);
        let keepalived = keepalived(site, &hosts, place, &vrrp);
        let parts = || [Some(&balancer), keepalived.as_ref()].into_iter().flatten();
        let ahead = parts().flat_map(|part| part.ahead.clone()).collect();
        let files = parts().flat_map(|part| part.files.clone()).collect();
        task = task.on(&host.name, ahead);
        // It has an apiserver to lead to.
        let leads = balancer.stays_up(Some(KEEPALIVED_CHECK));
        let mut turn = Turn::new(balancer.service).with(files).healthy(vec![leads]);
        if let Some(part) = keepalived {
            let stays = part.stays_up(None);
            turn = turn.then(part.service).healthy(vec![stays]);
        }
        rolling = rolling.on(&host.name, turn);
    }
    task.roll(rolling)
}

/// A service of a load balancer.
struct Part {
    unit: &'static str,
    /// What is found out or noted before anything changes.
    ahead: Vec<Arc<dyn Step>>,
    files: Vec<Arc<dyn Step>>,
    service: Arc<dyn Step>,
}

impl Part {
    fn new(unit: &'static str, reads: &[&str]) -> Self {
        let reads = reads.iter().map(|path| (*path).into()).collect();
        Self {
            unit,
            ahead: Vec::new(),
            files: Vec::new(),
            service: Arc::new(ReloadService(RunService { unit, reads })),
        }
    }

    fn stays_up(&self, answers: Option<&'static str>) -> Arc<dyn Step> {
        let unit = self.unit;
        Arc::new(StaysUp { unit, answers })
    }
}

/// The virtual addresses answer, seen from each of the hosts that share them.
#[must_use]
pub fn prove_virtual_addresses(site: &Site) -> Task {
    let hosts = names(site.balancer_hosts());
    Task::new("virtual addresses")
        .after(Order::Settled)
        .on_each(&hosts, |_| {
            let patience = ReachAddress::PATIENCE;
            let reach = |address| -> Arc<dyn Step> { Arc::new(ReachAddress { address, patience }) };
            site.virtual_sockets().into_iter().map(reach).collect()
        })
}

impl Site {
    /// The hosts of their own with a load balancer that kubexm sets up.
    pub(crate) fn balancer_hosts(&self) -> Vec<&Host> {
        let endpoint = &self.cluster.spec.control_plane_endpoint;
        if endpoint.external_load_balancer.is_ours() {
            self.cluster.hosts_in(Role::LoadBalancer)
        } else {
            Vec::new()
        }
    }

    /// The balancer on them, which the host must have.
    pub(crate) fn balancer_program(&self) -> Program {
        let endpoint = &self.cluster.spec.control_plane_endpoint;
        let (name, package) = match endpoint.external_load_balancer {
            ExternalLoadBalancer::KubexmNginx => (
                "nginx",
                "nginx and libnginx-mod-stream (on RHEL and its kin: nginx-mod-stream)",
            ),
            _ => ("haproxy", "haproxy"),
        };
        Program {
            name,
            package,
            bringer: Bringer::Bundle,
        }
    }

    /// The hosts that hold the virtual addresses in turn.
    pub(crate) fn sharing_hosts(&self) -> Vec<&Host> {
        let endpoint = &self.cluster.spec.control_plane_endpoint;
        match endpoint.internal_load_balancer {
            InternalLoadBalancer::KubeVip => self.masters(),
            _ => self.balancer_hosts(),
        }
    }
}

/// Where the operator's machine keeps by what the load balancers know each other.
pub(crate) fn vrrp_file(site: &Site) -> Utf8PathBuf {
    site.tree.certs("loadbalancer").join("vrrp.json")
}

fn balancer(site: &Site, host: &Host) -> Part {
    match site
        .cluster
        .spec
        .control_plane_endpoint
        .external_load_balancer
    {
        ExternalLoadBalancer::KubexmNginx => nginx(site, host),
        _ => haproxy(site, host),
    }
}

/// Every address of the host: the virtual ones come and go.
fn everywhere(host: &Host) -> Vec<IpAddr> {
    let v6 = host.internal_v6().map(|_| Ipv6Addr::UNSPECIFIED.into());
    let v4 = Ipv4Addr::UNSPECIFIED.into();
    [v4].into_iter().chain(v6).collect()
}

fn authority(site: &Site, path: &str) -> Arc<dyn Step> {
    upload(
        path,
        Content::Local(site.kubernetes_files(CA).certificate()),
        0o644,
    )
}

fn expect(of: &'static str, paths: &[&str]) -> Arc<dyn Step> {
    let paths = paths.iter().map(|path| (*path).into()).collect();
    Arc::new(ExpectFiles { of, paths })
}

fn haproxy(site: &Site, host: &Host) -> Part {
    let config = HaproxyConfig {
        balancer: site.balancer(BalancerHome::Host, everywhere(host), HAPROXY_CA),
    };
    Part {
        ahead: vec![expect("haproxy", HAPROXY_WRITES)],
        files: vec![
            authority(site, HAPROXY_CA),
            Arc::new(ReplaceConfig {
                path: HAPROXY_CONFIG.into(),
                content: Content::Text(rendered(&config)),
                attrs: FileAttrs::root(0o644),
                judge: &["haproxy", "-c", "-q", "-f"],
            }),
        ],
        ..Part::new("haproxy.service", &[HAPROXY_CONFIG, HAPROXY_CA])
    }
}

fn nginx(site: &Site, host: &Host) -> Part {
    let config = NginxConfig {
        balancer: site.balancer(BalancerHome::Host, everywhere(host), NGINX_CA),
        server_name: site.cluster.spec.control_plane_endpoint.domain.clone(),
    };
    Part {
        files: vec![
            authority(site, NGINX_CA),
            Arc::new(ReplaceConfig {
                path: NGINX_CONFIG.into(),
                content: Content::Text(rendered(&config)),
                attrs: FileAttrs::root(0o644),
                judge: &["nginx", "-t", "-q", "-c"],
            }),
        ],
        ..Part::new("nginx.service", &[NGINX_CONFIG, NGINX_CA])
    }
}

fn keepalived(site: &Site, hosts: &[&Host], place: usize, vrrp: &Slot<Vrrp>) -> Option<Part> {
    let host = hosts[place];
    let addresses = site.virtual_addresses();
    // VRRP goes over the family of the first address; those of the other family move along.
    let over_v4 = addresses.iter().any(IpAddr::is_ipv4);
    let of_family = |host: &Host| {
        let mut ips = host.internal_ips().into_iter();
        ips.find(|ip| ip.is_ipv4() == over_v4)
    };
    let source = of_family(host)?;
    let (main, further): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|ip| ip.is_ipv4() == over_v4);
    let alone = |ips: Vec<IpAddr>| -> Vec<String> {
        let with_mask = |ip: IpAddr| format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 });
        ips.into_iter().map(with_mask).collect()
    };
    let others = hosts.iter().filter(|other| other.name != host.name);
    let behind = u8::try_from(hosts.len() - place - 1).unwrap_or(u8::MAX);
    let link: Slot<Link> = Slot::new("the interface of the load balancer");
    let context = KeepalivedConfig {
        name: host.name.clone(),
        interface: String::new(),
        router_id: 0,
        priority: LOWEST_PRIORITY.saturating_add(behind),
        penalty: PENALTY,
        password: None,
        source,
        peers: others.filter_map(|other| of_family(other)).collect(),
        addresses: alone(main),
        further_addresses: alone(further),
        check: KEEPALIVED_CHECK.to_owned(),
    };
    let (takes, known) = (vec![link.id(), vrrp.id()], link.clone());
    let vrrp = vrrp.clone();
    let render = move || {
        let (Some(link), Some(vrrp)) = (known.get(), vrrp.get()) else {
            return Err(StepError::new("what keepalived is told is not known yet"));
        };
        rendered_late(&KeepalivedConfig {
            interface: link.interface.clone(),
            router_id: vrrp.router_id.get(),
            password: over_v4.then(|| vrrp.password().to_owned()),
            ..context.clone()
        })
    };
    Some(Part {
        ahead: vec![
            Arc::new(FindLink {
                address: source,
                link,
            }),
            expect("keepalived", KEEPALIVED_WRITES),
        ],
        files: vec![
            directory(KEEPALIVED_SCRIPTS),
            upload(
                KEEPALIVED_CHECK,
                Content::Text(rendered(&BalancerCheck {
                    health_port: HEALTH_PORT,
                })),
                0o755,
            ),
            Arc::new(ReplaceConfig {
                path: KEEPALIVED_CONFIG.into(),
                content: Content::Late {
                    takes,
                    render: Arc::new(render),
                },
                attrs: FileAttrs::root(0o600),
                judge: &["keepalived", "-t", "-f"],
            }),
        ],
        ..Part::new("keepalived.service", &[KEEPALIVED_CONFIG, KEEPALIVED_CHECK])
    })
}
