use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, Slot, SlotId, State, Step, StepError};
use host::Command;

use crate::shell::{ask, must, refused};

/// Has a node's containerd pull the sandbox image by the name that the world knows it by, and pins it: every pod needs
/// it, and the kubelet's garbage collection would delete what nobody can fetch again. That the pull succeeds proves the
/// way to the site's registry.
pub struct PullSandboxImage {
    pub reference: String,
    /// Where containerd learns which registry to ask.
    pub hosts_dir: Utf8PathBuf,
    /// Full once the site's registry holds what is pulled; none where the site has no registry.
    pub pushed: Option<Slot<()>>,
}

const PINNED: &str = "io.cri-containerd.pinned=pinned";
const SLOW_DISK: Duration = Duration::from_mins(10);

fn ctr(arguments: &[&str]) -> Command {
    let ctr = ["/usr/local/bin/ctr", "--namespace", "k8s.io", "images"];
    Command::new(ctr.iter().chain(arguments))
}

#[async_trait]
impl Step for PullSandboxImage {
    fn id(&self) -> String {
        format!("pull {}", self.reference)
    }

    fn describe(&self) -> String {
        format!("pull and pin {}", self.reference)
    }

    fn takes(&self) -> Vec<SlotId> {
        self.pushed.iter().map(Slot::id).collect()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let named = format!("name=={}", self.reference);
        let listed = ask(cx, ctr(&["ls", &named])).await?;
        Ok(if !listed.text().contains(&self.reference) {
            State::needed("is not on the node")
        } else if !listed.text().contains(PINNED) {
            State::needed("is not pinned")
        } else {
            State::Satisfied
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let pull = ctr(&[
            "pull",
            "--hosts-dir",
            self.hosts_dir.as_str(),
            &self.reference,
        ]);
        let output = ask(cx, pull.timeout(SLOW_DISK)).await?;
        if !output.ok() {
            return Err(
                refused(&format!("pull {}", self.reference), &output).with_hint(format!(
                    "on the node: cat {}/*/hosts.toml; journalctl -u containerd",
                    self.hosts_dir
                )),
            );
        }
        must(
            cx,
            "pin the image",
            ctr(&["label", &self.reference, PINNED]),
        )
        .await?;
        Ok(())
    }

    /// It goes with the runtime's data.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
