//! What a node asks of its host, whatever runs on it.

use cluster::{Host, ImageHome, KubernetesType};
use step::{Eviction, Leftover, Reached, Requirements, Space};

use super::kubernetes::of_kubernetes;
use super::space::{comes_to_every_node, images_size, programs_space};
use crate::Site;
use crate::dns;
use crate::nodes::kubelet;
use crate::preflight::facts::{
    CONNTRACK, CONTROLLERS, FLOCK, LEFTOVERS, NODE_PORTS, NODE_PROGRAMS, RIVALS,
    forwarding_programs,
};
use crate::runtime::classes;

pub(super) fn of_node(site: &Site, host: &Host, wanted: &mut Requirements) {
    let spec = &site.cluster.spec;
    for component in site
        .runtime_components()
        .into_iter()
        .chain(site.kubernetes_components_on(host))
    {
        wanted
            .space
            .push(programs_space(site, component, host.arch));
    }
    // An image takes its compressed layers and about three times as much unpacked.
    let bytes = 4 * images_size(site, |image, arch| {
        arch == host.arch && comes_to_every_node(site, image)
    });
    wanted
        .executable
        .extend(["/usr/local/bin", "/opt/cni/bin"].map(str::to_owned));
    let data = site.cluster.runtime_data();
    let path = data.path.to_string();
    // Containers run what lies in their images.
    wanted.executable.push(path.clone());
    wanted.overlay = Some(path.clone());
    wanted.space.push(Space {
        path,
        bytes,
        of: data.of,
    });
    wanted.controllers.extend_from_slice(CONTROLLERS);
    wanted.modules.extend(site.modules());
    of_kubernetes(site, wanted);
    site.network().requirements(site, host, wanted);
    wanted.ports.extend_from_slice(NODE_PORTS);
    if site.has_node_local_dns() {
        wanted.ports.extend_from_slice(dns::PORTS);
    }
    wanted.programs.extend_from_slice(NODE_PROGRAMS);
    if spec.kubernetes.kind == KubernetesType::Kubeadm {
        wanted.programs.push(FLOCK);
    }
    if site.traits().conntrack_program {
        wanted.programs.push(CONNTRACK);
    }
    wanted
        .programs
        .extend_from_slice(forwarding_programs(spec.kubernetes.proxy_mode()));
    wanted
        .leftovers
        .extend(LEFTOVERS.iter().map(|(path, of)| Leftover {
            path: (*path).to_owned(),
            of,
        }));
    wanted.rivals.extend_from_slice(RIVALS);
    site.runtime().requirements(wanted);
    classes::requirements(host, wanted);
    wanted.evictions = evictions(site);
    wanted.reached = there_before(site);
}

/// A registry that was there before: whether a node gets there is not for kubexm to say.
fn there_before(site: &Site) -> Vec<Reached> {
    if site.cluster.image_home() != ImageHome::External {
        return Vec::new();
    }
    vec![Reached {
        name: site.cluster.registry_domain().to_owned(),
        addresses: site.cluster.spec.registry.address.iter().collect(),
        port: site.cluster.registry_port(),
        of: "the site's registry",
        key: "spec.registry.address",
    }]
}

/// How full disks may be for the kubelet. What is said in bytes is left to it.
fn evictions(site: &Site) -> Vec<Eviction> {
    let spec = &site.cluster.spec;
    let hard = spec.kubernetes.kubelet_configuration.get("evictionHard");
    let percent = |signal: &str, default: &str| {
        let told = hard.and_then(|hard| hard.get(signal)?.as_str());
        let percent = told.unwrap_or(default).strip_suffix('%')?;
        percent.parse::<u64>().ok()
    };
    let of = |path: String, signal: &'static str, default: &str| {
        let percent = percent(signal, default)?;
        Some(Eviction {
            path,
            percent,
            signal,
        })
    };
    let volumes = of(kubelet::root_dir(site).into(), "nodefs.available", "10%");
    let images = site.cluster.runtime_data().path.to_string();
    let images = of(images, "imagefs.available", "15%");
    volumes.into_iter().chain(images).collect()
}
