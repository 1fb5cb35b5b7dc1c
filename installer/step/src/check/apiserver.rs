use async_trait::async_trait;
use engine::{Cx, Question, Retry, State, StepError};
use host::Command;

use super::count;
use crate::kube::kubectl::{ask_kubectl, kubectl};

/// One apiserver, asked on its own master, is ready with everything that it checks itself: etcd is one of it.
pub struct ProveApiserver {
    /// `https://10.0.0.1:6443`
    pub server: String,
    pub patience: Retry,
}

const READY: [&str; 4] = ["--request-timeout=10s", "get", "--raw", "/readyz?verbose"];

/// What a master answers with success while an apiserver serves it.
#[must_use]
pub fn api_answers() -> Command {
    kubectl(&READY).as_root()
}

#[async_trait]
impl Question for ProveApiserver {
    fn id(&self) -> String {
        "prove apiserver".to_owned()
    }

    fn describe(&self) -> String {
        "the apiserver is ready".to_owned()
    }

    fn retry(&self) -> Retry {
        self.patience
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let server = format!("--server={}", self.server);
        let output = ask_kubectl(cx, &[&[server.as_str()][..], &READY].concat()).await?;
        if !output.ok() {
            // kubectl quotes the apiserver's answer, line breaks and all.
            let words = output.last_words().replace("\\n", "\n");
            let failed: Vec<&str> = words.lines().filter(|line| line.contains("[-]")).collect();
            let why = if failed.is_empty() {
                words.clone()
            } else {
                failed.join("\n")
            };
            return Err(
                StepError::passing(format!("{} is not ready: {why}", self.server)).with_hint(
                    "on the master: crictl ps -a --name kube-apiserver, or systemctl status kube-apiserver; its log says more",
                ),
            );
        }
        let checks = output.text().matches("[+]").count();
        let etcd = if output.text().contains("[+]etcd") {
            ", etcd among them"
        } else {
            ""
        };
        cx.progress.seen(
            format!(
                "{}: {} passed{etcd}",
                self.server,
                count(checks as u64, "check")
            ),
            None,
        );
        Ok(State::Satisfied)
    }
}
