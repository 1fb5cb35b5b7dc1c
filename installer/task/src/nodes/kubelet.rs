//! The kubelet of every node, however the control plane is set up.

use std::net::IpAddr;
use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::{Host, KubernetesType};
use engine::{Rolling, Step, Turn};
use step::{AwaitHeartbeat, Content, LinkResolvConf, RunService};
use templates::{KubeletConfig, KubeletDropIn, KubeletUnit};

use crate::control_plane::pki::CA;
use crate::files::{directory, key_pair, text, upload};
use crate::kube::{KUBERNETES, MANIFESTS, PKI};
use crate::os::rendered;
use crate::{Site, programs};

pub(crate) const UNIT: &str = "kubelet.service";
const UNIT_FILE: &str = "/etc/systemd/system/kubelet.service";
const DROP_IN_DIR: &str = "/etc/systemd/system/kubelet.service.d";
const DROP_IN: &str = "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf";
const CONFIG: &str = "/etc/kubernetes/kubelet.yaml";
const KUBECONFIG: &str = "/etc/kubernetes/kubelet.conf";
const ROOT_DIR: &str = "/var/lib/kubelet";
const RESOLV_CONF: &str = "/etc/kubernetes/resolv.conf";

impl Site {
    /// The addresses that a node is known by in the cluster: one of each family that pods have.
    pub(crate) fn node_ips(&self, host: &Host) -> Vec<IpAddr> {
        let pods = &self.cluster.spec.network.kube_pods_cidr;
        let internal = host.internal();
        let v4 = internal.v4.filter(|_| pods.v4.is_some());
        let v6 = internal.v6.filter(|_| pods.v6.is_some());
        let ips = v4.map(IpAddr::V4).into_iter();
        ips.chain(v6.map(IpAddr::V6)).collect()
    }
}

/// Everything of the kubelet on one node but the running service. With kubeadm, it lacks the kubeconfig that comes by
/// joining.
pub(crate) fn kubelet_files(site: &Site, host: &Host) -> Vec<Arc<dyn Step>> {
    let kind = site.cluster.spec.kubernetes.kind;
    let mut steps: Vec<Arc<dyn Step>> = vec![
        directory(KUBERNETES),
        directory(PKI),
        directory(MANIFESTS),
        Arc::new(LinkResolvConf {
            path: RESOLV_CONF.into(),
        }),
    ];
    for program in node_programs(kind) {
        steps.push(programs::install(site, program, "/usr/local/bin"));
    }
    steps.push(authority_file(site));
    steps.push(serving(site, host));
    steps.push(text(CONFIG, config(site, host)));
    let arguments = arguments(site, host);
    steps.push(text(
        UNIT_FILE,
        rendered(&KubeletUnit {
            arguments: arguments.clone(),
        }),
    ));
    match kind {
        KubernetesType::Kubeadm => {
            steps.push(directory(DROP_IN_DIR));
            steps.push(text(DROP_IN, rendered(&KubeletDropIn { arguments })));
        }
        KubernetesType::Kubexm => steps.push(kubeconfig(site, host)),
    }
    steps
}

/// Whom a node trusts.
pub(crate) fn authority_file(site: &Site) -> Arc<dyn Step> {
    let from = site.kubernetes_files(CA).certificate();
    upload(format!("{PKI}/ca.crt"), Content::Local(from), 0o644)
}

fn serving(site: &Site, host: &Host) -> Arc<dyn Step> {
    key_pair(site.kubelet_files(host), "kubelet")
}

fn kubeconfig(site: &Site, host: &Host) -> Arc<dyn Step> {
    let from = site.kubeconfig(&format!("{}/kubelet", host.name));
    upload(KUBECONFIG, Content::Local(from), 0o600)
}

/// What of the operator's certificates a kubelet has.
pub(crate) fn kubelet_certificates(site: &Site, host: &Host) -> Vec<Arc<dyn Step>> {
    match site.cluster.spec.kubernetes.kind {
        KubernetesType::Kubeadm => vec![serving(site, host)],
        KubernetesType::Kubexm => vec![serving(site, host), kubeconfig(site, host)],
    }
}

/// The programs of every node that people and kubelets need.
pub(crate) const fn node_programs(kind: KubernetesType) -> &'static [&'static str] {
    match kind {
        KubernetesType::Kubeadm => &["kubelet", "kubectl", "kubeadm"],
        KubernetesType::Kubexm => &["kubelet", "kubectl"],
    }
}

/// The kubelet's service, on whatever node.
pub(crate) fn kubelet_service(site: &Site) -> RunService {
    let own = match site.cluster.spec.kubernetes.kind {
        KubernetesType::Kubeadm => DROP_IN,
        KubernetesType::Kubexm => KUBECONFIG,
    };
    let reads = [
        UNIT_FILE,
        own,
        CONFIG,
        "/etc/kubernetes/pki/ca.crt",
        "/etc/kubernetes/pki/kubelet.crt",
        "/usr/local/bin/kubelet",
    ];
    RunService {
        unit: UNIT,
        reads: reads.map(Utf8PathBuf::from).into(),
    }
}

/// The kubelets of these nodes. One that does not come up with what is new keeps all others as they are.
pub(crate) fn kubelets(site: &Site, hosts: &[&Host]) -> Rolling {
    let rolling = Rolling::new(site.node_batch(hosts));
    hosts.iter().fold(rolling, |rolling, host| {
        let turn = Turn::new(Arc::new(kubelet_service(site)))
            .before(site.drain(host))
            .with(kubelet_files(site, host))
            .healthy(vec![heartbeat(host)])
            .healthy(site.uncordon(host));
        rolling.on(&host.name, turn)
    })
}

/// Proves that a kubelet is well that was started anew.
pub(crate) fn heartbeat(host: &Host) -> Arc<dyn Step> {
    Arc::new(AwaitHeartbeat {
        node: host.name.clone(),
        unit: UNIT,
    })
}

pub(crate) fn config(site: &Site, host: &Host) -> String {
    let spec = &site.cluster.spec;
    let kubernetes = &spec.kubernetes;
    let in_config = site.traits().runtime_endpoint_in_config;
    let mut settings = kubernetes.kubelet_configuration.clone();
    for (key, value) in site.runtime().kubelet_settings() {
        settings.entry(key).or_insert_with(|| value.into());
    }
    rendered(&KubeletConfig {
        pki_dir: PKI.to_owned(),
        static_pods: MANIFESTS.to_owned(),
        resolv_conf: RESOLV_CONF.to_owned(),
        runtime_endpoint: in_config.then(|| site.runtime_endpoint().to_owned()),
        cluster_domain: kubernetes.cluster_name.clone(),
        cluster_dns: site.dns_of_pods().iter().map(IpAddr::to_string).collect(),
        max_pods: kubernetes.max_pods,
        pod_pids_limit: kubernetes.pod_pids_limit,
        feature_gates: kubernetes.feature_gates.clone(),
        taints: site.taints_of(host),
        settings,
    })
}

/// What the kubelet is told by flags. Those of the config come last, and so win.
pub(crate) fn arguments(site: &Site, host: &Host) -> Vec<String> {
    let traits = site.traits();
    let mut arguments = vec![
        format!("--config={CONFIG}"),
        format!("--kubeconfig={KUBECONFIG}"),
        format!("--hostname-override={}", host.name),
    ];
    let ips: Vec<String> = site.node_ips(host).iter().map(IpAddr::to_string).collect();
    if !ips.is_empty() {
        arguments.push(format!("--node-ip={}", ips.join(",")));
    }
    if !traits.runtime_endpoint_in_config {
        arguments.push(format!(
            "--container-runtime-endpoint={}",
            site.runtime_endpoint()
        ));
    }
    if traits.sandbox_image_flag
        && let Some(image) = site.pause_image()
    {
        arguments.push(format!("--pod-infra-container-image={}", image.reference));
    }
    arguments.extend(site.cluster.spec.kubernetes.kubelet_args.iter().cloned());
    arguments
}

/// Where kubelets keep pods and their volumes: of their flags the last one counts.
pub(crate) fn root_dir(site: &Site) -> Utf8PathBuf {
    let flags = site.cluster.spec.kubernetes.kubelet_args.iter().rev();
    let mut named = flags.filter_map(|flag| flag.strip_prefix("--root-dir="));
    let named = named.next().map(|path| path.trim_end_matches('/'));
    let named = named.filter(|path| !path.is_empty());
    named.unwrap_or(ROOT_DIR).into()
}

#[cfg(test)]
mod tests;
