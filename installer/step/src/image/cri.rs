use artifact::full_reference;
use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use host::Command;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

use crate::KnownImage;
use crate::image::name::SiteNames;
use crate::shell::{ask, must, refused};

/// Has a node pull images through the runtime's own interface, or by docker. That the pull succeeds proves the way to the site's
/// registry. To pull twice is harmless, and a pull that was killed is begun again.
pub struct PullImages {
    pub images: Vec<KnownImage>,
    pub by: Puller,
    pub scope: PullScope,
    /// Full once the site's registry holds what is pulled.
    pub pushed: Option<Slot<()>>,
}

/// Who pulls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Puller {
    /// The runtime, which knows where images of the world are in the site.
    Runtime,
    /// docker, which does not: an image comes by its name in the site's registry, and gets the one that the world knows.
    Docker {
        names: SiteNames,
        /// The directory that holds the login.
        config: Utf8PathBuf,
    },
}

/// Of which images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullScope {
    /// Of all.
    All,
    /// Of those that the node has an earlier build of: a tag that is there is not asked for again by anybody.
    Earlier,
}

const CRICTL: &str = "/usr/local/bin/crictl";
const SLOW_DISK: Duration = Duration::from_mins(10);
/// What a shell answers where there is no such program.
const NO_PROGRAM: u32 = 127;

#[derive(Deserialize)]
struct Images {
    images: Vec<Image>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Image {
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
}

impl Image {
    /// docker tells `busybox:1.37` of what is `docker.io/library/busybox:1.37`.
    fn is_named(&self, reference: &str) -> bool {
        let mut tags = self.repo_tags.iter();
        tags.any(|tag| full_reference(tag) == reference)
    }

    fn is(&self, image: &KnownImage) -> bool {
        let digests = self.repo_digests.iter();
        let mut digests = digests.filter_map(|name| Some(name.split_once('@')?.1));
        digests.any(|digest| image.digests.iter().any(|known| known == digest))
    }
}

impl PullImages {
    /// The images that are to be pulled.
    async fn lacking(&self, cx: &Cx) -> Result<Vec<&KnownImage>, StepError> {
        let list = Command::new([CRICTL, "images", "--output", "json"]);
        let output = ask(cx, list).await?;
        if output.status == NO_PROGRAM && self.scope == PullScope::Earlier {
            return Ok(Vec::new());
        }
        if !output.ok() {
            return Err(refused("list the images", &output));
        }
        let Images { images } = serde_json::from_slice(&output.stdout)
            .map_err(|error| StepError::new(format!("cannot read the list of images: {error}")))?;
        let lacks = |known: &&KnownImage| {
            let has = |it: &&Image| it.is_named(&known.reference);
            let mut named = images.iter().filter(has).peekable();
            match self.scope {
                PullScope::Earlier if named.peek().is_none() => false,
                // One that is named by its digest is what it is called.
                _ if known.reference.contains('@') => !images.iter().any(|it| it.is(known)),
                _ => !named.any(|it| it.is(known)),
            }
        };
        Ok(self.images.iter().filter(lacks).collect())
    }

    async fn pull(&self, cx: &Cx, reference: &str) -> Result<(), StepError> {
        let trying = format!("pull {reference}");
        match &self.by {
            Puller::Runtime => {
                let pull = Command::new([CRICTL, "pull", reference]).timeout(SLOW_DISK);
                let output = ask(cx, pull).await?;
                if output.ok() {
                    return Ok(());
                }
                Err(refused(&trying, &output).with_hint(
                    "on the node: cat /etc/containers/registries.conf.d/50-kubexm.conf; journalctl -u crio",
                ))
            }
            Puller::Docker { names, config } => {
                let there = names.of(reference);
                let docker = ["/usr/local/bin/docker", "--config", config.as_str()];
                let docker = |words: &[&str]| {
                    Command::new(docker.iter().chain(words).copied()).timeout(SLOW_DISK)
                };
                let output = ask(cx, docker(&["pull", "--quiet", &there])).await?;
                if !output.ok() {
                    return Err(refused(&trying, &output)
                        .with_hint("on the node: ls /etc/docker/certs.d; journalctl -u docker"));
                }
                if reference.contains('@') {
                    return Ok(());
                }
                must(
                    cx,
                    &format!("name {there}"),
                    docker(&["tag", &there, reference]),
                )
                .await
                .map(drop)
            }
        }
    }
}

#[async_trait]
impl Step for PullImages {
    fn id(&self) -> String {
        match self.scope {
            PullScope::All => "pull images".to_owned(),
            PullScope::Earlier => "renew images".to_owned(),
        }
    }

    fn describe(&self) -> String {
        match (self.scope, self.images.as_slice()) {
            (PullScope::Earlier, _) => "pull what was built again".to_owned(),
            (PullScope::All, [image]) => format!("pull {}", image.reference),
            (PullScope::All, images) => format!("pull {} images", images.len()),
        }
    }

    fn inputs(&self) -> String {
        let line = |image: &KnownImage| format!("{} {}", image.reference, image.digests.join(" "));
        self.images.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn takes(&self) -> Vec<SlotId> {
        self.pushed.iter().map(Slot::id).collect()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let what = match self.scope {
            PullScope::All => "not on the node as the bundle has it",
            PullScope::Earlier => "another build of it",
        };
        Ok(match self.lacking(cx).await?.as_slice() {
            [] => State::Satisfied,
            [image] => State::needed(format!("{} is {what}", image.reference)),
            [image, rest @ ..] => State::needed(format!(
                "{} is {what}, and {} more",
                image.reference,
                rest.len()
            )),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        for image in self.lacking(cx).await? {
            self.pull(cx, &image.reference).await?;
        }
        Ok(())
    }

    /// They go with the runtime's data.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    const PAUSE: &str = "registry.k8s.io/pause:3.10";
    const HAS: &str = r#"{"images": [{"id": "1", "repoTags": ["registry.k8s.io/pause:3.10"], "repoDigests": ["hub.site:5000/registry.k8s.io/pause@sha256:aa"]}]}"#;

    fn step(by: Puller, scope: PullScope, digest: &str) -> PullImages {
        PullImages {
            images: vec![KnownImage {
                reference: PAUSE.to_owned(),
                digests: vec![digest.to_owned()],
            }],
            by,
            scope,
            pushed: None,
        }
    }

    fn docker() -> Puller {
        Puller::Docker {
            names: SiteNames {
                authority: "hub.site:5000".to_owned(),
                namespace: None,
            },
            config: "/etc/docker/kubexm".into(),
        }
    }

    async fn state(step: &PullImages, list: &str) -> State {
        let host = Arc::new(FakeHost::new("node1").on("crictl images", 0, list));
        let cx = Cx::new(host, Progress::unseen());
        step.check(&cx).await.unwrap()
    }

    #[tokio::test]
    async fn an_image_is_known_by_any_of_its_digests() {
        let all = |digest| step(Puller::Runtime, PullScope::All, digest);
        assert_eq!(state(&all("sha256:aa"), HAS).await, State::Satisfied);
        let other = format!("{PAUSE} is not on the node as the bundle has it");
        assert_eq!(
            state(&all("sha256:bb"), HAS).await,
            State::needed(other.clone())
        );
        let none = r#"{"images": []}"#;
        assert_eq!(state(&all("sha256:aa"), none).await, State::needed(other));
        let earlier = step(Puller::Runtime, PullScope::Earlier, "sha256:bb");
        assert_eq!(state(&earlier, none).await, State::Satisfied);
        let again = State::needed(format!("{PAUSE} is another build of it"));
        assert_eq!(state(&earlier, HAS).await, again);
    }

    #[tokio::test]
    async fn what_docker_calls_by_a_short_name_is_there() {
        let list = r#"{"images": [{"id": "1", "repoTags": ["busybox:1.37"], "repoDigests": ["hub.site:5000/docker.io/library/busybox@sha256:aa"]}]}"#;
        let mut pull = step(docker(), PullScope::All, "sha256:aa");
        pull.images[0].reference = "docker.io/library/busybox:1.37".to_owned();
        assert_eq!(state(&pull, list).await, State::Satisfied);
    }

    #[tokio::test]
    async fn docker_gives_an_image_the_name_that_the_world_knows() {
        let none = r#"{"images": []}"#;
        let host = Arc::new(FakeHost::new("node1").on("crictl images", 0, none));
        let cx = Cx::new(host.clone(), Progress::unseen());
        let pull = step(docker(), PullScope::All, "sha256:aa");
        pull.apply(&cx).await.unwrap();
        let done = host.transcript();
        let there = "hub.site:5000/registry.k8s.io/pause:3.10";
        for wanted in [
            format!("docker --config /etc/docker/kubexm pull --quiet {there}"),
            format!("docker --config /etc/docker/kubexm tag {there} {PAUSE}"),
        ] {
            assert!(done.contains(&wanted), "{done}");
        }
    }
}
