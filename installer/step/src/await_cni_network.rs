use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use crate::shell::ask;

/// Waits until a network plugin, which runs as a pod on every node, has given the container runtime its network.
pub struct AwaitCniNetwork {
    /// The file that the plugin writes when it is up.
    pub config: &'static str,
    pub plugin: &'static str,
}

/// The plugin's images are pulled on every node at the same time.
const PATIENCE: Duration = Duration::from_mins(10);
const ASK_EVERY: Duration = Duration::from_secs(2);

#[async_trait]
impl Step for AwaitCniNetwork {
    fn id(&self) -> String {
        format!("await {}", self.plugin)
    }

    fn describe(&self) -> String {
        format!("wait for {} on the node", self.plugin)
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let config = host::quote(self.config);
        let output = ask(cx, Command::script(format!("[ -s {config} ]"))).await?;
        Ok(if output.ok() {
            State::Satisfied
        } else {
            State::needed(format!("{} is not there", self.config))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || self.check(cx);
        if cx.wait_until(PATIENCE, ASK_EVERY, look).await? == State::Satisfied {
            return Ok(());
        }
        let seconds = PATIENCE.as_secs();
        let name = self.plugin;
        let error = format!(
            "{name} did not come up within {seconds} s: it has not written {}",
            self.config
        );
        Err(StepError::new(error).with_hint(format!(
            "on a master: kubectl get pods --all-namespaces --output wide | grep {name}"
        )))
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
