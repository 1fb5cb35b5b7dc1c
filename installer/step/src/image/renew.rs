use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};

use crate::KnownImage;
use crate::image::import::listed;
use crate::image::pull_sandbox::{ctr, pull};
use crate::shell::{ask, refused};

/// Has a node pull anew what it holds of an earlier build: a tag that is there is not asked for again by anybody, and pods
/// would start from the old image for ever. What the node does not hold is left to whoever needs it. To pull twice is
/// harmless, and a pull that was killed is begun again.
pub struct RenewImages {
    pub images: Vec<KnownImage>,
    /// Where containerd learns which registry to ask.
    pub hosts_dir: Utf8PathBuf,
    /// Full once the site's registry holds what is pulled.
    pub pushed: Slot<()>,
}

/// What a shell answers where there is no such program.
const NO_PROGRAM: u32 = 127;

impl RenewImages {
    /// The images that the node has another build of.
    async fn older(&self, cx: &Cx) -> Result<Vec<&KnownImage>, StepError> {
        let output = ask(cx, ctr(&["ls"])).await?;
        if output.status == NO_PROGRAM {
            return Ok(Vec::new());
        }
        if !output.ok() {
            return Err(refused("list the images", &output));
        }
        let there = listed(&output.text());
        let is_older = |image: &&KnownImage| {
            let found = there.get(&image.reference);
            found.is_some_and(|found| !image.digests.contains(&found.digest))
        };
        Ok(self.images.iter().filter(is_older).collect())
    }
}

#[async_trait]
impl Step for RenewImages {
    fn id(&self) -> String {
        "renew images".to_owned()
    }

    fn describe(&self) -> String {
        "pull what was built again".to_owned()
    }

    fn inputs(&self) -> String {
        let line = |image: &KnownImage| format!("{} {}", image.reference, image.digests.join(" "));
        self.images.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn takes(&self) -> Vec<SlotId> {
        vec![self.pushed.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        Ok(match self.older(cx).await?.as_slice() {
            [] => State::Satisfied,
            [image] => State::needed(format!("{} is another build of it", image.reference)),
            [image, rest @ ..] => State::needed(format!(
                "{} and {} more are other builds of them",
                image.reference,
                rest.len()
            )),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        for image in self.older(cx).await? {
            pull(cx, &image.reference, &self.hosts_dir).await?;
        }
        Ok(())
    }

    /// They go with the runtime's data.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
