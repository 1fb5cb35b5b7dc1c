//! Calico by its manifest, with what the config says of pods, tunnels and blocks.

use std::sync::Arc;
use std::time::Duration;

use cluster::{CidrPair, Host, TunnelMode};
use engine::{Step, StepError, Task};
use step::{
    AwaitCalicoForgot, Directory, Feature, KernelModule, LinkProgram, PodNetworkTraces, Port,
    Requirements,
};
use templates::CalicoctlConfig;

use super::manifest::{self, Objects, Place};
use super::{Network, VXLAN_MODULE, pods_on_nodes};
use crate::control_plane::once;
use crate::files::{directory, text};
use crate::os::rendered;
use crate::site::names;
use crate::{Site, programs};

const PROGRAMS: &str = "/usr/local/bin";
const CALICOCTL_CONFIG: &str = "/etc/calico/calicoctl.cfg";
const CONFIG: &str = "/etc/cni/net.d/10-calico.conflist";
const TRACES: PodNetworkTraces = PodNetworkTraces {
    name: "calico",
    paths: &[
        CONFIG,
        "/etc/cni/net.d/calico-kubeconfig",
        "/opt/cni/bin/calico",
        "/opt/cni/bin/calico-ipam",
        "/var/lib/calico",
        "/var/run/calico",
        "/var/log/calico",
        "/var/lib/cni/networks/k8s-pod-network",
    ],
    links: &[
        "cali*",
        "vxlan.calico",
        "vxlan-v6.calico",
        "wireguard.cali",
        "wg-v6.cali",
    ],
    // Those of Felix, and of BIRD.
    protocols: &["80", "bird"],
    // The kernel's own.
    through: &["tunl0"],
    rules: &["cali-", "cali:"],
};

/// Where Calico tells other nodes of its pods, unless tunnels do without.
const BGP_PORT: Port = Port {
    number: 179,
    of: "calico",
};

/// Where its tunnels end on each node.
const VXLAN_PORT: Port = Port {
    number: 4789,
    of: "calico's VXLAN",
};

const IPIP_MODULE: KernelModule = KernelModule {
    name: "ipip",
    shows: Feature::Module,
};

/// A plugin's pod mounts it as a directory that is there; the file system itself it mounts if nobody has. Without it the
/// pod never starts.
const BPF_DIRECTORY: Directory = Directory {
    path: "/sys/fs/bpf",
    of: "the network plugin's pods",
    fix: "mount -t bpf bpf /sys/fs/bpf; the kernel must have CONFIG_BPF_SYSCALL",
};

pub(super) struct Calico;

impl Network for Calico {
    fn traces(&self) -> Option<PodNetworkTraces> {
        Some(TRACES)
    }

    fn config(&self) -> Option<&'static str> {
        Some(CONFIG)
    }

    fn forgets(&self, node: &str) -> Option<Arc<dyn Step>> {
        Some(Arc::new(AwaitCalicoForgot {
            node: node.to_owned(),
            patience: Duration::from_mins(3),
        }))
    }

    fn requirements(&self, site: &Site, _: &Host, wanted: &mut Requirements) {
        let network = &site.cluster.spec.network;
        wanted.directories.push(BPF_DIRECTORY);
        if network.calico.vxlan() == TunnelMode::Never {
            wanted.ports.push(BGP_PORT);
        } else {
            wanted.datagram_ports.push(VXLAN_PORT);
            wanted.modules.push(VXLAN_MODULE);
        }
        // It wraps IPv4 alone.
        if network.calico.ipip() != TunnelMode::Never && network.kube_pods_cidr.v4.is_some() {
            wanted.modules.push(IPIP_MODULE);
        }
    }

    fn on_cluster(&self, site: &Site, task: Task) -> Task {
        apply(site, task)
    }

    fn on_nodes(&self, site: &Site, task: Task) -> Task {
        pods_on_nodes(site, task, TRACES.name, "k8s-app=calico-node")
    }
}

/// What the config says, as far as the manifest is changed by it.
#[derive(Clone, Copy)]
struct Settings {
    pods: CidrPair,
    ipip: TunnelMode,
    vxlan: TunnelMode,
    /// 0 lets Calico find it.
    mtu: u32,
    block_size: u8,
}

/// The manifest, and calicoctl on every master.
fn apply(site: &Site, task: Task) -> Task {
    let network = &site.cluster.spec.network;
    let settings = Settings {
        pods: network.kube_pods_cidr,
        ipip: network.calico.ipip(),
        vxlan: network.calico.vxlan(),
        mtu: network.calico.veth_mtu,
        block_size: network.ippool.block_size,
    };
    let applied = manifest::apply(site, "calico", move |objects| settings.edit(objects));
    once(site, task, vec![Arc::new(applied)]).on_each(&names(site.masters()), |_| calicoctl(site))
}

/// calicoctl, which kubectl finds as its own as well.
fn calicoctl(site: &Site) -> Vec<Arc<dyn Step>> {
    let config = CalicoctlConfig {
        kubeconfig: "/etc/kubernetes/admin.conf".to_owned(),
    };
    vec![
        programs::install(site, "calicoctl", PROGRAMS),
        Arc::new(LinkProgram {
            path: format!("{PROGRAMS}/kubectl-calico").into(),
            target: "calicoctl",
        }),
        directory("/etc/calico"),
        text(CALICOCTL_CONFIG, rendered(&config)),
    ]
}

fn written(mode: TunnelMode) -> &'static str {
    match mode {
        TunnelMode::Always => "Always",
        TunnelMode::CrossSubnet => "CrossSubnet",
        TunnelMode::Never => "Never",
    }
}

fn node(objects: &mut Objects) -> Result<Place<'_>, StepError> {
    objects
        .object("DaemonSet", "calico-node")?
        .container("calico-node")
}

impl Settings {
    fn edit(self, objects: &mut Objects) -> Result<(), StepError> {
        let config = |objects: &mut Objects, key: &str, value: &str| -> Result<(), StepError> {
            let map = objects.object("ConfigMap", "calico-config")?;
            map.at(&["data", key])?.set(value);
            Ok(())
        };
        config(objects, "veth_mtu", &self.mtu.to_string())?;
        node(objects)?.set_env("IP_AUTODETECTION_METHOD", "kubernetes-internal-ip")?;
        node(objects)?.change_env("CALICO_IPV4POOL_IPIP", written(self.ipip))?;
        node(objects)?.change_env("CALICO_IPV4POOL_VXLAN", written(self.vxlan))?;
        if let Some(pods) = self.pods.v4 {
            node(objects)?.set_env("CALICO_IPV4POOL_CIDR", &pods.to_string())?;
            let block_size = self.block_size.to_string();
            node(objects)?.set_env("CALICO_IPV4POOL_BLOCK_SIZE", &block_size)?;
        } else {
            node(objects)?.change_env("IP", "none")?;
            // Where there is no IPv4 address to take it from.
            node(objects)?.set_env("CALICO_ROUTER_ID", "hash")?;
        }
        if self.vxlan != TunnelMode::Never {
            config(objects, "calico_backend", "vxlan")?;
            for probe in ["livenessProbe", "readinessProbe"] {
                // There is no BIRD to ask.
                node(objects)?.at(&[probe, "exec", "command"])?.without(&[
                    "-bird-live",
                    "--bird-live",
                    "-bird-ready",
                    "--bird-ready",
                ]);
            }
        }
        match self.pods.v6 {
            Some(pods) => self.edit_v6(objects, &pods.to_string()),
            None => Ok(()),
        }
    }

    fn edit_v6(self, objects: &mut Objects, pods: &str) -> Result<(), StepError> {
        node(objects)?.change_env("FELIX_IPV6SUPPORT", "true")?;
        node(objects)?.change_env("CALICO_IPV6POOL_VXLAN", written(self.vxlan))?;
        for (name, value) in [
            ("IP6", "autodetect"),
            ("IP6_AUTODETECTION_METHOD", "kubernetes-internal-ip"),
            ("CALICO_IPV6POOL_CIDR", pods),
            // As the other family has it.
            ("CALICO_IPV6POOL_NAT_OUTGOING", "true"),
        ] {
            node(objects)?.set_env(name, value)?;
        }
        let v4 = self.pods.v4.is_some().to_string();
        objects
            .object("ConfigMap", "calico-config")?
            .at(&["data", "cni_network_config"])?
            // Calico fills it in when it installs the configuration; until then it is not JSON.
            .edit_json(&[("__CNI_MTU__", self.mtu.to_string())], |config| {
                let ipam = config.cni_plugin("calico")?.at(&["ipam"])?;
                ipam.merge(&[("assign_ipv4", v4.as_str()), ("assign_ipv6", "true")])
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAND_IN: &str = include_str!("../../../../tests/lab/upstream/manifests/calico.yaml");

    fn settings(pods: &str) -> Settings {
        Settings {
            pods: pods.parse().unwrap(),
            ipip: TunnelMode::Always,
            vxlan: TunnelMode::Never,
            mtu: 0,
            block_size: 26,
        }
    }

    fn edited(settings: Settings, text: &str) -> Result<String, StepError> {
        let mut objects = Objects::read("calico.yaml".into(), text)?;
        settings.edit(&mut objects)?;
        Ok(objects.into_list())
    }

    #[test]
    fn what_the_config_says_is_in_the_manifest() {
        let one = edited(settings("10.233.64.0/18"), STAND_IN).unwrap();
        insta::assert_snapshot!("calico-ipip", one);
        let dual = Settings {
            ipip: TunnelMode::Never,
            vxlan: TunnelMode::CrossSubnet,
            mtu: 1440,
            ..settings("10.233.64.0/18,fd85:ee78:d8a6:8607::1:0/112")
        };
        insta::assert_snapshot!("calico-vxlan-dual", edited(dual, STAND_IN).unwrap());
    }

    #[test]
    fn pods_with_ipv6_alone_have_no_ipv4() {
        let six = edited(settings("fd85:ee78:d8a6:8607::1:0/112"), STAND_IN).unwrap();
        for expected in [
            r#"\"assign_ipv4\": \"false\""#,
            r#""value": "none""#,
            "CALICO_ROUTER_ID",
        ] {
            assert!(six.contains(expected), "{expected}: {six}");
        }
        assert!(!six.contains("CALICO_IPV4POOL_CIDR"));
    }

    #[test]
    fn a_place_that_is_not_there_is_named() {
        let dual = settings("10.233.64.0/18,fd85:ee78:d8a6:8607::1:0/112");
        let renamed = |what: &str| what.replacen(char::is_alphabetic, "Another", 1);
        let without =
            |what: &str| edited(dual, &STAND_IN.replace(what, &renamed(what))).unwrap_err();
        let said = |what: &str| without(what).to_string();
        insta::assert_snapshot!(said("calico-config"), @"calico.yaml has no ConfigMap calico-config");
        insta::assert_snapshot!(said("veth_mtu:"), @"calico.yaml has no data.veth_mtu in ConfigMap calico-config");
        insta::assert_snapshot!(said("CALICO_IPV4POOL_IPIP"), @"calico.yaml has no variable CALICO_IPV4POOL_IPIP in container calico-node in DaemonSet calico-node");
        insta::assert_snapshot!(said("FELIX_IPV6SUPPORT"), @"calico.yaml has no variable FELIX_IPV6SUPPORT in container calico-node in DaemonSet calico-node");
        insta::assert_snapshot!(said(r#""ipam""#), @"calico.yaml has no ipam in plugin calico in data.cni_network_config in ConfigMap calico-config");
        let broken = STAND_IN.replace("\"mtu\": __CNI_MTU__", "mtu");
        insta::assert_snapshot!(edited(dual, &broken).unwrap_err(), @"data.cni_network_config in ConfigMap calico-config of calico.yaml is not JSON: key must be a string at line 8 column 7");
        insta::assert_snapshot!(without("calico-config").hint().unwrap(), @"this version of the plugin is laid out in another way than kubexm knows; bundle another, named in spec.versions");
    }
}
