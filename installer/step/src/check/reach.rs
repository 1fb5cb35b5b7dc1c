use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use engine::{Cx, Question, Retry, Slot, SlotId, State, StepError};
use host::{Command, quote};

use super::causes::{Silent, likely};
use super::dns_message::{Kind, answers, first_text, question};
use super::probe_pods::{HTTP_PORT, NAMESPACE, ProbePods, Probes};
use super::{all_well, count};
use crate::NodeObstacles;
use crate::kube::kubectl;
use crate::shell::must;

/// From a pod on one node, a pod on every node, a service and the cluster's DNS answer.
pub struct ProveReach {
    pub node: String,
    /// The same for all nodes: it names each of them.
    pub pods: Arc<ProbePods>,
    /// `kubernetes.default.svc.cluster.local`
    pub known_name: String,
    pub family: Family,
    pub probes: Slot<Probes>,
    /// What may stand in the way, by node. The same for all nodes.
    pub obstacles: Arc<[(String, Slot<NodeObstacles>)]>,
    pub patience: Retry,
}

/// Which addresses services have first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// One question and what its answer must be.
struct Probe {
    /// Whom it is for.
    to: String,
    /// The node that it leads to, where there is one.
    node: Option<String>,
    name: String,
    kind: Kind,
    /// The only right answer, where there is one.
    wanted: Option<String>,
}

impl ProveReach {
    fn questions(&self, from: usize, probes: &Probes) -> Vec<Probe> {
        let running = |at: usize| {
            let node = &self.pods.nodes[at];
            matches!(probes.targets.get(node), Some(Ok(_))).then(|| Probe {
                to: format!("the pod on {node}"),
                node: Some(node.clone()),
                name: ProbePods::name_of_target(at),
                kind: Kind::Txt,
                wanted: Some(node.clone()),
            })
        };
        let service = Probe {
            to: "the service".to_owned(),
            node: None,
            name: ProbePods::name_of_service(),
            kind: Kind::Txt,
            wanted: None,
        };
        let dns = Probe {
            to: format!("the cluster's DNS, asked for {},", self.known_name),
            node: None,
            name: self.known_name.clone(),
            kind: match self.family {
                Family::V4 => Kind::A,
                Family::V6 => Kind::Aaaa,
            },
            wanted: None,
        };
        let targets = self.pods.asked_from(from).filter_map(running);
        targets.chain([service, dns]).collect()
    }
}

/// All questions in one script. Each answer is a line of base64; what kubectl says instead is one as well.
fn script(at: usize, questions: &[Probe]) -> String {
    let path = format!(
        "/api/v1/namespaces/{NAMESPACE}/pods/http:{}:{HTTP_PORT}/proxy/dns-query?dns=",
        ProbePods::asker(at)
    );
    let mut script = format!(
        "ask() {{ {} --request-timeout=20s get --raw \"$1\" 2>&1 | base64 | tr -d '\\n'; echo; }}\n",
        kubectl::line()
    );
    for Probe { name, kind, .. } in questions {
        let asked = BASE64_URL_SAFE_NO_PAD.encode(question(name, *kind));
        let _ = writeln!(script, "ask {}", quote(&format!("{path}{asked}")));
    }
    script
}

/// Why a question was not answered as it should be.
fn trouble(question: &Probe, line: Option<&str>) -> Option<String> {
    let to = &question.to;
    let bytes = line.and_then(|line| BASE64_STANDARD.decode(line).ok());
    let bytes = bytes.unwrap_or_default();
    let found = match answers(&bytes) {
        Ok(found) => found,
        Err(why) => {
            let text = String::from_utf8_lossy(&bytes);
            let said = text.trim();
            // A message of DNS begins with its id, which is 0.
            let why = match bytes.first() {
                Some(0) | None => why,
                Some(_) => said.to_owned(),
            };
            return Some(format!("{to} does not answer: {why}"));
        }
    };
    let wanted = question.wanted.as_ref()?;
    let answered = found.first().and_then(|data| first_text(data));
    (answered.as_ref() != Some(wanted)).then(|| {
        format!(
            "{to} is answered for by {}",
            answered.as_deref().unwrap_or("something else")
        )
    })
}

#[async_trait]
impl Question for ProveReach {
    fn id(&self) -> String {
        format!("prove reach from {}", self.node)
    }

    fn describe(&self) -> String {
        format!(
            "a pod on {} reaches pods, services and the cluster's DNS",
            self.node
        )
    }

    fn takes(&self) -> Vec<SlotId> {
        vec![self.probes.id()]
    }

    fn retry(&self) -> Retry {
        self.patience
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let not_asked = || StepError::new("the pods of the check are not there");
        let probes = self.probes.get().ok_or_else(not_asked)?;
        let asker = probes.askers.get(&self.node).ok_or_else(not_asked)?;
        if let Err(why) = asker {
            return Err(
                StepError::new(format!("a pod on {} does not run: {why}", self.node)).with_hint(
                    "on the node: journalctl -u kubelet -n 50; crictl ps -a; is the network plugin ready?",
                ),
            );
        }
        let nodes = &self.pods.nodes;
        let at = nodes.iter().position(|node| *node == self.node);
        let at = at.unwrap_or_default();
        let questions = self.questions(at, probes);
        let script = Command::script(script(at, &questions));
        let output = must(cx, "ask through the apiserver", script).await?;
        let text = output.text();
        let mut lines = text.lines();
        let mut troubles = Vec::new();
        let mut silent = Silent {
            nodes: vec![self.node.as_str()],
            dns: false,
        };
        for question in &questions {
            if let Some(trouble) = trouble(question, lines.next()) {
                troubles.push(trouble);
                silent.nodes.extend(question.node.as_deref());
                silent.dns |= question.name == self.known_name;
            }
        }
        if !troubles.is_empty() {
            let causes = likely(cx, &silent, &self.obstacles).await;
            troubles.extend(causes.iter().map(|cause| format!("likely cause: {cause}")));
        }
        all_well(&troubles).map_err(|error| {
            error.with_hint(
                "between the nodes: are the routes (or the tunnel) of the pods' network there, and does a firewall let \
                 them pass? services: kube-proxy's log; DNS: kubectl -n kube-system get pods -l k8s-app=kube-dns",
            )
        })?;
        let pods = questions.len() - 2;
        cx.progress.seen(
            format!(
                "{}, a service and the cluster's DNS answer",
                count(pods as u64, "pod")
            ),
            None,
        );
        Ok(State::Satisfied)
    }
}
