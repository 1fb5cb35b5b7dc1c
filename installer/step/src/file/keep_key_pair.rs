use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8Path;
use engine::{Cx, Data, State, Step, StepError};

use crate::{UploadKeyPair, local_file};

/// Keeps a pair on a host for whoever loses the operator's machine. Where that one has no key any more there is nothing to keep,
/// and what the host has stays.
pub struct KeepKeyPair(pub UploadKeyPair);

#[async_trait]
impl Step for KeepKeyPair {
    fn id(&self) -> String {
        self.0.id()
    }

    fn describe(&self) -> String {
        format!("keep {}.crt and .key", self.0.to)
    }

    fn inputs(&self) -> String {
        self.0.inputs()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        if local_file::read(&self.0.from.key())?.is_none() {
            return Ok(State::Satisfied);
        }
        self.0.check(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.0.apply(cx).await
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        self.0.counterpart(data)
    }

    fn origin(&self, below: &Utf8Path) -> Option<Arc<dyn Step>> {
        self.0.origin(below)
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::Owner;
    use host::fake::FakeHost;

    use super::*;
    use crate::KeyPairFiles;

    #[tokio::test]
    async fn a_key_that_the_operator_has_lost_is_not_taken_from_the_masters() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(temp.path()).unwrap();
        let cx = Cx::new(Arc::new(FakeHost::new("m1")), Progress::unseen());
        let keep = KeepKeyPair(UploadKeyPair {
            from: KeyPairFiles::at(dir.join("ca")),
            to: "/etc/kubexm/authorities/etcd-ca".into(),
            owner: Owner::root(),
        });
        std::fs::write(dir.join("ca.crt"), "A").unwrap();
        assert_eq!(keep.check(&cx).await.unwrap(), State::Satisfied);
        std::fs::write(dir.join("ca.key"), "K").unwrap();
        assert!(matches!(keep.check(&cx).await.unwrap(), State::Needed(_)));
        keep.apply(&cx).await.unwrap();
    }
}
