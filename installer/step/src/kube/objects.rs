//! What the apiserver answers, as far as steps look at it.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub creation_timestamp: Option<jiff::Timestamp>,
    pub deletion_timestamp: Option<jiff::Timestamp>,
    pub owner_references: Vec<Owner>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Owner {
    pub kind: String,
    pub name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
}

/// The condition `Ready` of an object.
pub fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions
        .iter()
        .find(|condition| condition.kind == "Ready")
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    pub metadata: Metadata,
    pub spec: NodeSpec,
    pub status: NodeStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    pub unschedulable: bool,
    pub taints: Vec<NodeTaint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeTaint {
    pub key: String,
    pub effect: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    pub conditions: Vec<Condition>,
    pub addresses: Vec<Address>,
    pub node_info: NodeInfo,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Address {
    #[serde(rename = "type")]
    pub kind: String,
    pub address: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    pub kubelet_version: String,
    pub container_runtime_version: String,
    #[serde(rename = "bootID")]
    pub boot_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub metadata: Metadata,
    pub spec: PodSpec,
    pub status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    pub node_name: String,
    pub containers: Vec<Container>,
    pub init_containers: Vec<Container>,
    pub tolerations: Vec<Toleration>,
    /// It has the network of its node.
    pub host_network: bool,
    pub dns_policy: String,
    pub volumes: Vec<Volume>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Toleration {
    /// Empty where it tolerates every taint.
    pub key: String,
    pub effect: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    pub name: String,
    /// It is there as long as its pod, on its pod's node.
    pub empty_dir: Option<serde_json::Value>,
    pub projected: Option<Projected>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Projected {
    pub sources: Vec<ProjectedSource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectedSource {
    /// Without a name where it is none.
    pub config_map: ConfigMapName,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ConfigMapName {
    pub name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Container {
    pub name: String,
    pub image: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    pub phase: String,
    pub reason: String,
    pub message: String,
    #[serde(rename = "podIP")]
    pub pod_ip: String,
    pub conditions: Vec<Condition>,
    pub container_statuses: Vec<ContainerStatus>,
    pub init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    pub name: String,
    pub ready: bool,
    pub restart_count: u32,
    #[serde(rename = "imageID")]
    pub image_id: String,
    pub state: ContainerState,
    pub last_state: ContainerState,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    pub waiting: Option<Reason>,
    pub running: Option<Running>,
    pub terminated: Option<Terminated>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    pub started_at: Option<jiff::Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Reason {
    pub reason: String,
    pub message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    pub reason: String,
    pub exit_code: i32,
    pub started_at: Option<jiff::Timestamp>,
    pub finished_at: Option<jiff::Timestamp>,
}

impl Pod {
    /// `kube-system/coredns-7d764666f9-abcde`
    pub fn title(&self) -> String {
        format!("{}/{}", self.metadata.namespace, self.metadata.name)
    }

    pub fn is_ready(&self) -> bool {
        ready(&self.status.conditions).is_some_and(|condition| condition.status == "True")
    }

    /// Of all its containers, those that come first at first.
    pub fn container_statuses(&self) -> impl Iterator<Item = &ContainerStatus> {
        let first = self.status.init_container_statuses.iter();
        first.chain(&self.status.container_statuses)
    }

    /// It has ended, well or not, and stays so. What took its place is judged by itself.
    pub fn is_over(&self) -> bool {
        ["Succeeded", "Failed"].contains(&self.status.phase.as_str())
    }

    /// `coredns-7d764666f9-abcde on node2`
    pub fn placed(&self) -> String {
        let name = &self.metadata.name;
        match self.spec.node_name.as_str() {
            "" => format!("{name} on no node"),
            node => format!("{name} on {node}"),
        }
    }

    /// Why it is not ready, as the kubelet or the scheduler has it.
    pub fn why_not_ready(&self) -> String {
        let of_containers = self.container_statuses().find_map(ContainerStatus::trouble);
        let unscheduled = || {
            let conditions = self.status.conditions.iter();
            conditions
                .filter(|condition| condition.status == "False" && !condition.message.is_empty())
                .map(|condition| condition.message.clone())
                .next()
        };
        let own = Some(&self.status.reason).filter(|reason| !reason.is_empty());
        of_containers
            .or_else(|| own.map(|reason| format!("{reason}: {}", self.status.message)))
            .or_else(unscheduled)
            .unwrap_or_else(|| format!("it is {}", self.status.phase))
    }
}

impl ContainerStatus {
    /// What keeps it from running, if anything does.
    pub fn trouble(&self) -> Option<String> {
        let restarts = match self.restart_count {
            0 => String::new(),
            1 => ", restarted once".to_owned(),
            times => format!(", restarted {times} times"),
        };
        let name = &self.name;
        if let Some(waiting) = &self.state.waiting {
            let reason = &waiting.reason;
            let message = Some(waiting.message.as_str()).filter(|text| !text.is_empty());
            let message = message.map_or_else(String::new, |text| format!(": {text}"));
            return Some(format!(
                "container {name} waits ({reason}){restarts}{message}"
            ));
        }
        if let Some(ended) = &self.state.terminated
            && ended.exit_code != 0
        {
            let (reason, code) = (&ended.reason, ended.exit_code);
            return Some(format!(
                "container {name} has ended with {code} ({reason}){restarts}"
            ));
        }
        (!self.ready && self.state.terminated.is_none())
            .then(|| format!("container {name} is not ready{restarts}"))
    }
}

/// What somebody has said of an object.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    #[serde(rename = "type")]
    pub kind: String,
    pub reason: String,
    pub message: String,
    pub count: u32,
    pub involved_object: Involved,
    pub metadata: Metadata,
    pub last_timestamp: Option<jiff::Timestamp>,
    #[serde(rename = "eventTime")]
    pub first_told: Option<jiff::Timestamp>,
    pub series: Option<Series>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Involved {
    pub name: String,
    pub uid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Series {
    pub count: u32,
    pub last_observed_time: Option<jiff::Timestamp>,
}

impl Event {
    /// When it was said last.
    pub fn at(&self) -> jiff::Timestamp {
        let series = self.series.as_ref();
        series
            .and_then(|series| series.last_observed_time)
            .or(self.last_timestamp)
            .or(self.first_told)
            .or(self.metadata.creation_timestamp)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    pub fn is_warning(&self) -> bool {
        self.kind == "Warning"
    }

    /// `FailedMount: MountVolume.SetUp failed ... (12 times)`
    pub fn told(&self) -> String {
        let series = self.series.as_ref().map_or(0, |series| series.count);
        let times = match self.count.max(series) {
            0 | 1 => String::new(),
            times => format!(" ({times} times)"),
        };
        let lines = self.message.split_whitespace();
        let message = lines.collect::<Vec<_>>().join(" ");
        format!("{}: {message}{times}", self.reason)
    }
}
