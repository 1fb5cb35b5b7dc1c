//! Which pods leave a node that is emptied, and what keeps them from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cordon_node::CORDON;
use super::objects::{Metadata, Pod};
use crate::check::probe_pods;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Budget {
    pub metadata: Metadata,
    pub spec: BudgetSpec,
    pub status: BudgetStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct BudgetSpec {
    pub selector: Option<Selector>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetStatus {
    pub disruptions_allowed: i64,
    pub current_healthy: i64,
    pub desired_healthy: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    pub match_labels: BTreeMap<String, String>,
    pub match_expressions: Vec<Expression>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Expression {
    pub key: String,
    pub operator: String,
    pub values: Vec<String>,
}

/// A pod that may not leave its node now, and the budget that forbids it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guarded {
    pub pod: String,
    pub node: String,
    /// `NAMESPACE/NAME`
    pub budget: String,
    pub healthy: i64,
    pub wanted: i64,
}

impl Guarded {
    /// In words.
    #[must_use]
    pub fn told(&self) -> String {
        let Self {
            pod,
            budget,
            healthy,
            wanted,
            ..
        } = self;
        format!(
            "pod {pod} is held by budget {budget}, which allows no eviction now ({healthy} healthy, {wanted} wanted)"
        )
    }
}

const MIRROR: &str = "kubernetes.io/config.mirror";

impl Selector {
    pub(crate) fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let all = self
            .match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        all && self.match_expressions.iter().all(|expression| {
            let value = labels.get(&expression.key);
            let listed = value.is_some_and(|value| expression.values.contains(value));
            match expression.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
    }
}

impl Budget {
    fn holds(&self, pod: &Pod) -> bool {
        let same = self.metadata.namespace == pod.metadata.namespace;
        let selector = self.spec.selector.as_ref();
        same && selector.is_some_and(|selector| selector.selects(&pod.metadata.labels))
    }
}

/// The budgets that allow no eviction of this pod now, in words.
pub fn guards_of(pod: &Pod, budgets: &[Budget]) -> Vec<String> {
    let guards = |budget: &&Budget| budget.status.disruptions_allowed <= 0 && budget.holds(pod);
    let told = budgets.iter().filter(guards).map(|budget| {
        let BudgetStatus {
            current_healthy,
            desired_healthy,
            ..
        } = budget.status;
        format!(
            "the budget {} needs {desired_healthy} healthy pods and has {current_healthy}",
            budget.metadata.name
        )
    });
    told.collect()
}

/// Whether a drain takes the pod off its node. Those of daemon sets and of the kubelet itself stay, and what a check of kubexm
/// has left, which the next one takes away.
pub fn leaves(pod: &Pod) -> bool {
    let ended = ["Succeeded", "Failed"].contains(&pod.status.phase.as_str());
    let is_mirror = pod.metadata.annotations.contains_key(MIRROR);
    let mut owners = pod.metadata.owner_references.iter();
    let of_check = pod.metadata.namespace == probe_pods::NAMESPACE;
    !of_check
        && !ended
        && !is_mirror
        && !owners.any(|owner| owner.kind == "DaemonSet" || owner.kind == "Node")
}

/// Whether whoever makes it again may put it on the same node, though that is cordoned.
pub fn returns(pod: &Pod) -> bool {
    let mut tolerations = pod.spec.tolerations.iter();
    tolerations.any(|it| {
        (it.key.is_empty() || it.key == CORDON) && ["", "NoSchedule"].contains(&it.effect.as_str())
    })
}

/// Whether nobody would make it again.
pub fn is_alone(pod: &Pod) -> bool {
    pod.metadata.owner_references.is_empty()
}

/// Those that leave and that a budget forbids to, each with the first such budget.
pub fn guarded(pods: &[Pod], budgets: &[Budget]) -> Vec<Guarded> {
    let held = |pod: &Pod| {
        let mut budgets = budgets.iter();
        let budget = budgets.find(|of| of.status.disruptions_allowed <= 0 && of.holds(pod))?;
        Some(Guarded {
            pod: pod.title(),
            node: pod.spec.node_name.clone(),
            budget: format!("{}/{}", budget.metadata.namespace, budget.metadata.name),
            healthy: budget.status.current_healthy,
            wanted: budget.status.desired_healthy,
        })
    };
    pods.iter()
        .filter(|pod| leaves(pod))
        .filter_map(held)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, more: &str) -> Pod {
        let text = format!(
            r#"{{"metadata": {{"name": "{name}", "namespace": "shop", "labels": {{"app": "{name}"}}{more}}},
                "spec": {{"nodeName": "w1"}}, "status": {{"phase": "Running"}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn budget(name: &str, selector: &str, allowed: i64) -> Budget {
        let text = format!(
            r#"{{"metadata": {{"name": "{name}", "namespace": "shop"}}, "spec": {{"selector": {selector}}},
                "status": {{"disruptionsAllowed": {allowed}, "currentHealthy": 1, "desiredHealthy": 1}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn pods_of_daemon_sets_and_of_the_kubelet_stay() {
        let owned = |kind: &str| {
            pod(
                "a",
                &format!(r#", "ownerReferences": [{{"kind": "{kind}", "name": "x"}}]"#),
            )
        };
        assert!(leaves(&owned("ReplicaSet")) && !leaves(&owned("DaemonSet")));
        assert!(!leaves(&owned("Node")));
        let mirror = r#", "annotations": {"kubernetes.io/config.mirror": "x"}"#;
        assert!(!leaves(&pod("a", mirror)));
        assert!(leaves(&pod("a", "")) && is_alone(&pod("a", "")) && !is_alone(&owned("Job")));
    }

    #[test]
    fn what_holds_a_pod_is_named() {
        let pods = [pod("web", ""), pod("db", ""), pod("free", "")];
        let budgets = [
            budget("web", r#"{"matchLabels": {"app": "web"}}"#, 0),
            budget(
                "dbs",
                r#"{"matchExpressions": [{"key": "app", "operator": "In", "values": ["db"]}]}"#,
                0,
            ),
            budget("open", r#"{"matchLabels": {"app": "free"}}"#, 1),
            budget(
                "other",
                r#"{"matchExpressions": [{"key": "tier", "operator": "Exists"}]}"#,
                0,
            ),
        ];
        let told: Vec<String> = guarded(&pods, &budgets).iter().map(Guarded::told).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        pod shop/web is held by budget shop/web, which allows no eviction now (1 healthy, 1 wanted)
        pod shop/db is held by budget shop/dbs, which allows no eviction now (1 healthy, 1 wanted)
        ");
    }
}
