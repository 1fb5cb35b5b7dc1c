use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Asks, Cx, Data, Slot, SlotId, State, Step, StepError};
use host::Command;

use crate::KnownImage;
use crate::image::import::{PINNED, listed};
use crate::shell::{ask, must, refused};

/// Has a node's containerd pull the sandbox image by the name that the world knows it by, and pins it: every pod needs
/// it, and the kubelet's garbage collection would delete what nobody can fetch again. That the pull succeeds proves the
/// way to the site's registry.
pub struct PullSandboxImage {
    pub image: KnownImage,
    /// Where containerd learns which registry to ask.
    pub hosts_dir: Utf8PathBuf,
    /// Full once the site's registry holds what is pulled; none where the site has no registry.
    pub pushed: Option<Slot<()>>,
}

const SLOW_DISK: Duration = Duration::from_mins(10);

pub(crate) fn ctr(arguments: &[&str]) -> Command {
    let ctr = ["/usr/local/bin/ctr", "--namespace", "k8s.io", "images"];
    Command::new(ctr.iter().chain(arguments))
}

/// What a registry that gives tokens for a login says to ctr, which knows nothing of the logins in the runtime's own settings.
const REFUSALS: &[&str] = &["401 ", "403 ", "authorization failed", "insufficient_scope"];

/// Has containerd pull an image by the name that the world knows it by.
pub(crate) async fn pull(cx: &Cx, reference: &str, hosts_dir: &Utf8Path) -> Result<(), StepError> {
    let pull = ctr(&["pull", "--hosts-dir", hosts_dir.as_str(), reference]);
    let mut output = ask(cx, pull.timeout(SLOW_DISK)).await?;
    if REFUSALS
        .iter()
        .any(|words| output.last_words().contains(words))
    {
        let by_cri = Command::new(["/usr/local/bin/crictl", "pull", reference]);
        output = ask(cx, by_cri.timeout(SLOW_DISK)).await?;
    }
    if output.ok() {
        return Ok(());
    }
    Err(
        refused(&format!("pull {reference}"), &output).with_hint(format!(
            "on the node: cat {hosts_dir}/*/hosts.toml; journalctl -u containerd"
        )),
    )
}

#[async_trait]
impl Step for PullSandboxImage {
    fn id(&self) -> String {
        format!("pull {}", self.image.reference)
    }

    fn describe(&self) -> String {
        format!("pull and pin {}", self.image.reference)
    }

    fn inputs(&self) -> String {
        self.image.digests.join("\n")
    }

    fn takes(&self) -> Vec<SlotId> {
        self.pushed.iter().map(Slot::id).collect()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let named = format!("name=={}", self.image.reference);
        let output = ask(cx, ctr(&["ls", &named])).await?;
        let there = listed(&output.text());
        Ok(match there.get(&self.image.reference) {
            None => State::needed("is not on the node"),
            Some(found) if !self.image.digests.contains(&found.digest) => {
                State::needed("is another build of it")
            }
            Some(found) if !found.pinned => State::needed("is not pinned"),
            Some(_) => State::Satisfied,
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let reference = &self.image.reference;
        pull(cx, reference, &self.hosts_dir).await?;
        must(cx, "pin the image", ctr(&["label", reference, PINNED])).await?;
        Ok(())
    }

    /// It goes with the runtime's data.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
