use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};

use crate::RemoveLocal;
use crate::local_file::{self, blocking};
use crate::preflight::MARKER;
use crate::system::recognise_host::Mark;

/// Refuses to go on with a host that was taken out of the cluster as dead, and is back as it was: what it has is of then. A
/// machine that was set up anew in its place is another one, and the note of the one before goes.
pub struct RecogniseReturned {
    pub cluster: String,
    pub host: String,
    /// On the operator's machine: is there where the host was taken out without being reached.
    pub note: Utf8PathBuf,
}

impl RecogniseReturned {
    async fn look(&self, cx: &Cx) -> Result<State, StepError> {
        let mark = Mark::of(cx).await?;
        let note = self.note.clone();
        let noted = blocking(move || Ok::<_, StepError>(local_file::read(&note)?)).await?;
        if noted.is_none() {
            return Ok(State::Satisfied);
        }
        if mark == Mark::Nothing {
            return Ok(State::needed(
                "is another machine than the one that was taken out",
            ));
        }
        let host = &self.host;
        Err(StepError::new(format!(
            "{host} is no member of the cluster '{}': it was taken out while it was down, and holds what it had then ({MARKER})",
            self.cluster
        ))
        .with_hint(format!(
            "kubexm delete node {host} -f CONFIG gives it back as it was before; then it can be added again"
        )))
    }
}

#[async_trait]
impl Step for RecogniseReturned {
    fn id(&self) -> String {
        "recognise one that returned".to_owned()
    }

    fn describe(&self) -> String {
        "look whether the host was taken out of the cluster".to_owned()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.look(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let paths = vec![self.note.clone()];
        let title = format!("forget that {} was taken out", self.host);
        RemoveLocal { title, paths }.apply(cx).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// The same question where nothing is to be changed.
pub struct ProveMember(pub RecogniseReturned);

#[async_trait]
impl Step for ProveMember {
    fn id(&self) -> String {
        "prove that it was not taken out".to_owned()
    }

    fn describe(&self) -> String {
        "the host was not taken out of the cluster".to_owned()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.0.look(cx).await.map(|_| State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    #[tokio::test]
    async fn one_that_returned_is_told_and_another_machine_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let note = camino::Utf8Path::from_path(dir.path())
            .unwrap()
            .join("w1.yaml");
        let step = RecogniseReturned {
            cluster: "demo".to_owned(),
            host: "w1".to_owned(),
            note: note.clone(),
        };
        let cx = |host: FakeHost| Cx::new(Arc::new(host), Progress::unseen());
        let bare = || FakeHost::new("w1");
        let marked = || bare().with_file(MARKER, "demo\n", 0o644);
        assert_eq!(step.check(&cx(marked())).await.unwrap(), State::Satisfied);
        std::fs::write(&note, "kind: Cluster\n").unwrap();
        let error = step.check(&cx(marked())).await.unwrap_err();
        insta::assert_snapshot!(error, @"w1 is no member of the cluster 'demo': it was taken out while it was down, and holds what it had then (/etc/kubexm/cluster)");
        insta::assert_snapshot!(error.hint().unwrap(), @"kubexm delete node w1 -f CONFIG gives it back as it was before; then it can be added again");
        assert_ne!(step.check(&cx(bare())).await.unwrap(), State::Satisfied);
        step.apply(&cx(bare())).await.unwrap();
        assert!(!note.exists());
    }
}
