use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use host::Command;
use serde::Deserialize;

use super::cordon_node::{CORDON, is_marked};
use super::eviction::{Budget, Guarded, guarded, is_alone, leaves};
use super::kubectl::{ask_kubectl, line};
use super::objects::{Node, NodeTaint, Pod, ready};
use crate::check::{WebhookSeen, guards_of_pods, list};
use crate::shell::{ask, refused};

/// A living cluster, as an upgrade has to know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterSeen {
    pub nodes: Vec<LivingNode>,
    /// Pods that no eviction is allowed for now.
    pub guarded: Vec<Guarded>,
    /// Pods that nobody would make again, each with its node.
    pub alone: Vec<(String, String)>,
    /// Parts of the API that somebody has asked for since the apiserver was started, and that a minor removes.
    pub deprecated: Vec<DeprecatedApi>,
    /// Webhooks without whom no pod is made.
    pub webhooks: Vec<WebhookSeen>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LivingNode {
    pub name: String,
    /// `v1.35.8`
    pub kubelet: String,
    /// `containerd://1.7.27`
    pub runtime: String,
    /// None where it is Ready.
    pub unready: Option<String>,
    /// Pods of no particular tolerance may come.
    pub takes_pods: bool,
    /// It is kubexm that has cordoned it.
    pub cordoned_by_us: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeprecatedApi {
    /// `flowcontrol.apiserver.k8s.io/v1beta3`
    pub version: String,
    /// `flowschemas`
    pub resource: String,
    /// The minor that it is gone with.
    pub removed: u64,
}

/// Asks a cluster for all that an upgrade depends on.
pub struct LookAtCluster {
    pub seen: Slot<ClusterSeen>,
}

/// Asks a master's own apiserver for its version.
pub struct LookAtApiserver {
    /// `https://10.0.0.1:6443`
    pub server: String,
    /// `v1.35.8`
    pub version: Slot<String>,
}

pub(super) fn living(node: Node) -> LivingNode {
    let condition = ready(&node.status.conditions);
    let unready = match condition {
        Some(condition) if condition.status == "True" => None,
        Some(condition) => Some(condition.message.clone()),
        None => Some("it has not reported yet".to_owned()),
    };
    let mut taints = node.spec.taints.iter();
    let ours = is_marked(&node);
    let cordoned = node.spec.unschedulable && !ours;
    LivingNode {
        takes_pods: !cordoned && !taints.any(|taint| keeps_pods_away(taint, ours)),
        cordoned_by_us: ours,
        name: node.metadata.name,
        kubelet: node.status.node_info.kubelet_version,
        runtime: node.status.node_info.container_runtime_version,
        unready,
    }
}

/// A cordon is a taint as well, and our own ends with the upgrade.
fn keeps_pods_away(taint: &NodeTaint, ours: bool) -> bool {
    match taint.effect.as_str() {
        "NoExecute" => true,
        "NoSchedule" => !(ours && taint.key == CORDON),
        _ => false,
    }
}

/// Lines of the apiserver's metrics.
fn deprecated(metrics: &str) -> Vec<DeprecatedApi> {
    let of_line = |line: &str| {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let (_, removed) = label("removed_release")?.split_once('.')?;
        let (group, version) = (label("group")?, label("version")?);
        let group = if group.is_empty() {
            String::new()
        } else {
            format!("{group}/")
        };
        Some(DeprecatedApi {
            version: format!("{group}{version}"),
            resource: label("resource")?.to_owned(),
            removed: removed.parse().ok()?,
        })
    };
    let mut found: Vec<DeprecatedApi> = metrics.lines().filter_map(of_line).collect();
    found.dedup();
    found
}

#[async_trait]
impl Step for LookAtCluster {
    fn id(&self) -> String {
        "look at the cluster".to_owned()
    }

    fn describe(&self) -> String {
        "ask the cluster for its nodes, pods and budgets".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.seen.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let nodes: Vec<Node> = list(cx, &["nodes"]).await?;
        let pods: Vec<Pod> = list(cx, &["pods", "--all-namespaces"]).await?;
        let budgets: Vec<Budget> = list(cx, &["poddisruptionbudgets", "--all-namespaces"]).await?;
        let metrics = format!(
            "{} get --raw /metrics | grep ^apiserver_requested_deprecated_apis || true",
            line()
        );
        let metrics = ask(cx, Command::script(metrics)).await?.text();
        let alone = pods.iter().filter(|pod| leaves(pod) && is_alone(pod));
        let webhooks = guards_of_pods(cx).await?;
        self.seen.fill(ClusterSeen {
            nodes: nodes.into_iter().map(living).collect(),
            guarded: guarded(&pods, &budgets),
            alone: alone
                .map(|pod| (pod.title(), pod.spec.node_name.clone()))
                .collect(),
            deprecated: deprecated(&metrics),
            webhooks,
        });
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for LookAtApiserver {
    fn id(&self) -> String {
        "look at the apiserver".to_owned()
    }

    fn describe(&self) -> String {
        "ask the apiserver for its version".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.version.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            git_version: String,
        }
        let arguments = [
            "--server",
            &self.server,
            "--request-timeout=10s",
            "get",
            "--raw",
            "/version",
        ];
        let output = ask_kubectl(cx, &arguments).await?;
        let version: Version = serde_json::from_slice(&output.stdout)
            .map_err(|_| refused("ask the apiserver for its version", &output))?;
        self.version.fill(version.git_version);
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_and_will_be_gone_is_read_from_the_metrics() {
        let line = "apiserver_requested_deprecated_apis{group=\"flowcontrol.apiserver.k8s.io\",\
                    removed_release=\"1.32\",resource=\"flowschemas\",subresource=\"\",version=\"v1beta3\"} 1";
        let core = "apiserver_requested_deprecated_apis{group=\"\",removed_release=\"\",resource=\"endpoints\",\
                    subresource=\"\",version=\"v1\"} 1";
        let found = deprecated(&format!("{line}\n{core}\n"));
        let wanted = DeprecatedApi {
            version: "flowcontrol.apiserver.k8s.io/v1beta3".to_owned(),
            resource: "flowschemas".to_owned(),
            removed: 32,
        };
        assert_eq!(found, [wanted]);
    }

    #[test]
    fn a_node_that_kubexm_has_cordoned_counts_as_one_that_takes_pods() {
        let node = |more: &str, taints: &str| {
            let text = format!(
                r#"{{"metadata": {{"name": "w1"{more}}}, "spec": {{"unschedulable": true, "taints": [{taints}]}},
                    "status": {{"conditions": [{{"type": "Ready", "status": "True"}}]}}}}"#
            );
            living(serde_json::from_str(&text).unwrap())
        };
        let cordon = r#"{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}"#;
        let ours = r#", "annotations": {"kubexm.io/cordoned-by-kubexm": "true"}"#;
        let theirs = node("", cordon);
        assert!(!theirs.takes_pods && !theirs.cordoned_by_us && theirs.unready.is_none());
        let free = node(ours, cordon);
        assert!(free.takes_pods && free.cordoned_by_us);
        let master = r#"{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}"#;
        let master = node(ours, &format!("{cordon}, {master}"));
        assert!(!master.takes_pods && master.cordoned_by_us);
    }
}
