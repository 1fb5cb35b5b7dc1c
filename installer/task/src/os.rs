use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use cluster::Host;
use engine::{Step, StepError, Task};

use step::{
    ApplySysctls, DisableSwap, EditBlock, KernelModule, LoadModules, MarkHost, SetHostname,
};
use templates::{HostEntry, HostsBlock, Modules, Sysctls, Template};

use crate::Site;
use crate::facts::{MODULES, SYSCTLS, SYSCTLS_V6};
use crate::files::text;
use crate::site::names;

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
    let registry = site.cluster.registry_host().map(|host| host.name.as_str());
    let names = |host: &Host| {
        let mut names = vec![host.name.clone()];
        if registry == Some(&host.name) {
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
    let mut lines = rendered(&HostsBlock {
        entries: entries.chain(endpoint).collect(),
    });
    if !site.cluster.spec.host.is_empty() {
        lines.push_str(site.cluster.spec.host.trim_end());
        lines.push('\n');
    }
    lines
}

/// What hosts that run containers need of their kernel: modules, parameters, no swap. Now and at boot.
#[must_use]
pub fn kernel(site: &Site) -> Task {
    let modules: Vec<KernelModule> = MODULES.to_vec();
    let dual = site.cluster.spec.network.kube_pods_cidr.v6.is_some();
    let settings: Vec<(String, String)> = SYSCTLS
        .iter()
        .chain(SYSCTLS_V6.iter().filter(|_| dual))
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let modules_conf = rendered(&Modules {
        names: modules
            .iter()
            .map(|module| module.name.to_owned())
            .collect(),
    });
    let sysctl_conf = rendered(&Sysctls {
        settings: settings.clone(),
    });
    // The last name of all wins at boot; /etc/sysctl.conf counts as 99-sysctl.conf.
    let mut steps: Vec<Arc<dyn Step>> = vec![
        text("/etc/modules-load.d/kubexm.conf", modules_conf),
        Arc::new(LoadModules { modules }),
        text("/etc/sysctl.d/99-zz-kubexm.conf", sysctl_conf),
        Arc::new(ApplySysctls { settings }),
    ];
    if !site.cluster.spec.kubernetes.keeps_swap() {
        steps.push(Arc::new(DisableSwap));
    }
    Task::new("kernel").on_each(&names(site.runtime_hosts()), |_| steps.clone())
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
