use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::{Host, InternalLoadBalancer, ProxyMode};
use engine::{Rolling, Step, Turn};
use serde_json::{Map, Value};
use step::{Content, RunService, StaysUp};
use templates::{KubeProxy, KubeProxyMode, KubeProxyUnit};

use crate::files::upload;
use crate::nodes::ROLL;
use crate::os::rendered;
use crate::{Site, programs};

const UNIT: &str = "kube-proxy.service";
const UNIT_FILE: &str = "/etc/systemd/system/kube-proxy.service";
const CONFIG: &str = "/etc/kubernetes/kube-proxy.yaml";
const KUBECONFIG: &str = "/etc/kubernetes/kube-proxy.conf";
const PROGRAM: &str = "/usr/local/bin/kube-proxy";

/// How services are forwarded to on every node, whoever starts kube-proxy there.
pub(crate) fn forwarding(site: &Site) -> KubeProxyMode {
    let kubernetes = &site.cluster.spec.kubernetes;
    let masquerade_all = kubernetes.masquerade_all;
    let balancer = site
        .cluster
        .spec
        .control_plane_endpoint
        .internal_load_balancer;
    match kubernetes.proxy_mode() {
        ProxyMode::Iptables => KubeProxyMode::Iptables { masquerade_all },
        ProxyMode::Ipvs => KubeProxyMode::Ipvs {
            masquerade_all,
            strict_arp: balancer == InternalLoadBalancer::KubeVip,
        },
        ProxyMode::Nftables => KubeProxyMode::Nftables { masquerade_all },
    }
}

/// What the config itself says in the format of kube-proxy.
pub(crate) fn settings(site: &Site) -> Map<String, Value> {
    let asked = &site.cluster.spec.kubernetes.kube_proxy_configuration;
    // Plain data: it has come from YAML.
    match serde_json::to_value(asked) {
        Ok(Value::Object(settings)) => settings,
        _ => Map::new(),
    }
}

pub(crate) fn config(site: &Site, host: &Host) -> String {
    let spec = &site.cluster.spec;
    rendered(&KubeProxy {
        kubeconfig: Some(KUBECONFIG.to_owned()),
        hostname_override: Some(host.name.clone()),
        mode: forwarding(site),
        cluster_cidr: spec.network.kube_pods_cidr.to_string(),
        feature_gates: spec.kubernetes.feature_gates.clone(),
        settings: settings(site),
    })
}

/// Everything of kube-proxy on a node but the running service.
fn kube_proxy_files(site: &Site, host: &Host) -> Vec<Arc<dyn Step>> {
    vec![
        programs::install(site, "kube-proxy", "/usr/local/bin"),
        kubeconfig(site),
        upload(CONFIG, Content::Text(config(site, host)), 0o644),
        upload(UNIT_FILE, Content::Text(rendered(&KubeProxyUnit {})), 0o644),
    ]
}

/// With what it calls the apiservers.
pub(crate) fn kubeconfig(site: &Site) -> Arc<dyn Step> {
    upload(
        KUBECONFIG,
        Content::Local(site.kubeconfig("kube-proxy")),
        0o600,
    )
}

/// kube-proxy as a service of these nodes.
pub(crate) fn kube_proxies(site: &Site, hosts: &[&Host]) -> Rolling {
    turns(hosts, |turn, host| turn.with(kube_proxy_files(site, host)))
}

/// The same with what is on the nodes.
pub(crate) fn restarts(hosts: &[&Host]) -> Rolling {
    turns(hosts, |turn, _| turn)
}

fn turns(hosts: &[&Host], with: impl Fn(Turn, &Host) -> Turn) -> Rolling {
    hosts.iter().fold(Rolling::new(ROLL), |rolling, host| {
        let reads = [UNIT_FILE, CONFIG, KUBECONFIG, PROGRAM].map(Utf8PathBuf::from);
        let run = RunService {
            unit: UNIT,
            reads: reads.into(),
        };
        let steady = StaysUp {
            unit: UNIT,
            answers: None,
        };
        let turn = with(Turn::new(Arc::new(run)), host);
        rolling.on(&host.name, turn.healthy(vec![Arc::new(steady)]))
    })
}
