use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, SlotId, State, Step, StepError};

use crate::Content;
use crate::kube::kubectl::{ask_kubectl_with, must_kubectl_with};

/// Has the cluster hold these objects, through kubectl on a master. Fields that nobody but others set stay theirs.
pub struct ApplyManifest {
    /// What the objects are to a person: `coredns`.
    pub name: String,
    /// YAML documents.
    pub content: Content,
}

const MANAGER: &str = "--field-manager=kubexm";
/// kubectl reads an object twice. A controller that wrote to it in between makes a difference, which is none the next time.
const ASKS: u32 = 5;

/// Without the names of kubectl's temporary files and their times.
fn difference(said: &str) -> String {
    let named = |line: &&str| {
        ["diff ", "--- ", "+++ "]
            .iter()
            .any(|head| line.starts_with(head))
    };
    let lines = said.lines().filter(|line| !named(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[async_trait]
impl Step for ApplyManifest {
    fn id(&self) -> String {
        format!("apply {}", self.name)
    }

    fn describe(&self) -> String {
        format!("apply {} to the cluster", self.name)
    }

    fn inputs(&self) -> String {
        self.content.inputs()
    }

    fn takes(&self) -> Vec<SlotId> {
        self.content.takes()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let diff = [
            "diff",
            "--server-side",
            "--force-conflicts",
            MANAGER,
            "--filename",
            "-",
        ];
        let mut before = None;
        for _ in 0..ASKS {
            let output = ask_kubectl_with(cx, &diff, self.content.bytes()?).await?;
            match output.status {
                0 => return Ok(State::Satisfied),
                1 => {}
                _ => return Ok(State::needed(output.last_words())),
            }
            let now = Some(difference(&output.text()));
            if now == before {
                break;
            }
            before = now;
        }
        Ok(State::needed("differs"))
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let apply = [
            "apply",
            "--server-side",
            "--force-conflicts",
            MANAGER,
            "--filename",
            "-",
        ];
        let trying = format!("apply {}", self.name);
        must_kubectl_with(cx, &trying, &apply, self.content.bytes()?)
            .await
            .map(drop)
    }

    /// Objects go with the cluster's store.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::Output;
    use host::fake::FakeHost;

    use super::*;

    /// What a check finds where kubectl tells these differences one after another, and then none.
    async fn found(differences: &[&str]) -> (State, usize) {
        let mut left: Vec<String> = differences.iter().rev().map(ToString::to_string).collect();
        let host = Arc::new(FakeHost::new("m1").on_command(move |_, _| {
            let difference = left.pop();
            Some(Ok(Output {
                status: u32::from(difference.is_some()),
                stdout: difference.unwrap_or_default().into(),
                stderr: Vec::new(),
            }))
        }));
        let cx = Cx::new(host.clone(), Progress::unseen());
        let step = ApplyManifest {
            name: "coredns".into(),
            content: Content::Text("kind: Deployment\n".into()),
        };
        let state = step.check(&cx).await.unwrap();
        (state, host.transcript().matches("--server-side").count())
    }

    #[tokio::test]
    async fn a_difference_is_one_if_it_is_there_twice() {
        assert_eq!(found(&[]).await, (State::Satisfied, 1));
        let own = |at: &str| {
            format!(
                "diff -u -N /tmp/LIVE-{at} /tmp/MERGED-{at}\n--- {at}\n+++ {at}\n-replicas: 1\n+replicas: 2\n"
            )
        };
        let (first, second) = (own("1"), own("2"));
        assert_eq!(
            found(&[&first, &second]).await,
            (State::needed("differs"), 2)
        );
        let passing = "+    deployment.kubernetes.io/revision: 1\n";
        assert_eq!(found(&[passing]).await, (State::Satisfied, 2));
        assert_eq!(
            found(&[passing, &first, &second]).await,
            (State::needed("differs"), 3)
        );
    }
}
