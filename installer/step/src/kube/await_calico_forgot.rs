use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Question, State, StepError};
use serde::Deserialize;

use super::cordon_node::node;
use super::kubectl::ask_json;
use crate::shell::refused;

/// Waits until calico has given back what it had reserved for a node that is no more. A node of the same name that comes
/// before that has its addresses taken away again, when calico gets to it.
pub struct AwaitCalicoForgot {
    pub node: String,
    pub patience: Duration,
}

const ASK_EVERY: Duration = Duration::from_secs(3);
const KINDS: &str = "blockaffinities.crd.projectcalico.org,ipamblocks.crd.projectcalico.org,ipamhandles.crd.projectcalico.org";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reserved {
    kind: String,
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    /// Of an affinity.
    node: String,
    /// Of a block: `host:NODE`.
    affinity: Option<String>,
    /// Of a handle: `vxlan-tunnel-addr-NODE`.
    #[serde(rename = "handleID")]
    handle: String,
}

impl Reserved {
    fn is_of(&self, node: &str) -> bool {
        let tunnel = || {
            let prefix = self.spec.handle.strip_suffix(node);
            prefix.is_some_and(|prefix| prefix.ends_with("-tunnel-addr-"))
        };
        self.spec.node == node
            || self
                .spec
                .affinity
                .as_deref()
                .and_then(|it| it.strip_prefix("host:"))
                == Some(node)
            || tunnel()
    }
}

/// The kinds of what is still reserved.
async fn reserved(cx: &Cx, node: &str) -> Result<BTreeSet<String>, StepError> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Reserved>,
    }
    let output = ask_json(cx, &[KINDS, "--request-timeout=20s"]).await?;
    // A calico that keeps its data elsewhere is not seen from here.
    if output.last_words().contains("doesn't have a resource type") {
        return Ok(BTreeSet::new());
    }
    let list: List = serde_json::from_slice(&output.stdout).map_err(|_| {
        StepError::passing(refused("ask calico for what it has reserved", &output).to_string())
    })?;
    let of_node = list
        .items
        .into_iter()
        .filter(|reserved| reserved.is_of(node));
    Ok(of_node.map(|reserved| reserved.kind).collect())
}

#[async_trait]
impl Question for AwaitCalicoForgot {
    fn id(&self) -> String {
        format!("calico forgets {}", self.node)
    }

    fn describe(&self) -> String {
        format!(
            "wait until calico has given back the addresses of {}",
            self.node
        )
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        if node(cx, &self.node).await?.is_some() {
            return Ok(State::needed("is a node"));
        }
        let look = || async {
            let kinds = reserved(cx, &self.node).await?;
            let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
            Ok(match kinds.as_slice() {
                [] => State::Satisfied,
                kinds => State::needed(format!(
                    "calico still has {} of {}",
                    kinds.join(", "),
                    self.node
                )),
            })
        };
        let State::Needed(left) = cx.wait_until(self.patience, ASK_EVERY, look).await? else {
            return Ok(State::Satisfied);
        };
        let warning = format!(
            "{left} after {} s. Add no node of this name before they are gone (kubectl get blockaffinities.crd.projectcalico.org); \
             see that calico-kube-controllers runs: kubectl -n kube-system get pods -l k8s-app=calico-kube-controllers",
            self.patience.as_secs()
        );
        cx.progress.seen("not yet".to_owned(), Some(warning));
        Ok(State::Satisfied)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event::Progress;
    use host::fake::FakeHost;
    use host::{Command, Output};

    use super::*;

    const OF_OTHERS: &str = r#"
        {"kind": "BlockAffinity", "spec": {"node": "w20", "cidr": "10.1.0.0/26"}},
        {"kind": "IPAMBlock", "spec": {"affinity": "host:w20"}},
        {"kind": "IPAMBlock", "spec": {"affinity": null}},
        {"kind": "IPAMHandle", "spec": {"handleID": "vxlan-tunnel-addr-w20"}},
        {"kind": "IPAMHandle", "spec": {"handleID": "k8s-pod-network.0123"}}"#;
    const OF_W2: &str = r#"
        {"kind": "BlockAffinity", "spec": {"node": "w2", "cidr": "10.1.0.0/26"}},
        {"kind": "IPAMBlock", "spec": {"affinity": "host:w2"}},
        {"kind": "IPAMHandle", "spec": {"handleID": "vxlan-tunnel-addr-w2"}},"#;

    /// Calico has what is of the node for so many looks. How often it was looked, and the state.
    async fn awaited(looks: usize) -> (usize, State) {
        let mut asked = 0;
        let host = FakeHost::new("m1").on_command(move |command: &Command, _| {
            if !command.text().contains("blockaffinities") {
                return None;
            }
            asked += 1;
            let left = if asked > looks { "" } else { OF_W2 };
            Some(Ok(Output {
                status: 0,
                stdout: format!(r#"{{"items": [{left}{OF_OTHERS}]}}"#).into(),
                stderr: Vec::new(),
            }))
        });
        let host = Arc::new(host);
        let cx = Cx::new(Arc::clone(&host) as Arc<dyn host::Host>, Progress::unseen());
        let state = step().check(&cx).await.unwrap();
        (host.transcript().matches("blockaffinities").count(), state)
    }

    fn step() -> AwaitCalicoForgot {
        AwaitCalicoForgot {
            node: "w2".to_owned(),
            patience: Duration::from_secs(4),
        }
    }

    #[tokio::test]
    async fn a_node_is_forgotten_when_calico_has_its_addresses_back() {
        assert_eq!(awaited(0).await, (1, State::Satisfied));
        assert_eq!(awaited(1).await, (2, State::Satisfied));
        // It warns, and goes on: the node is gone.
        let (looks, state) = awaited(usize::MAX).await;
        assert!(looks > 2 && state == State::Satisfied, "{looks}");
    }

    #[tokio::test]
    async fn a_node_that_is_still_there_and_a_cluster_without_calico_are_not_waited_for() {
        let said = async |host: FakeHost| {
            let cx = Cx::new(Arc::new(host), Progress::unseen());
            step().check(&cx).await.unwrap()
        };
        let there = FakeHost::new("m1").on("node w2", 0, r#"{"metadata": {"name": "w2"}}"#);
        assert_eq!(said(there).await, State::needed("is a node"));
        let without = FakeHost::new("m1").on_command(|command: &Command, _| {
            let output = Output {
                status: 1,
                stdout: Vec::new(),
                stderr: "error: the server doesn't have a resource type \"blockaffinities\"".into(),
            };
            command
                .text()
                .contains("blockaffinities")
                .then_some(Ok(output))
        });
        assert_eq!(said(without).await, State::Satisfied);
    }
}
