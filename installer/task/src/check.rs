//! The proofs of a cluster, each on the host where it is asked. They wait for nothing of each other, so that one look
//! tells all that is wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use artifact::ImageEntry;
use engine::{Order, Retry, Slot, Step, Task};
use step::{
    Family, KnownImage, LookAtNodes, NodeSeen, ProbePods, ProveApiServices, ProveApiserver,
    ProveCertificates, ProveEndpoint, ProveEtcd, ProveImageSource, ProveImages, ProveNodes,
    ProveReach, ProveSystemPods, ProveWebhooks, RemoveProbePods, SetUpProbePods,
};

use crate::Site;
use crate::network::look_for_obstacles;
use crate::recognise::prove_member;
use crate::site::{names, url_address};

/// The name under which the first master that answers takes part in a plan. No host can be called so.
pub const CONTROL_PLANE: &str = "(control plane)";

/// An image that is public for ever; one of its tags is not in the bundle.
const STRANGER: &str = "registry.k8s.io/pause";
const STRANGER_TAGS: &[&str] = &["3.1", "3.2", "3.3", "3.5", "3.6"];

/// Every apiserver by itself, and from each node whatever the control plane's name leads to.
#[must_use]
pub fn prove_apiservers(site: &Site, patience: Retry) -> Task {
    let endpoint = &site.cluster.spec.control_plane_endpoint;
    let mut task = Task::new("apiservers").apart();
    for host in site.masters() {
        let server = format!("https://{}:{}", url_address(host), endpoint.port);
        task = task.on(
            &host.name,
            vec![Arc::new(ProveApiserver { server, patience })],
        );
    }
    task.on_each(&names(site.runtime_hosts()), |_| {
        vec![Arc::new(ProveEndpoint {
            domain: endpoint.domain.clone(),
            port: endpoint.port,
            patience,
        })]
    })
}

/// Every member of etcd, asked by each of them.
#[must_use]
pub fn prove_etcd(site: &Site, patience: Retry) -> Task {
    // Whether one of somebody else's is healthy is for whoever runs it; that the apiservers reach it, they prove themselves.
    Task::new("etcd")
        .apart()
        .on_each(&names(site.members()), |_| {
            vec![Arc::new(ProveEtcd {
                cluster: site.etcd(),
                patience,
            })]
        })
}

/// Nodes, what the apiserver has to ask others for, system pods and images, as the cluster has them.
#[must_use]
pub fn prove_cluster(site: &Site, patience: Retry) -> Task {
    let runtime = site.cluster.spec.kubernetes.container_runtime.kind;
    let version = site.release.version_of(&runtime.to_string());
    let version = version.map(|version| version.trim_start_matches('v'));
    let steps: Vec<Arc<dyn Step>> = vec![
        Arc::new(ProveNodes {
            nodes: names(site.runtime_hosts()),
            kubelet: site.kubernetes_version().with_v(),
            runtime: version.map(|version| format!("{runtime}://{version}")),
            patience,
        }),
        Arc::new(ProveApiServices { patience }),
        Arc::new(ProveWebhooks { patience }),
        Arc::new(ProveSystemPods { patience }),
        Arc::new(ProveImages {
            known: known_images(site),
            registry: site
                .cluster
                .has_registry()
                .then(|| site.cluster.registry_authority()),
            patience,
        }),
    ];
    Task::new("cluster").apart().on(CONTROL_PLANE, steps)
}

/// The images of the bundle, with every digest by which a runtime may have them.
pub(crate) fn known_images(site: &Site) -> Vec<KnownImage> {
    site.contents.images.iter().map(known).collect()
}

fn known(image: &ImageEntry) -> KnownImage {
    let platforms = image.platforms.iter().map(|platform| platform.digest);
    let digests = [image.digest].into_iter().chain(platforms);
    KnownImage {
        reference: artifact::full_reference(&image.reference),
        digests: digests.map(|digest| digest.oci()).collect(),
    }
}

/// What is asked of each host by itself.
#[must_use]
pub fn prove_hosts(site: &Site) -> Task {
    let stranger = stranger(site);
    let nodes: BTreeSet<String> = names(site.runtime_hosts()).into_iter().collect();
    Task::new("hosts")
        .apart()
        .on_each(&site.host_names(), |host| {
            let mut steps: Vec<Arc<dyn Step>> = vec![Arc::new(ProveCertificates)];
            if let Some(member) = prove_member(site, host) {
                steps.push(Arc::new(member));
            }
            if nodes.contains(host)
                && let Some(stranger) = &stranger
            {
                let source = site.runtime().image_source();
                steps.push(Arc::new(ProveImageSource {
                    stranger: stranger.clone(),
                    refusals: source.refusals,
                    look: source.look,
                }));
            }
            steps
        })
}

/// An image of the world that the bundle has not. Without a registry of the site there is nobody to say so.
fn stranger(site: &Site) -> Option<String> {
    if !site.cluster.has_registry() {
        return None;
    }
    let named = STRANGER_TAGS.iter().map(|tag| format!("{STRANGER}:{tag}"));
    let held = |name: &String| {
        let mut images = site.contents.images.iter();
        images.any(|image| image.reference == *name)
    };
    named.into_iter().find(|name| !held(name))
}

/// From a pod on each node to pods on all nodes, to a service and to the cluster's DNS.
#[must_use]
pub fn prove_network(site: &Site, patience: Retry) -> Task {
    let task = Task::new("pods' network").apart();
    let Some(image) = site.image_named("coredns") else {
        return task;
    };
    let pods = Arc::new(ProbePods {
        nodes: names(site.runtime_hosts()),
        image: image.reference.clone(),
    });
    let probes = Slot::new("the pods of the check");
    let domain = &site.cluster.spec.kubernetes.cluster_name;
    let family = match site.cluster.spec.network.kube_service_cidr.v4 {
        Some(_) => Family::V4,
        None => Family::V6,
    };
    let (task, obstacles) = look_for_obstacles(site, task);
    let mut steps: Vec<Arc<dyn Step>> = vec![Arc::new(SetUpProbePods {
        pods: pods.clone(),
        probes: probes.clone(),
    })];
    for node in &pods.nodes {
        steps.push(Arc::new(ProveReach {
            node: node.clone(),
            pods: pods.clone(),
            known_name: format!("kubernetes.default.svc.{domain}"),
            family,
            probes: probes.clone(),
            obstacles: obstacles.clone(),
            patience,
        }));
    }
    task.on(CONTROL_PLANE, steps)
        .then(Order::Settled)
        .on(CONTROL_PLANE, vec![Arc::new(RemoveProbePods)])
}

/// Asks the cluster for its nodes.
#[must_use]
pub fn look_at_nodes(nodes: Slot<Vec<NodeSeen>>) -> Task {
    Task::new("nodes").on(CONTROL_PLANE, vec![Arc::new(LookAtNodes { nodes })])
}
