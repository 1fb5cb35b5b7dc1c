use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Slot, State, Step, StepError};
use serde_json::json;

use crate::check::list;
use crate::kube::kubectl::must_kubectl_with;
use crate::kube::objects::{Pod, Volume};
use crate::kube::workload::Workload;
use crate::local_file;
use crate::pki::digest_of_trust;

/// Has pods that come to the apiservers start anew: most of them read the authorities that they trust at their start, and
/// never again. Each workload changes by its own strategy. It is noted at its pods with what they were started, so that
/// nothing starts twice.
///
/// The system's workloads must come up; one of somebody else that does not is told of, and so is a pod that no workload
/// makes again.
pub struct RollClients {
    /// The apiservers' authorities, on the operator's machine.
    pub authority: Utf8PathBuf,
    /// The public half of the key that signs tokens.
    pub accounts: Utf8PathBuf,
    /// Full once it was tried in this run.
    pub tried: Slot<()>,
}

const NOTE: &str = "kubexm.mensylisir.io/trust";
const ROOT: &str = "kube-root-ca.crt";

/// Pods that hold another trust than that of now.
#[derive(Default)]
struct Stale {
    system: BTreeSet<Workload>,
    others: BTreeSet<Workload>,
    /// Nobody makes these again.
    single: Vec<String>,
}

impl Stale {
    fn of(pods: &[Pod], digest: &str) -> Self {
        let mut stale = Self::default();
        for pod in pods.iter().filter(|pod| is_stale(pod, digest)) {
            match Workload::of(pod) {
                Some(workload) if pod.is_of_the_system() => stale.system.insert(workload),
                Some(workload) => stale.others.insert(workload),
                None => {
                    let of = &pod.metadata;
                    stale.single.push(format!("{}/{}", of.namespace, of.name));
                    true
                }
            };
        }
        stale
    }

    fn words(workloads: &BTreeSet<Workload>) -> String {
        let names = workloads
            .iter()
            .map(|of| format!("{}/{}", of.namespace, of.name));
        names.collect::<Vec<_>>().join(", ")
    }

    /// What is left to people.
    fn told(&self) -> Option<String> {
        let mut lines = Vec::new();
        if !self.others.is_empty() {
            let others = Self::words(&self.others);
            lines.push(format!(
                "these did not start anew, and may trust the authorities of before: {others}"
            ));
        }
        if !self.single.is_empty() {
            let single = self.single.join(", ");
            lines.push(format!(
                "no workload makes these pods again; if they ask the apiserver, start them anew by hand: {single}"
            ));
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

fn is_stale(pod: &Pod, digest: &str) -> bool {
    let ended = matches!(&*pod.status.phase, "Succeeded" | "Failed");
    let is_root = |volume: &Volume| {
        let mut sources = volume.projected.iter().flat_map(|of| &of.sources);
        sources.any(|source| source.config_map.name == ROOT)
    };
    let of = &pod.metadata;
    of.deletion_timestamp.is_none()
        && !ended
        && pod.spec.volumes.iter().any(is_root)
        && of.annotations.get(NOTE).is_none_or(|noted| noted != digest)
}

impl RollClients {
    fn digest(&self) -> Result<String, StepError> {
        let read = |path: &Utf8PathBuf| local_file::read(path).map(Option::unwrap_or_default);
        digest_of_trust(&read(&self.authority)?, &read(&self.accounts)?)
    }

    async fn stale(&self, cx: &Cx) -> Result<Stale, StepError> {
        let pods: Vec<Pod> = list(cx, &["pods", "--all-namespaces"]).await?;
        Ok(Stale::of(&pods, &self.digest()?))
    }
}

#[async_trait]
impl Step for RollClients {
    fn id(&self) -> String {
        "roll clients".to_owned()
    }

    fn describe(&self) -> String {
        "start pods anew that trust the authorities of before".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let stale = self.stale(cx).await?;
        let mut due = stale.system.clone();
        if self.tried.get().is_none() {
            due.extend(stale.others.iter().cloned());
        }
        if !due.is_empty() {
            return Ok(State::needed(format!(
                "started before: {}",
                Stale::words(&due)
            )));
        }
        if let Some(told) = stale.told() {
            cx.progress.seen("not all pods".to_owned(), Some(told));
        }
        Ok(State::Satisfied)
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let stale = self.stale(cx).await?;
        let note: BTreeMap<&str, String> = [(NOTE, self.digest()?)].into();
        let patch = json!({"spec": {"template": {"metadata": {"annotations": note}}}}).to_string();
        let all = stale.system.iter().map(|of| (of, true));
        let all = all.chain(stale.others.iter().map(|of| (of, false)));
        let mut rolling = Vec::new();
        for (of, must_come) in all {
            let Workload { namespace, name } = of;
            let arguments = [
                "patch",
                name,
                "--namespace",
                namespace,
                "--type=merge",
                "--patch-file=/dev/stdin",
            ];
            let trying = format!("start {name} anew");
            match must_kubectl_with(cx, &trying, &arguments, patch.clone().into()).await {
                Ok(_) => rolling.push((of, must_come)),
                Err(error) if must_come => return Err(error),
                Err(_) => {}
            }
        }
        for (of, must_come) in rolling {
            match of.rolled(cx).await {
                Err(error) if must_come => return Err(error),
                _ => {}
            }
        }
        self.tried.fill(());
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods() -> Vec<Pod> {
        let volumes = json!([{"name": "token", "projected": {"sources": [
            {"serviceAccountToken": {}}, {"configMap": {"name": ROOT}}]}}]);
        let owner = |kind: &str, name: &str| json!([{"kind": kind, "name": name}]);
        let pod = |namespace: &str, name: &str, owners: serde_json::Value, noted: &str| {
            json!({"metadata": {"namespace": namespace, "name": name, "ownerReferences": owners,
                   "labels": {"pod-template-hash": "77"}, "annotations": {NOTE: noted}},
                   "spec": {"volumes": volumes}, "status": {"phase": "Running"}})
        };
        let pods = json!([
            pod("kube-system", "kube-proxy-a", owner("DaemonSet", "kube-proxy"), "before"),
            pod("kube-system", "coredns-77-a", owner("ReplicaSet", "coredns-77"), "now"),
            pod("shop", "web-77-a", owner("ReplicaSet", "web-77"), "before"),
            pod("shop", "debug", json!([]), "before"),
            {"metadata": {"namespace": "kube-system", "name": "kube-apiserver-m1"}, "spec": {"volumes": [{"name": "a", "hostPath": {}}]},
             "status": {"phase": "Running"}},
        ]);
        serde_json::from_value(pods).unwrap()
    }

    #[test]
    fn pods_that_trust_what_was_before_are_found_by_their_workloads() {
        let stale = Stale::of(&pods(), "now");
        assert_eq!(
            Stale::words(&stale.system),
            "kube-system/daemonset/kube-proxy"
        );
        insta::assert_snapshot!(stale.told().unwrap(), @r"
        these did not start anew, and may trust the authorities of before: shop/deployment/web
        no workload makes these pods again; if they ask the apiserver, start them anew by hand: shop/debug
        ");
    }
}
