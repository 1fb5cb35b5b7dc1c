use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Retry, State, Step, StepError};
use host::Command;

use crate::shell::{ask, refused};

/// Has a node's runtime pull an image by the name that the world knows it by.
pub struct PullImage {
    pub reference: String,
}

const SLOW_DISK: Duration = Duration::from_mins(10);

#[async_trait]
impl Step for PullImage {
    fn id(&self) -> String {
        format!("pull {}", self.reference)
    }

    fn describe(&self) -> String {
        format!("pull {}", self.reference)
    }

    fn retry(&self) -> Retry {
        Retry::NETWORK
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let inspect = Command::new(["/usr/local/bin/crictl", "inspecti", "-q", &self.reference]);
        let output = ask(cx, inspect).await?;
        Ok(if output.ok() { State::Satisfied } else { State::needed("is not on the node") })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let pull = Command::new(["/usr/local/bin/crictl", "pull", &self.reference]);
        let output = ask(cx, pull.timeout(SLOW_DISK)).await?;
        if output.ok() {
            return Ok(());
        }
        Err(refused(&format!("pull {}", self.reference), &output).with_hint(
            "on the node: cat /etc/containerd/certs.d/*/hosts.toml; journalctl -u containerd",
        ))
    }
}
