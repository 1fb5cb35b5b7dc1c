//! Which budget keeps a pod from being evicted.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::kube::objects::{Metadata, Pod};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Budget {
    metadata: Metadata,
    spec: BudgetSpec,
    status: BudgetStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BudgetSpec {
    selector: Option<Selector>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BudgetStatus {
    disruptions_allowed: i64,
    current_healthy: i64,
    desired_healthy: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<Expression>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Expression {
    key: String,
    operator: String,
    values: Vec<String>,
}

impl Selector {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut wanted = self.match_labels.iter();
        let mut expressions = self.match_expressions.iter();
        wanted.all(|(key, value)| labels.get(key) == Some(value))
            && expressions.all(|wanted| wanted.matches(labels.get(&wanted.key)))
    }
}

impl Expression {
    fn matches(&self, value: Option<&String>) -> bool {
        let is_named = value.is_some_and(|value| self.values.contains(value));
        match self.operator.as_str() {
            "In" => is_named,
            "NotIn" => !is_named,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }
}

/// The budgets that allow no eviction of this pod, in words.
pub fn guards_of(pod: &Pod, budgets: &[Budget]) -> Vec<String> {
    let guards = |budget: &&Budget| {
        let selector = budget.spec.selector.as_ref();
        budget.metadata.namespace == pod.metadata.namespace
            && budget.status.disruptions_allowed <= 0
            && selector.is_some_and(|selector| selector.matches(&pod.metadata.labels))
    };
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
