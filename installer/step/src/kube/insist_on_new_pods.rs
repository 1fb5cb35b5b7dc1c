use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Question, State, Step, StepError};
use serde_json::json;

use super::kubectl::ask_kubectl_with;
use crate::check::guards_of_pods;

/// Sees that the cluster takes new pods, before a node is emptied: what leaves it could come up nowhere. Nothing is made for it.
pub struct InsistOnNewPods {
    pub node: String,
    /// How long a webhook's own pods may take to come back from the node before.
    pub patience: Duration,
}

/// The same ahead of a node's turn, asked by the host that asks the cluster.
pub struct InsistAhead {
    pub insist: InsistOnNewPods,
    pub by: &'static str,
}

const ASK_EVERY: Duration = Duration::from_secs(5);
/// What the apiserver says where it must ask somebody and cannot. Who is asked and says no is at work.
const UNASKED: &str = "failed calling webhook";

/// Why no new pod is taken.
async fn in_the_way(cx: &Cx) -> Result<Option<String>, StepError> {
    let guards = guards_of_pods(cx).await?;
    let mut mute = guards.iter().filter_map(|guard| {
        let why = guard.mute.as_ref()?;
        Some(format!(
            "webhook {} ({}) does not answer: {why}",
            guard.name, guard.configuration
        ))
    });
    if let Some(first) = mute.next() {
        return Ok(Some(
            mute.fold(first, |told, line| format!("{told}; {line}")),
        ));
    }
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "kubexm-dry-run-", "namespace": "default"},
        "spec": {"containers": [{"name": "none", "image": "none"}]},
    });
    let create = [
        "create",
        "--dry-run=server",
        "--request-timeout=40s",
        "--filename",
        "-",
    ];
    let output = ask_kubectl_with(cx, &create, pod.to_string().into()).await?;
    let words = output.last_words();
    Ok((!output.ok() && words.contains(UNASKED)).then_some(words))
}

#[async_trait]
impl Question for InsistOnNewPods {
    fn id(&self) -> String {
        format!("insist on new pods before {}", self.node)
    }

    fn describe(&self) -> String {
        format!(
            "see that the cluster takes new pods before {} is emptied",
            self.node
        )
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let look = || async {
            Ok(match in_the_way(cx).await? {
                Some(why) => State::needed(why),
                None => State::Satisfied,
            })
        };
        match cx.wait_until(self.patience, ASK_EVERY, look).await? {
            State::Satisfied => Ok(State::Satisfied),
            State::Needed(why) => Err(StepError::new(format!(
                "the cluster takes no new pod, so {} is not emptied: {why}",
                self.node
            ))
            .with_hint(
                "bring the webhook's server up, or remove its configuration (kubectl delete KIND NAME), and run the same \
                 command again; nothing has been touched on the node",
            )),
        }
    }
}

#[async_trait]
impl Step for InsistAhead {
    fn id(&self) -> String {
        Step::id(&self.insist)
    }

    fn describe(&self) -> String {
        Step::describe(&self.insist)
    }

    fn done_on(&self) -> Option<&'static str> {
        Some(self.by)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        Step::check(&self.insist, cx).await
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: engine::Data) -> Option<std::sync::Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event::Progress;
    use host::fake::FakeHost;
    use host::{Command, Output};

    use super::*;

    const WEBHOOK: &str = r#"{"items": [{"kind": "ValidatingWebhookConfiguration", "metadata": {"name": "policy"},
        "webhooks": [{"name": "pods.policy.example", "failurePolicy": "Fail",
            "clientConfig": {"service": {"namespace": "policy", "name": "guard"}},
            "rules": [{"apiGroups": [""], "operations": ["CREATE"], "resources": ["pods"]}]}]}]}"#;
    const SERVICE: &str = r#"{"spec": {"type": "ClusterIP"}}"#;

    /// What is said before w2 is emptied, where the service has these endpoints and a pod is answered so.
    async fn said(endpoints: &str, created: (u32, &'static str)) -> String {
        let slices = format!(r#"{{"items": [{{"endpoints": [{endpoints}]}}]}}"#);
        let (status, words) = created;
        let host = FakeHost::new("m1")
            .on("webhookconfigurations", 0, WEBHOOK)
            .on("service --namespace", 0, SERVICE)
            .on("endpointslices", 0, slices)
            .on_command(move |command: &Command, _| {
                let output = Output {
                    status,
                    stdout: Vec::new(),
                    stderr: words.into(),
                };
                command
                    .text()
                    .contains("--dry-run=server")
                    .then_some(Ok(output))
            });
        let cx = Cx::new(Arc::new(host), Progress::unseen());
        let insist = InsistOnNewPods {
            node: "w2".to_owned(),
            patience: Duration::ZERO,
        };
        match Question::check(&insist, &cx).await {
            Ok(_) => "may be emptied".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn no_node_is_emptied_while_no_pod_is_taken() {
        let ready = r#"{"conditions": {"ready": true}, "nodeName": "w1"}"#;
        insta::assert_snapshot!(said("", (0, "")).await, @"the cluster takes no new pod, so w2 is not emptied: webhook pods.policy.example (validatingwebhookconfiguration policy) does not answer: service policy/guard has no ready endpoint");
        assert_eq!(said(ready, (0, "")).await, "may be emptied");
        let unasked = "Error from server (InternalError): error when creating \"STDIN\": Internal error occurred: failed calling \
                       webhook \"pods.policy.example\": failed to call webhook: Post \"https://guard.policy.svc:443/\": EOF";
        let told = said(ready, (1, unasked)).await;
        assert!(
            told.contains("so w2 is not emptied: ") && told.contains("guard.policy.svc"),
            "{told}"
        );
        // It has answered: the policy is its own.
        let denied =
            "Error from server: admission webhook \"pods.policy.example\" denied the request: no";
        assert_eq!(said(ready, (1, denied)).await, "may be emptied");
    }
}
