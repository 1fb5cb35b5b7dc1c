//! What a node asks of its host, whatever runs on it.

use cluster::{Host, KubernetesType};
use step::{Eviction, Leftover, Requirements, Space};

use super::kubernetes::of_kubernetes;
use super::network::of_network;
use super::space::{comes_to_every_node, images_size, programs_space};
use crate::Site;
use crate::facts::{
    CONNTRACK, CONTROLLERS, FLOCK, LEFTOVERS, NODE_PORTS, NODE_PROGRAMS, RIVALS, SOCKETS,
    forwarding_programs,
};

pub(super) fn of_node(site: &Site, host: &Host, wanted: &mut Requirements) {
    let spec = &site.cluster.spec;
    let runtime = ["containerd", "runc", "crictl", "cni-plugins"];
    for component in runtime
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
    let path = spec.registry.containerd_data_dir.to_string();
    // Containers run what lies in their images.
    wanted.executable.extend([
        "/usr/local/bin".to_owned(),
        "/usr/local/sbin".to_owned(),
        "/opt/cni/bin".to_owned(),
        path.clone(),
    ]);
    wanted.space.push(Space {
        path: path.clone(),
        bytes,
        of: "containerd's images",
    });
    wanted.controllers.extend_from_slice(CONTROLLERS);
    wanted.modules.extend(site.modules());
    of_kubernetes(site, wanted);
    of_network(site, host, wanted);
    wanted.ports.extend_from_slice(NODE_PORTS);
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
    wanted.sockets.extend_from_slice(SOCKETS);
    wanted.overlay = Some(path);
    wanted.evictions = evictions(site);
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
    let images = spec.registry.containerd_data_dir.to_string();
    let evictions = [
        of("/var/lib/kubelet".to_owned(), "nodefs.available", "10%"),
        of(images, "imagefs.available", "15%"),
    ];
    evictions.into_iter().flatten().collect()
}
