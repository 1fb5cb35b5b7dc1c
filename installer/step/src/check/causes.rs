//! Why the pods' network does not work: what is looked at when it does not.

use engine::{Cx, Slot};

use super::list;
use crate::NodeObstacles;
use crate::kube::objects::Pod;

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
    let of_it = ill.filter(|pod| {
        if is_dns(pod) {
            silent.dns
        } else {
            concerned(&pod.spec.node_name)
        }
    });
    causes.extend(of_it.map(|pod| format!("{}: {}", pod.placed(), pod.why_not_ready())));
    causes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::Step;
    use event::Progress;
    use host::fake::FakeHost;
    use serde_json::{Value, json};

    use super::*;
    use crate::LookAtNodeNetwork;

    fn pod(app: &str, node: &str, ready: &str) -> Value {
        json!({
            "metadata": { "name": format!("{app}-{node}"), "labels": { "k8s-app": app } },
            "spec": { "nodeName": node },
            "status": {
                "phase": "Running", "conditions": [{ "type": "Ready", "status": ready }],
                "containerStatuses": [{ "name": "c", "ready": ready == "True" }],
            },
        })
    }

    async fn obstacles(node: &str, told: &str) -> (String, Slot<NodeObstacles>) {
        let seen = Slot::new(node);
        let host = Arc::new(FakeHost::new(node).on("look", 0, told));
        let look = LookAtNodeNetwork {
            config: None,
            seen: seen.clone(),
        };
        look.check(&Cx::new(host, Progress::unseen()))
            .await
            .unwrap();
        (node.to_owned(), seen)
    }

    async fn causes(silent: &Silent<'_>, pods: &[Value]) -> String {
        let seen = [
            obstacles("node1", "").await,
            obstacles("node2", "firewall firewalld\nclosed net.ipv4.ip_forward\n").await,
            obstacles("node3", "config /etc/cni/net.d/05-other.conf\n").await,
        ];
        let answer = json!({ "items": pods }).to_string();
        let host = FakeHost::new("m1").on("get --output json pods", 0, answer);
        let cx = Cx::new(Arc::new(host), Progress::unseen());
        likely(&cx, silent, &seen).await.join("\n")
    }

    #[tokio::test]
    async fn the_causes_are_those_of_the_nodes_at_both_ends() {
        let silent = Silent {
            nodes: vec!["node1", "node2"],
            dns: false,
        };
        let pods = [
            pod("calico-node", "node2", "False"),
            pod("kube-proxy", "node3", "False"),
            pod("kube-dns", "node1", "False"),
        ];
        insta::assert_snapshot!(causes(&silent, &pods).await, @r"
        firewalld is active on node2: it must let nodes and their pods reach each other
        node2 forwards no packets: net.ipv4.ip_forward is 0
        calico-node-node2 on node2: container c is not ready
        ");
    }

    #[tokio::test]
    async fn dns_that_does_not_answer_may_not_run() {
        let silent = Silent {
            nodes: vec!["node1"],
            dns: true,
        };
        assert_eq!(causes(&silent, &[]).await, "the cluster has no DNS pod");
        let ill = [pod("kube-dns", "node3", "False")];
        let told = "kube-dns-node3 on node3: container c is not ready";
        assert_eq!(causes(&silent, &ill).await, told);
        let well = [pod("kube-dns", "node3", "True")];
        assert_eq!(causes(&silent, &well).await, "");
    }
}
