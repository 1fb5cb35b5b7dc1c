use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::{Command, FileAttrs, Source, quote};

use crate::image::archive::{ImageArchives, NodeImage, file_name};
use crate::shell::must;

/// Puts images of the tree into a node's containerd, where the site has no registry.
///
/// Each image for the node's architecture alone, under its original name, and pinned: the kubelet's garbage collection
/// would delete what nobody can fetch again. Idempotent: only what the node lacks is sent, image by image, and
/// nothing of the way there stays behind.
#[derive(Clone, Debug)]
pub struct ImportImages {
    pub archives: Arc<ImageArchives>,
    pub images: Vec<NodeImage>,
    pub containerd: Containerd,
    /// A directory of the node for what is on its way, for this step alone. It is removed afterwards.
    pub upload_dir: Utf8PathBuf,
}

/// How a node's containerd is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containerd {
    /// The path of `ctr`.
    pub ctr: Utf8PathBuf,
    pub socket: Utf8PathBuf,
}

/// Where the kubelet looks for images.
const NAMESPACE: &str = "k8s.io";
pub(crate) const PINNED: &str = "io.cri-containerd.pinned=pinned";
/// Unpacking a large image onto a slow disk.
const SLOW_DISK: Duration = Duration::from_mins(15);

impl ImportImages {
    fn ctr(&self, arguments: &[&str]) -> Command {
        let Containerd { ctr, socket } = &self.containerd;
        let start = [
            ctr.as_str(),
            "--address",
            socket.as_str(),
            "--namespace",
            NAMESPACE,
        ];
        Command::new(start.iter().chain(arguments))
    }

    /// The images that the node lacks.
    async fn missing(&self, cx: &Cx) -> Result<Vec<&NodeImage>, StepError> {
        let output = must(cx, "list the images", self.ctr(&["images", "ls"])).await?;
        let there = listed(&output.text());
        let is_there = |image: &NodeImage| {
            there
                .get(&image.reference)
                .is_some_and(|found| found.pinned && found.digest == image.manifest.oci())
        };
        Ok(self
            .images
            .iter()
            .filter(|image| !is_there(image))
            .collect())
    }

    async fn import(&self, cx: &Cx, image: &NodeImage) -> Result<(), StepError> {
        let archive = self.archives.of(image).await?;
        let there = self.upload_dir.join(file_name(image));
        let source = Source::File(archive.path().to_owned());
        cx.host
            .upload(&source, &there, &FileAttrs::root(0o600), &cx.progress)
            .await?;
        drop(archive);
        let import = self.ctr(&["images", "import", "--digests=false", there.as_str()]);
        let pin = self.ctr(&["images", "label", &image.reference, PINNED]);
        let remove = Command::new(["rm", "-f", "--", there.as_str()]);
        let script = format!(
            "{} >&2 && {} >/dev/null; status=$?; {}; exit $status",
            import.text(),
            pin.text(),
            remove.text()
        );
        let trying = format!("import {}", image.reference);
        must(cx, &trying, Command::script(script).timeout(SLOW_DISK)).await?;
        Ok(())
    }
}

#[async_trait]
impl Step for ImportImages {
    fn id(&self) -> String {
        "import images".to_owned()
    }

    fn describe(&self) -> String {
        match self.images.len() {
            1 => "import 1 image".to_owned(),
            count => format!("import {count} images"),
        }
    }

    fn inputs(&self) -> String {
        let line = |image: &NodeImage| format!("{}={}", image.reference, image.manifest);
        self.images.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.images.iter().map(|image| image.size).sum())
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let missing = self.missing(cx).await?;
        match missing.as_slice() {
            [] => {}
            [image] => return Ok(State::needed(format!("{} is not there", image.reference))),
            [image, rest @ ..] => {
                let more = rest.len();
                return Ok(State::needed(format!(
                    "{} and {more} more are not there",
                    image.reference
                )));
            }
        }
        let script = format!("test ! -e {} || echo left", quote(self.upload_dir.as_str()));
        let left = must(cx, "look for leftovers", Command::script(script)).await?;
        Ok(if left.text().is_empty() {
            State::Satisfied
        } else {
            State::needed("an interrupted upload was left behind")
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let missing = self.missing(cx).await?;
        let ahead: u64 = missing.iter().map(|image| image.size).sum();
        cx.progress
            .add(self.bytes().unwrap_or_default().saturating_sub(ahead));
        for image in missing {
            self.import(cx, image).await?;
        }
        let remove = Command::new(["rm", "-rf", "--", self.upload_dir.as_str()]);
        must(cx, &format!("remove {}", self.upload_dir), remove).await?;
        Ok(())
    }

    /// They go with the runtime's data.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

pub(crate) struct Listed {
    pub digest: String,
    pub pinned: bool,
}

/// Reads `ctr images ls`: REF TYPE DIGEST SIZE PLATFORMS LABELS, where the size is two words.
pub(crate) fn listed(table: &str) -> BTreeMap<String, Listed> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let labels = words.last()?;
            let found = Listed {
                digest: (*words.get(2)?).to_owned(),
                pinned: labels.split(',').any(|label| label == PINNED),
            };
            Some(((*words.first()?).to_owned(), found))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_images_is_read() {
        let table = "\
REF                         TYPE                                       DIGEST     SIZE      PLATFORMS   LABELS
registry.k8s.io/pause:3.10  application/vnd.oci.image.manifest.v1+json sha256:aa  314.2 KiB linux/amd64 io.cri-containerd.image=managed,io.cri-containerd.pinned=pinned
quay.io/a/b:1               application/vnd.oci.image.manifest.v1+json sha256:bb  1.0 B     linux/amd64 -
";
        let images = listed(table);
        let of = |name: &str| (images[name].digest.as_str(), images[name].pinned);
        assert_eq!(of("registry.k8s.io/pause:3.10"), ("sha256:aa", true));
        assert_eq!(of("quay.io/a/b:1"), ("sha256:bb", false));
    }
}
