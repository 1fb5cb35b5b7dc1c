//! Why the pods' network does not work: what is looked at when it does not.

use engine::{Cx, Slot};

use super::list;
use crate::NodeObstacles;
use crate::objects::Pod;

/// The pods that the network of all others depends on, by the labels that their manifests give them.
const BEHIND_IT: &str =
    "--selector=k8s-app in (kube-dns,kube-proxy,calico-node,calico-typha,flannel,cilium)";
const DNS: (&str, &str) = ("k8s-app", "kube-dns");

/// What did not answer.
pub(super) struct Silent<'a> {
    /// The nodes at both ends.
    pub nodes: Vec<&'a str>,
    pub dns: bool,
}

/// The likely causes, as far as they show. Who cannot tell of any is no trouble of its own.
pub(super) async fn likely(
    cx: &Cx,
    silent: &Silent<'_>,
    obstacles: &[(String, Slot<NodeObstacles>)],
) -> Vec<String> {
    let concerned = |node: &str| silent.nodes.contains(&node);
    let mut causes = Vec::new();
    for (node, seen) in obstacles.iter().filter(|(node, _)| concerned(node)) {
        causes.extend(seen.get().into_iter().flat_map(|seen| seen.told(node)));
    }
    let pods = list::<Pod>(cx, &["pods", "--all-namespaces", BEHIND_IT]).await;
    let Ok(pods) = pods else {
        return causes;
    };
    let is_dns = |pod: &&Pod| {
        pod.metadata
            .labels
            .get(DNS.0)
            .is_some_and(|app| app == DNS.1)
    };
    if silent.dns && !pods.iter().any(|pod| is_dns(&pod)) {
        causes.push("the cluster has no DNS pod".to_owned());
    }
    let ill = pods.iter().filter(|pod| !pod.is_over() && !pod.is_ready());
    let of_it = ill.filter(|pod| match is_dns(pod) {
        true => silent.dns,
        false => concerned(&pod.spec.node_name),
    });
    causes.extend(of_it.map(|pod| format!("{}: {}", pod.placed(), pod.why_not_ready())));
    causes
}
