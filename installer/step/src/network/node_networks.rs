use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use ipnet::IpNet;
use serde::Deserialize;

use crate::Link;
use crate::kube::kubectl::get_json;

/// A node as the cluster knows it: its shares of the pods' networks, and its own addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeNetwork {
    pub name: String,
    pub pods: Vec<IpNet>,
    pub addresses: Vec<IpAddr>,
}

/// Asks the cluster which share of the pods' networks each node has, and waits for nodes that are on their way.
pub struct AskNodeNetworks {
    /// Every node of the config. One that did not come so far has failed, and nobody waits for it.
    pub nodes: Vec<(String, Slot<Link>)>,
    /// How many shares a node has: one of each family of addresses.
    pub families: usize,
    pub networks: Slot<Vec<NodeNetwork>>,
}

/// The controller manager answers a new node within seconds.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Nodes {
    items: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Vec<IpNet>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    addresses: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

impl From<Node> for NodeNetwork {
    fn from(node: Node) -> Self {
        let internal = |address: &Address| address.kind == "InternalIP";
        let addresses = node.status.addresses.iter();
        Self {
            name: node.metadata.name,
            pods: node.spec.pod_cidrs,
            addresses: addresses
                .filter(|address| internal(address))
                .filter_map(|address| address.address.parse().ok())
                .collect(),
        }
    }
}

/// What the cluster has given so far.
enum Given {
    All(Vec<NodeNetwork>),
    /// Nodes that are not registered, or have no share.
    NotYet(Vec<String>),
}

impl AskNodeNetworks {
    async fn ask(&self, cx: &Cx) -> Result<Given, StepError> {
        let nodes: Nodes = get_json(cx, &["nodes"]).await?;
        let mut networks: Vec<NodeNetwork> = nodes.items.into_iter().map(Into::into).collect();
        networks.sort_by(|a, b| a.name.cmp(&b.name));
        let came = self.nodes.iter().filter(|(_, link)| link.get().is_some());
        let absent = came
            .map(|(name, _)| name)
            .filter(|name| networks.iter().all(|node| node.name != **name));
        let bare = networks
            .iter()
            .filter(|node| node.pods.len() < self.families)
            .map(|node| &node.name);
        let waiting: Vec<String> = absent.chain(bare).cloned().collect();
        Ok(if waiting.is_empty() {
            Given::All(networks)
        } else {
            Given::NotYet(waiting)
        })
    }
}

#[async_trait]
impl Step for AskNodeNetworks {
    fn id(&self) -> String {
        "node networks".to_owned()
    }

    fn describe(&self) -> String {
        "ask for each node's share of the pods' network".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.networks.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        Ok(match self.ask(cx).await? {
            Given::All(networks) => {
                self.networks.fill(networks);
                State::Satisfied
            }
            Given::NotYet(nodes) => State::needed(format!("{} has none yet", nodes.join(", "))),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || self.check(cx);
        let State::Needed(lacking) = cx.wait_until(PATIENCE, PAUSE, look).await? else {
            return Ok(());
        };
        let error = format!(
            "no share of the pods' network was given within {} s: {lacking}",
            PATIENCE.as_secs()
        );
        Err(StepError::new(error).with_hint(
            "the controller manager gives them: see its log, and whether kubePodsCIDR and nodeCidrMaskSize leave room for \
             all nodes",
        ))
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
