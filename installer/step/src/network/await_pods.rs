use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, Slot, State, Step, StepError};
use jiff::Timestamp;
use serde::Deserialize;

use crate::NodeObstacles;
use crate::kube::kubectl;
use crate::kube::kubectl::ask_json;
use crate::kube::objects::{Event, Pod};
use crate::kube::pods::{Pace, Seen, Waited, told, wait_for};

/// Waits until the pods of a network plugin are Ready on all nodes: then these have their network. That it has written its
/// configuration says little: it does so long before it forwards anything.
pub struct AwaitNetwork {
    pub plugin: &'static str,
    /// The label of its pods that run on each node: `k8s-app=calico-node`.
    pub selector: &'static str,
    /// Every node of the config, with what may stand in its way. One that did not come so far has failed, and nobody waits
    /// for it.
    pub nodes: Arc<[(String, Slot<NodeObstacles>)]>,
}

/// The plugin's images are pulled on every node at the same time.
const PATIENCE: Duration = Duration::from_mins(10);

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
}

impl AwaitNetwork {
    async fn pods(&self, cx: &Cx) -> Result<Vec<Pod>, StepError> {
        let selector = format!("--selector={}", self.selector);
        let what = [
            "pods",
            "--all-namespaces",
            &selector,
            "--request-timeout=20s",
        ];
        let pods: List<Pod> = kubectl::get_json(cx, &what)
            .await
            .map_err(|error| StepError::passing(error.to_string()))?;
        Ok(pods.items)
    }

    /// Of each node that came its pod, if there is one.
    fn on_nodes<'a>(&'a self, pods: &'a [Pod]) -> Vec<(&'a str, Option<&'a Pod>)> {
        let came = self.nodes.iter().filter(|(_, seen)| seen.get().is_some());
        let on = |name: &'a str| {
            let is_there = |pod: &&Pod| {
                pod.spec.node_name == name
                    && pod.metadata.deletion_timestamp.is_none()
                    && !pod.is_over()
            };
            let here = || pods.iter().filter(is_there);
            (
                name,
                here().find(|pod| pod.is_ready()).or_else(|| here().next()),
            )
        };
        came.map(|(name, _)| on(name)).collect()
    }

    async fn look(&self, cx: &Cx, since: Timestamp) -> Result<Seen, StepError> {
        let pods = self.pods(cx).await?;
        let (mut lacking, mut unready) = (Vec::new(), Vec::new());
        for (node, pod) in self.on_nodes(&pods) {
            match pod {
                None => lacking.push(format!("{node} has no pod of {} yet", self.plugin)),
                Some(pod) if pod.is_ready() => {}
                Some(pod) => unready.push((pod, pod.why_not_ready())),
            }
        }
        if let Some(first) = lacking.first_mut()
            && let Some(why) = why_no_pod(cx, since).await
        {
            *first = format!("{first}: {why}");
        }
        Ok(Seen {
            lacking,
            troubles: told(cx, &unready, since).await,
        })
    }

    async fn bring_about(&self, cx: &Cx, pace: Pace) -> Result<(), StepError> {
        let look = |since| self.look(cx, since);
        match wait_for(cx, pace, look).await? {
            Waited::Well => Ok(()),
            Waited::Never(seen) => {
                Err(self.fails("does not come up, and waiting does not heal it", &seen))
            }
            Waited::Late(seen) => {
                let how = format!("did not come up within {} s", pace.patience.as_secs());
                Err(self.fails(&how, &seen))
            }
        }
    }

    fn fails(&self, how: &str, seen: &Seen) -> StepError {
        let obstacles = self.nodes.iter().filter_map(|(name, seen)| {
            let told = seen.get()?.told(name);
            Some(told.into_iter().map(|line| format!("likely cause: {line}")))
        });
        let lines: Vec<String> = [seen.full()]
            .into_iter()
            .chain(obstacles.flatten())
            .collect();
        StepError::new(format!("{} {how}:\n{}", self.plugin, lines.join("\n"))).with_hint(format!(
            "on a master: kubectl describe pods --all-namespaces --selector {}",
            self.selector
        ))
    }
}

/// Why the cluster makes no pods of what is to run on each node, where it says so: a webhook, a quota.
async fn why_no_pod(cx: &Cx, since: Timestamp) -> Option<String> {
    let what = [
        "events",
        "--all-namespaces",
        "--field-selector=involvedObject.kind=DaemonSet,reason=FailedCreate",
        "--request-timeout=10s",
    ];
    let answer = ask_json(cx, &what).await.ok()?;
    let events: List<Event> = serde_json::from_slice(&answer.stdout).ok()?;
    let events = events.items.iter().filter(|event| event.at() >= since);
    let last = events.max_by_key(|event| event.at())?;
    Some(format!("{}: {}", last.involved_object.name, last.told()))
}

#[async_trait]
impl Step for AwaitNetwork {
    fn id(&self) -> String {
        format!("await {}", self.plugin)
    }

    fn describe(&self) -> String {
        format!("wait until {} is Ready on every node", self.plugin)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let pods = self.pods(cx).await?;
        let unready = self.on_nodes(&pods).into_iter();
        let unready: Vec<&str> = unready
            .filter(|(_, pod)| !pod.is_some_and(Pod::is_ready))
            .map(|(node, _)| node)
            .collect();
        Ok(if unready.is_empty() {
            State::Satisfied
        } else {
            State::needed(format!("is not Ready on {}", unready.join(", ")))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.bring_about(cx, Pace::patient(PATIENCE)).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::fake::FakeHost;
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-01T00:00:00Z";
    const QUICK: Pace = Pace {
        patience: Duration::from_mins(1),
        every: Duration::ZERO,
        settles: Duration::ZERO,
    };

    fn list(items: &[Value]) -> String {
        json!({ "items": items }).to_string()
    }

    /// Calico on a node in whose way another network stands.
    async fn calico() -> AwaitNetwork {
        let seen = Slot::new("node1");
        let look = crate::LookAtNodeNetwork {
            config: None,
            seen: seen.clone(),
        };
        let foreign = "config /etc/cni/net.d/05-other.conf\n";
        let node = FakeHost::new("node1").on("look", 0, foreign);
        let cx = Cx::new(Arc::new(node), Progress::unseen());
        look.check(&cx).await.unwrap();
        AwaitNetwork {
            plugin: "calico",
            selector: "k8s-app=calico-node",
            nodes: [("node1".to_owned(), seen)].into(),
        }
    }

    async fn fails(pace: Pace, pods: &[Value], events: &[Value]) -> String {
        let host = FakeHost::new("m1")
            .on("date", 0, "1767225600\n")
            .on("get --output json pods", 0, list(pods))
            .on("get --output json events", 0, list(events));
        let cx = Cx::new(Arc::new(host), Progress::unseen());
        let error = calico().await.bring_about(&cx, pace).await.unwrap_err();
        format!("{error}\nhint: {}", error.hint().unwrap())
    }

    #[tokio::test]
    async fn a_plugin_that_cannot_come_up_is_not_waited_for() {
        let pod = json!({
            "metadata": {
                "name": "calico-node-abc", "namespace": "kube-system", "uid": "a-1", "creationTimestamp": NOW,
            },
            "spec": { "nodeName": "node1" },
            "status": {
                "phase": "Pending",
                "conditions": [{ "type": "Ready", "status": "False" }],
                "initContainerStatuses": [{
                    "name": "mount-bpffs", "state": { "waiting": { "reason": "PodInitializing" } },
                }],
            },
        });
        let event = json!({
            "type": "Warning", "reason": "FailedMount", "count": 5, "lastTimestamp": NOW,
            "message": "MountVolume.SetUp failed for volume \"bpffs\" : hostPath type check failed: /sys/fs/bpf is not a directory",
            "involvedObject": { "name": "calico-node-abc", "uid": "a-1" },
        });
        insta::assert_snapshot!(fails(QUICK, &[pod], &[event]).await, @r#"
        calico does not come up, and waiting does not heal it:
        calico-node-abc on node1: container mount-bpffs waits (PodInitializing)
          its last event: FailedMount: MountVolume.SetUp failed for volume "bpffs" : hostPath type check failed: /sys/fs/bpf is not a directory (5 times)
        likely cause: /etc/cni/net.d/05-other.conf on node1 comes before the configuration of the network plugin: remove it
        hint: on a master: kubectl describe pods --all-namespaces --selector k8s-app=calico-node
        "#);
    }

    #[tokio::test]
    async fn why_there_are_no_pods_at_all_is_told() {
        let pace = Pace {
            patience: Duration::ZERO,
            ..QUICK
        };
        let refused = json!({
            "type": "Warning", "reason": "FailedCreate", "lastTimestamp": NOW,
            "message": "Error creating: Internal error occurred: failed calling webhook",
            "involvedObject": { "name": "calico-node" },
        });
        insta::assert_snapshot!(fails(pace, &[], &[refused]).await, @r"
        calico did not come up within 0 s:
        node1 has no pod of calico yet: calico-node: FailedCreate: Error creating: Internal error occurred: failed calling webhook
        likely cause: /etc/cni/net.d/05-other.conf on node1 comes before the configuration of the network plugin: remove it
        hint: on a master: kubectl describe pods --all-namespaces --selector k8s-app=calico-node
        ");
    }
}
