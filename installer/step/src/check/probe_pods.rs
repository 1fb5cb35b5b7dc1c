use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError, Trace};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::probe_corefiles::{DNS_PORT, READY_PORT, asker_corefile, target_corefile};
use super::webhooks::{self, in_the_way_of_pods};
use super::{list, probe_namespace};
use crate::kube::kubectl::{get_json, must_kubectl_with};
use crate::kube::objects::Pod;
use crate::kube::pods::{Pace, Seen, told, wait_for};

pub(crate) const NAMESPACE: &str = "kubexm-check";
/// Where an asker takes questions by HTTP, which the apiserver can pass on.
pub(super) const HTTP_PORT: u16 = 8053;
/// Below it each target has a name of its own.
pub(super) const ZONE: &str = "kubexm-check";
const COREFILE: &str = "kubexm.mensylisir.io/corefile";
/// The most nodes of which each asks every other.
const ALL_PAIRS: usize = 32;
const PACE: Pace = Pace::patient(Duration::from_mins(1));

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

    /// The places of the nodes whose pods are asked from the node at this place.
    ///
    /// In a small cluster those are all. In a large one, where every pair would take hours, each asks those that are 1, 2,
    /// 4, 8 ... places on, and itself: so each is asked from as many others as it asks.
    pub(super) fn asked_from(&self, at: usize) -> impl Iterator<Item = usize> {
        let count = self.nodes.len();
        (0..count).filter(move |to| {
            let on = (to + count - at) % count;
            count <= ALL_PAIRS || on == 0 || on.is_power_of_two()
        })
    }

    fn askers(&self, targets: &BTreeMap<String, Found>, service: &str) -> Value {
        let askers = self.nodes.iter().enumerate().map(|(at, node)| {
            let asked = self.asked_from(at).map(|to| (to, self.nodes[to].as_str()));
            let corefile = asker_corefile(asked, targets, service);
            self.pod(&Self::asker(at), "asker", node, &corefile)
        });
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

    /// Has the cluster take these objects and waits for the pods of a role. What does not come up is in the answer, and no
    /// error.
    async fn bring_up(
        &self,
        cx: &Cx,
        role: &str,
        objects: &Value,
        name: fn(usize) -> String,
    ) -> Result<BTreeMap<String, Found>, StepError> {
        let apply = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=kubexm",
            "--filename",
            "-",
        ];
        let text = Bytes::from(objects.to_string());
        must_kubectl_with(cx, "set up the pods of the check", &apply, text).await?;
        let selector = format!("--selector=kubexm-check={role}");
        let found = Mutex::new(BTreeMap::new());
        let look = |since| {
            let (selector, found) = (&selector, &found);
            async move {
                let pods = ["pods", "--namespace", NAMESPACE, selector];
                let pods: Vec<Pod> = list(cx, &pods).await?;
                let (all, seen) = self.sorted(cx, &pods, name, since).await;
                *found.lock().unwrap_or_else(PoisonError::into_inner) = all;
                Ok(seen)
            }
        };
        wait_for(cx, PACE, look).await?;
        Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The pods of one role by their nodes, and what keeps those that are not ready.
    async fn sorted(
        &self,
        cx: &Cx,
        pods: &[Pod],
        name: fn(usize) -> String,
        since: Timestamp,
    ) -> (BTreeMap<String, Found>, Seen) {
        let mut found = BTreeMap::new();
        let (mut unready, mut lacking) = (Vec::new(), Vec::new());
        for (at, node) in (0..).zip(&self.nodes) {
            let name = name(at);
            match pods.iter().find(|pod| pod.metadata.name == name) {
                Some(pod) if pod.is_ready() => {
                    found.insert(node.clone(), Ok(pod.status.pod_ip.clone()));
                }
                Some(pod) => unready.push((node, pod)),
                None => {
                    found.insert(node.clone(), Err("it is gone".to_owned()));
                    lacking.push(format!("{name} is gone"));
                }
            }
        }
        let of_pods: Vec<(&Pod, String)> = unready
            .iter()
            .map(|(_, pod)| (*pod, pod.why_not_ready()))
            .collect();
        let troubles = told(cx, &of_pods, since).await;
        for ((node, _), trouble) in unready.iter().zip(&troubles) {
            found.insert((*node).clone(), Err(trouble.to_string()));
        }
        (found, Seen { lacking, troubles })
    }
}

/// The address of the service in front of the targets.
async fn service_address(cx: &Cx) -> Result<String, StepError> {
    #[derive(Deserialize)]
    struct Service {
        spec: Spec,
    }
    #[derive(Deserialize)]
    struct Spec {
        #[serde(default, rename = "clusterIP")]
        cluster_ip: String,
    }
    let get = [
        "service",
        "--namespace",
        NAMESPACE,
        "targets",
        "--request-timeout=20s",
    ];
    let service: Service = get_json(cx, &get).await?;
    Ok(service.spec.cluster_ip)
}

/// Sets the pods up. A node on which they do not start is for its own proof to tell.
pub struct SetUpProbePods {
    pub pods: Arc<ProbePods>,
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
        let in_the_way = in_the_way_of_pods(cx).await?;
        if !in_the_way.is_empty() {
            let why = in_the_way.join("\n");
            return Err(
                StepError::new(format!("the cluster takes no new pod: {why}"))
                    .with_hint(webhooks::HINT),
            );
        }
        // A run that was killed has left them behind.
        probe_namespace::remove(cx).await?;
        let pods = &self.pods;
        let (base, name) = (pods.base(), ProbePods::target);
        let targets = pods.bring_up(cx, "target", &base, name).await?;
        let service = service_address(cx).await?;
        let (askers, name) = (pods.askers(&targets, &service), ProbePods::asker);
        let askers = pods.bring_up(cx, "asker", &askers, name).await?;
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
        Ok(if probe_namespace::is_there(cx).await? {
            State::needed("they are still there")
        } else {
            State::Satisfied
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        probe_namespace::remove(cx).await
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

    #[test]
    fn in_a_large_cluster_each_node_asks_a_few_and_is_asked_by_as_many() {
        let pods = |count: usize| ProbePods {
            nodes: (0..count).map(|n| format!("node{n}")).collect(),
            image: "coredns".to_owned(),
        };
        let small = pods(ALL_PAIRS);
        assert_eq!(small.asked_from(7).count(), ALL_PAIRS);
        let large = pods(1000);
        let mut asked = vec![0; 1000];
        for from in 0..1000 {
            let to: Vec<usize> = large.asked_from(from).collect();
            assert_eq!(to.len(), 11, "{from} asks {to:?}");
            assert!(to.contains(&from));
            for to in to {
                asked[to] += 1;
            }
        }
        assert!(asked.iter().all(|times| *times == 11));
    }
}
