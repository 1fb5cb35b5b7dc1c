use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError, Trace};
use host::Command;
use serde::Deserialize;
use serde_json::{Value, json};

use super::objects::Pod;
use super::probe_corefiles::{DNS_PORT, READY_PORT, asker_corefile, target_corefile};
use crate::kubectl::{self, ask_kubectl};
use crate::shell::must;

pub(super) const NAMESPACE: &str = "kubexm-check";
/// Where an asker takes questions by HTTP, which the apiserver can pass on.
pub(super) const HTTP_PORT: u16 = 8053;
/// Below it each target has a name of its own.
pub(super) const ZONE: &str = "kubexm-check";
const COREFILE: &str = "kubexm.mensylisir.io/corefile";
const START_TIMEOUT: Duration = Duration::from_mins(5);

/// Pods by which the network of pods is proven, two on each node. `coredns` is in every bundle, needs neither a shell nor
/// a volume, and both answers and asks: a *target* answers its node's name to every question; an *asker* takes questions
/// over HTTP from the apiserver and passes them on over the network of pods, by the question's name to one target, to
/// the service of all of them, or to the cluster's DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbePods {
    pub nodes: Vec<String>,
    /// A `coredns` that the nodes can pull.
    pub image: String,
}

/// What became of the pods, by their nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    pub(super) targets: BTreeMap<String, Found>,
    pub(super) askers: BTreeMap<String, Found>,
}

/// A pod's address, or why it does not run.
pub(super) type Found = Result<String, String>;

impl ProbePods {
    pub(super) fn asker(at: usize) -> String {
        format!("asker-{at}")
    }

    fn target(at: usize) -> String {
        format!("target-{at}")
    }

    /// The name by which an asker is asked for a target's answer.
    pub(super) fn name_of_target(at: usize) -> String {
        format!("p{at}.{ZONE}")
    }

    pub(super) fn name_of_service() -> String {
        format!("service.{ZONE}")
    }

    fn base(&self) -> Value {
        let targets = (0..)
            .zip(&self.nodes)
            .map(|(at, node)| self.pod(&Self::target(at), "target", node, &target_corefile(node)));
        let mut items = vec![
            json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {
                    "name": NAMESPACE,
                    "labels": { "pod-security.kubernetes.io/enforce": "privileged" },
                },
            }),
            json!({
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": { "name": NAMESPACE, "namespace": NAMESPACE },
                "automountServiceAccountToken": false,
            }),
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": { "name": "targets", "namespace": NAMESPACE },
                "spec": {
                    "selector": { "kubexm-check": "target" },
                    "ports": [{ "name": "dns", "protocol": "TCP", "port": 53, "targetPort": DNS_PORT }],
                },
            }),
        ];
        items.extend(targets);
        json!({ "apiVersion": "v1", "kind": "List", "items": items })
    }

    fn askers(&self, targets: &BTreeMap<String, Found>, service: &str) -> Value {
        let corefile = asker_corefile(&self.nodes, targets, service);
        let askers = (0..)
            .zip(&self.nodes)
            .map(|(at, node)| self.pod(&Self::asker(at), "asker", node, &corefile));
        let items: Vec<Value> = askers.collect();
        json!({ "apiVersion": "v1", "kind": "List", "items": items })
    }

    /// Bound to its node by name: neither the scheduler nor a taint has a say. Its Corefile comes with it.
    fn pod(&self, name: &str, role: &str, node: &str, corefile: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": name, "namespace": NAMESPACE,
                "labels": { "kubexm-check": role },
                "annotations": { COREFILE: corefile },
            },
            "spec": {
                "nodeName": node,
                "serviceAccountName": NAMESPACE,
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "terminationGracePeriodSeconds": 0,
                "tolerations": [{ "operator": "Exists" }],
                "containers": [{
                    "name": "coredns", "image": self.image, "imagePullPolicy": "IfNotPresent",
                    "args": ["-conf", "/etc/coredns/Corefile"],
                    "readinessProbe": {
                        "httpGet": { "path": "/ready", "port": READY_PORT },
                        "periodSeconds": 1,
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "readOnlyRootFilesystem": true,
                        "capabilities": { "add": ["NET_BIND_SERVICE"], "drop": ["ALL"] },
                    },
                    "volumeMounts": [{ "name": "config", "mountPath": "/etc/coredns", "readOnly": true }],
                }],
                "volumes": [{
                    "name": "config",
                    "downwardAPI": { "items": [{
                        "path": "Corefile",
                        "fieldRef": { "fieldPath": format!("metadata.annotations['{COREFILE}']") },
                    }]},
                }],
            },
        })
    }

    /// Has the cluster take these objects and waits for the pods of a role; `before` is done first. What does not come up
    /// in time is in the answer, and no error.
    async fn bring_up(
        &self,
        cx: &Cx,
        before: &str,
        role: &str,
        objects: &Value,
    ) -> Result<Vec<Object>, StepError> {
        let kubectl = format!("{} --namespace {NAMESPACE}", kubectl::line());
        let script = format!(
            "set -e\n{before}\
             {kubectl} apply --server-side --force-conflicts --field-manager=kubexm --filename - >/dev/null\n\
             {kubectl} wait --for=condition=Ready pod --selector kubexm-check={role} --timeout=60s \
             </dev/null >/dev/null 2>&1 || true\n\
             {kubectl} get pods,services --output json </dev/null"
        );
        let script = Command::script(script)
            .stdin(Bytes::from(objects.to_string()))
            .timeout(START_TIMEOUT);
        let output = must(cx, "set up the pods of the check", script).await?;
        let list: List = serde_json::from_slice(&output.stdout).map_err(|error| {
            StepError::new(format!("cannot read the list of the check's pods: {error}"))
        })?;
        Ok(list.items)
    }

    /// The pods of one role by their nodes.
    fn found(&self, objects: &[Object], name: fn(usize) -> String) -> BTreeMap<String, Found> {
        let of_node = |(at, node): (usize, &String)| {
            let name = name(at);
            let pod = objects
                .iter()
                .find(|object| object.kind == "Pod" && object.pod.metadata.name == name)
                .map(|object| &object.pod);
            let found = match pod {
                Some(pod) if pod.is_ready() => Ok(pod.status.pod_ip.clone()),
                Some(pod) => Err(pod.why_not_ready()),
                None => Err("it is gone".to_owned()),
            };
            (node.clone(), found)
        };
        (0..).zip(&self.nodes).map(of_node).collect()
    }
}

#[derive(Deserialize)]
struct List {
    items: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    kind: String,
    #[serde(flatten)]
    pod: Pod,
    #[serde(default, rename = "spec")]
    service: ServiceSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServiceSpec {
    #[serde(rename = "clusterIP")]
    cluster_ip: String,
}

/// Sets the pods up. A node on which they do not start is for its own proof to tell.
pub struct SetUpProbePods {
    pub pods: ProbePods,
    pub probes: Slot<Probes>,
}

#[async_trait]
impl Step for SetUpProbePods {
    fn id(&self) -> String {
        "set up probe pods".to_owned()
    }

    fn describe(&self) -> String {
        "the cluster takes the pods of the check".to_owned()
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.pods)
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.probes.id()]
    }

    fn trace(&self) -> Trace {
        Trace::Passing
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(match self.probes.get() {
            Some(_) => State::Satisfied,
            None => State::needed("they are there for the time of the check alone"),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        // A run that was killed has left them behind.
        let leftover = format!(
            "{} delete namespace {NAMESPACE} --ignore-not-found --timeout=90s </dev/null >/dev/null\n",
            kubectl::line()
        );
        let pods = &self.pods;
        let objects = pods.bring_up(cx, &leftover, "target", &pods.base()).await?;
        let targets = pods.found(&objects, ProbePods::target);
        let service = objects.iter().find(|object| object.kind == "Service");
        let service = service.map(|object| object.service.cluster_ip.as_str());
        let askers = pods.askers(&targets, service.unwrap_or_default());
        let objects = pods.bring_up(cx, "", "asker", &askers).await?;
        let askers = pods.found(&objects, ProbePods::asker);
        let started = askers.values().filter(|asker| asker.is_ok()).count();
        cx.progress.seen(
            format!("they run on {started} of {} nodes", pods.nodes.len()),
            None,
        );
        self.probes.fill(Probes { targets, askers });
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// Takes the pods away again, and all that came with them.
pub struct RemoveProbePods;

#[async_trait]
impl Step for RemoveProbePods {
    fn id(&self) -> String {
        "remove probe pods".to_owned()
    }

    fn describe(&self) -> String {
        "the pods of the check are gone again".to_owned()
    }

    fn trace(&self) -> Trace {
        Trace::Passing
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let get = [
            "--request-timeout=20s",
            "get",
            "namespace",
            NAMESPACE,
            "--ignore-not-found",
            "--output=name",
        ];
        let output = ask_kubectl(cx, &get).await?;
        if !output.ok() {
            return Err(StepError::passing(output.last_words()));
        }
        Ok(if output.text().is_empty() {
            State::Satisfied
        } else {
            State::needed("they are still there")
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let delete = [
            "delete",
            "namespace",
            NAMESPACE,
            "--ignore-not-found",
            "--timeout=90s",
        ];
        let trying = format!("delete the namespace {NAMESPACE}");
        must(cx, &trying, kubectl::kubectl(&delete))
            .await
            .map(drop)
            .map_err(|error| {
                StepError::new(error.to_string()).with_hint(format!(
                    "kubectl get all -n {NAMESPACE}; the next check removes what is left"
                ))
            })
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods() -> ProbePods {
        ProbePods {
            nodes: vec!["node1".into(), "node2".into(), "node3".into()],
            image: "registry.k8s.io/coredns/coredns:v1.13.1".into(),
        }
    }

    #[test]
    fn the_objects_of_the_check() {
        let text = serde_json::to_string_pretty(&pods().base()).unwrap();
        let filling = "x".repeat(super::super::probe_corefiles::FILLING.1);
        insta::assert_snapshot!(text.replace(&filling, "x..."));
    }
}
