use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;
use jiff::Timestamp;
use serde::Deserialize;

use crate::kubeadm::static_pods::{TOLD_OF, container};
use crate::shell::ask;

/// Waits, when the manifest of a static pod has changed, until its container was started since then and has stayed up for a
/// while.
pub struct AwaitStaticPod {
    /// The container's name.
    pub name: &'static str,
    pub manifest: Utf8PathBuf,
}

/// How long it must be up.
const STEADY_SECONDS: i64 = 10;
const PATIENCE: Duration = Duration::from_mins(3);
const ASK_EVERY: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inspected {
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    started_at: Timestamp,
}

/// From when the manifest is, the host's time now, and how the runtime tells of the running container, or why there is none.
fn state(text: &str) -> Option<State> {
    let mut parts = text.splitn(3, '\n');
    let made: i64 = parts.next()?.trim().parse().ok()?;
    let now: i64 = parts.next()?.trim().parse().ok()?;
    let inspected = parts.next().unwrap_or_default().trim();
    if !inspected.starts_with('{') {
        return Some(State::needed(inspected));
    }
    let inspected: Inspected = serde_json::from_str(inspected).ok()?;
    let started = inspected.status.started_at.as_second();
    Some(if started < made {
        State::needed("its container is the one of before")
    } else if now - started < STEADY_SECONDS {
        State::needed("its container has only just been started")
    } else {
        State::Satisfied
    })
}

impl AwaitStaticPod {
    fn script(&self) -> String {
        format!(
            "export PATH=\"/usr/local/bin:$PATH\"\n{TOLD_OF}\
             stat -c %Y {} && date +%s && id=$({}); \
             if [ -n \"$id\" ]; then crictl inspect \"$id\"; else told_of {}; fi",
            host::quote(self.manifest.as_str()),
            container(self.name),
            host::quote(self.name)
        )
    }
}

#[async_trait]
impl Step for AwaitStaticPod {
    fn id(&self) -> String {
        format!("await {}", self.name)
    }

    fn describe(&self) -> String {
        format!("wait until {} runs anew", self.name)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let output = ask(cx, Command::script(self.script())).await?;
        let said = state(&output.text());
        Ok(said.unwrap_or_else(|| State::needed(output.last_words())))
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || self.check(cx);
        let State::Needed(reason) = cx.wait_until(PATIENCE, ASK_EVERY, look).await? else {
            return Ok(());
        };
        let error = format!("{} does not run with its new manifest: {reason}", self.name);
        Err(StepError::new(error).with_hint(format!(
            "on the host: crictl ps -a; crictl logs CONTAINER of {}",
            self.name
        )))
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_must_be_a_new_one_and_stay() {
        let inspected =
            r#"{"status": {"startedAt": "2026-01-01T00:00:00.5Z", "state": "CONTAINER_RUNNING"}}"#;
        let of = |made: i64, now: i64, inspected: &str| {
            state(&format!("{made}\n{now}\n{inspected}")).unwrap()
        };
        let started = 1_767_225_600;
        let new = of(started - 5, started + 30, inspected);
        assert_eq!(new, State::Satisfied);
        let before = of(started + 5, started + 30, inspected);
        assert_eq!(before, State::needed("its container is the one of before"));
        let young = of(started - 5, started + 3, inspected);
        assert_eq!(
            young,
            State::needed("its container has only just been started")
        );
        let told = "kube-vip has no container yet\n  the kubelet: Failed to pull image";
        let gone = of(started - 5, started + 3, told);
        assert_eq!(gone, State::needed(told));
    }

    #[test]
    fn a_shell_reads_the_script() {
        let step = AwaitStaticPod {
            name: "kube-vip",
            manifest: "/etc/kubernetes/manifests/kube-vip.yaml".into(),
        };
        crate::shell::reads(&step.script());
    }
}
