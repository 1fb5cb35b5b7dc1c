use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::ResetNode;
use crate::kube::kubectl;
use crate::service::run::with_last_lines;
use crate::shell::ask;

/// Waits until a kubelet has made its host a node of the cluster: what follows labels the node or gives it a network. The
/// kubelet is asked for its own node, as nobody but itself. Taken back, Kubernetes goes off the host as a whole: what
/// kubelet and kube-proxy leave is in no file of the plan.
pub struct AwaitNode {
    pub name: String,
}

const PATIENCE: Duration = Duration::from_mins(3);
const ASK_EVERY: Duration = Duration::from_secs(1);
const KUBECTL: [&str; 4] = [
    "/usr/local/bin/kubectl",
    kubectl::CACHE,
    "--kubeconfig",
    "/etc/kubernetes/kubelet.conf",
];

/// So often systemd has started a kubelet anew within the wait.
const LOOP: u32 = 5;

/// How often systemd has started the kubelet anew, since somebody last did.
async fn restarts(cx: &Cx) -> Result<u32, StepError> {
    let show = [
        "systemctl",
        "show",
        "--property",
        "NRestarts",
        "kubelet.service",
    ];
    let told = ask(cx, Command::new(show)).await?.text();
    let number = told.trim().strip_prefix("NRestarts=");
    Ok(number.and_then(|number| number.parse().ok()).unwrap_or(0))
}

impl AwaitNode {
    /// Of a kubelet in a loop its own last words tell why; systemd's, which come after them, do not.
    async fn ends_again(&self, cx: &Cx, times: u32) -> Result<StepError, StepError> {
        let log = Command::script(
            "journalctl --no-pager --unit kubelet.service --identifier kubelet --lines 200 --output cat | \
             grep -E '^[EF][0-9]{4} |command failed|^Error:|unknown flag' | tail -n 1",
        );
        let words = ask(cx, log).await?.text();
        let why = match words.trim() {
            "" => "it leaves no word of its own".to_owned(),
            words => words.to_owned(),
        };
        Ok(StepError::new(format!(
            "the kubelet of {} ends again and again ({times} times): {why}",
            self.name
        ))
        .with_hint(
            "on the host: journalctl -u kubelet; what it is told is in /etc/kubernetes/kubelet.yaml: kubeletConfiguration and \
             kubeletArgs of the config go there",
        ))
    }
}

#[async_trait]
impl Step for AwaitNode {
    fn id(&self) -> String {
        format!("node {}", self.name)
    }

    fn describe(&self) -> String {
        format!("wait until {} is a node", self.name)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let get = ["get", "node", &self.name, "--output", "name"];
        let get = [&KUBECTL[..], &get, &["--request-timeout", "5s"]].concat();
        let output = ask(cx, Command::new(get)).await?;
        Ok(if output.ok() {
            State::Satisfied
        } else {
            State::needed(output.last_words())
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let before = restarts(cx).await?;
        let look = || async {
            let state = self.check(cx).await?;
            let again = restarts(cx).await?.saturating_sub(before);
            match state {
                // What ends again and again will do so for the rest of the time as well.
                State::Needed(_) if again >= LOOP => Err(self.ends_again(cx, again).await?),
                state => Ok(state),
            }
        };
        let State::Needed(reason) = cx.wait_until(PATIENCE, ASK_EVERY, look).await? else {
            return Ok(());
        };
        let error = format!("{} does not become a node: {reason}", self.name);
        Err(with_last_lines(cx, "kubelet.service", error).await)
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        Some(ResetNode { data: Vec::new() }.for_data(data))
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::Output;
    use host::fake::FakeHost;

    use super::*;

    #[tokio::test]
    async fn a_kubelet_in_a_loop_is_not_waited_for_and_says_why() {
        let words = "E1130 run.go:74] \"command failed\" err=\"failed to validate kubelet configuration\"\n";
        // Each look finds it started anew some times more.
        let mut restarts = 0;
        let host = FakeHost::new("node1")
            .on("get node", 1, "")
            .on("journalctl", 0, words)
            .on_command(move |command, _| {
                command.text().contains("NRestarts").then(|| {
                    restarts += 5;
                    Ok(Output {
                        status: 0,
                        stdout: format!("NRestarts={restarts}\n").into(),
                        stderr: Vec::new(),
                    })
                })
            });
        let cx = Cx::new(Arc::new(host), Progress::unseen());
        let step = AwaitNode {
            name: "node1".to_owned(),
        };
        let error = step.apply(&cx).await.unwrap_err();
        insta::assert_snapshot!(error, @r#"the kubelet of node1 ends again and again (5 times): E1130 run.go:74] "command failed" err="failed to validate kubelet configuration""#);
    }
}
