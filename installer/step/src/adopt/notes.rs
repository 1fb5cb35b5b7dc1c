use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Question, State, Step, StepError};

use crate::local_file;
use crate::preflight::KeptAuthority;

/// Notes on the operator's machine that a cluster of this authority is there: no other is begun.
pub struct NoteBegun {
    /// The authority's certificate.
    pub authority: Utf8PathBuf,
    pub note: Utf8PathBuf,
}

const TEXT: &str = "A cluster of these authorities was found when this directory was made from its hosts. kubexm begins no \
                    other where this one may be.\n";

#[async_trait]
impl Step for NoteBegun {
    fn id(&self) -> String {
        format!("note {}", self.note)
    }

    fn describe(&self) -> String {
        "note that the cluster is there".to_owned()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let (there, noted) = (
            local_file::read(&self.authority)?,
            local_file::read(&self.note)?,
        );
        Ok(match (there, noted) {
            (Some(_), None) => State::needed("is not noted"),
            _ => State::Satisfied,
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(local_file::write(&self.note, 0o600, TEXT.as_bytes())?)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// Refuses to go on where an authority was found and could not be fetched: another would be made in its place.
pub struct InsistOnAuthorities {
    pub kept: Vec<KeptAuthority>,
}

#[async_trait]
impl Question for InsistOnAuthorities {
    fn id(&self) -> String {
        "insist on authorities".to_owned()
    }

    fn describe(&self) -> String {
        "look whether all authorities are here".to_owned()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        for KeptAuthority { local, path } in &self.kept {
            if local_file::read(local)?.is_none() {
                return Err(StepError::new(format!(
                    "{path} was found, and could not be fetched: there is no {local}"
                ))
                .with_hint("run adopt again when the hosts answer"));
            }
        }
        Ok(State::Satisfied)
    }
}

/// Tells what no host has, and what that means.
pub struct TellLost {
    /// The file on the operator's machine that is missing then, and the sentence.
    pub losses: Vec<(Utf8PathBuf, String)>,
}

#[async_trait]
impl Question for TellLost {
    fn id(&self) -> String {
        "tell what is lost".to_owned()
    }

    fn describe(&self) -> String {
        "look for what no host has".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        for (path, means) in &self.losses {
            if local_file::read(path)?.is_none() {
                let warning = format!("{path} is on no host that could be asked: {means}");
                cx.progress.seen(format!("{path} is lost"), Some(warning));
            }
        }
        Ok(State::Satisfied)
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    #[tokio::test]
    async fn without_an_authority_nothing_is_made_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let (local, note) = (dir.join("ca.crt"), dir.join("founded"));
        let insist = InsistOnAuthorities {
            kept: vec![KeptAuthority {
                local: local.clone(),
                path: "/etc/etcd/pki/ca.crt".into(),
            }],
        };
        let begun = NoteBegun {
            authority: local.clone(),
            note: note.clone(),
        };
        let cx = Cx::new(Arc::new(FakeHost::new("(operator)")), Progress::unseen());
        let error = Step::check(&insist, &cx).await.unwrap_err().to_string();
        insta::assert_snapshot!(error.replace(dir.as_str(), "certs"), @"/etc/etcd/pki/ca.crt was found, and could not be fetched: there is no certs/ca.crt");
        assert_eq!(begun.check(&cx).await.unwrap(), State::Satisfied);
        std::fs::write(&local, "A").unwrap();
        assert_eq!(Step::check(&insist, &cx).await.unwrap(), State::Satisfied);
        assert!(matches!(begun.check(&cx).await.unwrap(), State::Needed(_)));
        begun.apply(&cx).await.unwrap();
        assert!(note.exists());
    }
}
