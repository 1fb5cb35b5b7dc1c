pub(crate) mod packages;
mod time;
mod tuning;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use cluster::{Host, ProxyMode};
use engine::{Step, StepError, Task};
use step::{
    ApplySysctls, Content, DisableSwap, EditBlock, FileAttrs, KeepSysctls, KernelModule,
    LoadModules, MarkHost, SetHostname, SpareInterfaces, Sysctl, UploadFile,
};
use templates::{HostEntry, HostsBlock, Modules, Template};

use crate::Site;
use crate::dns;
use crate::files::text;
use crate::os::tuning::{IPVS_MODULES, MODULES, POD_INTERFACES, SYSCTLS, SYSCTLS_V6};
use crate::site::names;

pub use packages::packages;
pub use time::{prove_time, time};

/// What every host gets: the mark of its cluster, the names of all others and, if asked for, its own.
#[must_use]
pub fn host_files(site: &Site) -> Task {
    let mut task = Task::new("host files");
    // Most hosts have the same, and on each it is as long as all hosts are many.
    let mut blocks: HashMap<Vec<IpAddr>, Arc<str>> = HashMap::new();
    for host in &site.cluster.spec.hosts {
        let mut steps: Vec<Arc<dyn Step>> = vec![Arc::new(MarkHost {
            cluster: site.cluster.name().to_owned(),
        })];
        if site.cluster.spec.system.set_hostname {
            steps.push(Arc::new(SetHostname {
                name: host.name.clone(),
            }));
        }
        let endpoint = site.endpoint_on(host);
        let block = blocks
            .entry(endpoint)
            .or_insert_with_key(|endpoint| hosts_block(site, endpoint).into());
        steps.push(Arc::new(EditBlock {
            path: "/etc/hosts".into(),
            owner: site.cluster.name().to_owned(),
            lines: Arc::clone(block),
            preface: "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
        }));
        task = task.on(&host.name, steps);
    }
    task
}

/// `endpoint` is where the control plane's name leads.
fn hosts_block(site: &Site, endpoint: &[IpAddr]) -> String {
    let registry = site.registry_hosts();
    let names = |host: &Host| {
        let mut names = vec![host.name.clone()];
        if registry.iter().any(|registry| registry.name == host.name) {
            names.push(site.cluster.registry_domain().to_owned());
        }
        names
    };
    let entries = site.cluster.spec.hosts.iter().flat_map(|host| {
        let names = names(host);
        host.internal_ips()
            .into_iter()
            .map(move |address| HostEntry {
                address: address.to_string(),
                names: names.clone(),
            })
    });
    let domain = &site.cluster.spec.control_plane_endpoint.domain;
    let endpoint = endpoint.iter().map(|address| HostEntry {
        address: address.to_string(),
        names: vec![domain.clone()],
    });
    // Of a registry that was there before, where the site's DNS does not know it.
    let external = site.cluster.spec.registry.address.iter();
    let external = external.map(|address| HostEntry {
        address: address.to_string(),
        names: vec![site.cluster.registry_domain().to_owned()],
    });
    let mut lines = rendered(&HostsBlock {
        entries: entries.chain(endpoint).chain(external).collect(),
    });
    if !site.cluster.spec.host.is_empty() {
        lines.push_str(site.cluster.spec.host.trim_end());
        lines.push('\n');
    }
    lines
}

/// What hosts that run containers need of their kernel: modules, parameters, no swap unless their kubelets bear it. Now
/// and at boot.
#[must_use]
pub fn kernel(site: &Site) -> Task {
    Task::new("kernel").on_each(&names(site.runtime_hosts()), |_| kernel_steps(site))
}

fn kernel_steps(site: &Site) -> Vec<Arc<dyn Step>> {
    let modules = site.modules();
    let dual = site.cluster.spec.network.kube_pods_cidr.v6.is_some();
    let settings: Vec<Sysctl> = SYSCTLS
        .iter()
        .chain(SYSCTLS_V6.iter().filter(|_| dual))
        .map(|(key, wanted)| Sysctl {
            key: (*key).to_owned(),
            wanted: *wanted,
        })
        .collect();
    let modules_conf = rendered(&Modules {
        names: modules
            .iter()
            .map(|module| module.name.to_owned())
            .collect(),
    });
    let mut steps: Vec<Arc<dyn Step>> = vec![
        text("/etc/modules-load.d/kubexm.conf", modules_conf),
        Arc::new(LoadModules { modules }),
        // The last name of all wins at boot; /etc/sysctl.conf counts as 99-sysctl.conf.
        Arc::new(KeepSysctls {
            path: "/etc/sysctl.d/99-zz-kubexm.conf".into(),
            settings: settings.clone(),
        }),
        Arc::new(ApplySysctls { settings }),
        Arc::new(SpareInterfaces {
            file: UploadFile {
                path: "/etc/NetworkManager/conf.d/99-kubexm.conf".into(),
                content: Content::Text(spared()),
                attrs: FileAttrs::root(0o644),
            },
        }),
    ];
    if !site.cluster.spec.kubernetes.keeps_swap() {
        steps.push(Arc::new(DisableSwap));
    }
    steps
}

/// Interfaces that network plugins and kube-proxy look after; what a host's owner spares besides stays spared.
fn spared() -> String {
    let names: Vec<String> = POD_INTERFACES
        .iter()
        .map(|name| format!("interface-name:{name}"))
        .collect();
    format!("[keyfile]\nunmanaged-devices+={}\n", names.join(";"))
}

impl Site {
    /// The modules that the kernel of a host with containers must have: those of its own, and of the way to services.
    pub(crate) fn modules(&self) -> Vec<KernelModule> {
        let forwarding = match self.cluster.spec.kubernetes.proxy_mode() {
            ProxyMode::Ipvs => IPVS_MODULES,
            ProxyMode::Iptables | ProxyMode::Nftables => &[],
        };
        let mut modules: Vec<KernelModule> = MODULES.iter().chain(forwarding).copied().collect();
        modules.extend(self.has_node_local_dns().then_some(dns::MODULE));
        modules.extend(self.addon_modules());
        modules
    }
}

/// A template's text. That it renders with every context of its type is what the templates' tests prove.
pub(crate) fn rendered(template: &impl Template) -> String {
    template
        .render()
        .expect("a template renders with its own context")
}

/// The same where it is rendered at run time.
pub(crate) fn rendered_late(template: &impl Template) -> Result<String, StepError> {
    template
        .render()
        .map_err(|error| StepError::new(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::site;

    fn steps(kubernetes: &str) -> Vec<String> {
        let site = site(&format!("kubernetes: {{{kubernetes}}}"));
        let steps = kernel_steps(&site);
        steps.iter().map(|step| step.describe()).collect()
    }

    #[test]
    fn swap_stays_on_where_the_kubelets_bear_it() {
        let off = "turn swap off".to_owned();
        assert!(steps("proxyMode: iptables").contains(&off));
        assert!(steps("kubeletConfiguration: {failSwapOn: true}").contains(&off));
        assert!(!steps("kubeletConfiguration: {failSwapOn: false}").contains(&off));
    }

    #[test]
    fn what_forwards_to_services_is_loaded() {
        let iptables = "load kernel modules overlay, br_netfilter, nf_conntrack";
        assert_eq!(steps("proxyMode: iptables")[1], iptables);
        let ipvs = format!("{iptables}, ip_vs, ip_vs_rr, ip_vs_wrr, ip_vs_sh");
        assert_eq!(steps("proxyMode: ipvs")[1], ipvs);
    }

    #[test]
    fn networkmanager_leaves_alone_what_others_make() {
        let told = "keep NetworkManager away from the interfaces of the pods' network";
        assert!(steps("proxyMode: iptables").iter().any(|step| step == told));
        let spared = spared();
        let names = spared.strip_prefix("[keyfile]\nunmanaged-devices+=");
        let names: Vec<&str> = names.unwrap().trim_end().split(';').collect();
        for name in ["cali*", "cni*", "flannel*", "kube-ipvs0", "vxlan.calico"] {
            let name = format!("interface-name:{name}");
            assert!(names.contains(&name.as_str()), "{names:?}");
        }
    }
}
