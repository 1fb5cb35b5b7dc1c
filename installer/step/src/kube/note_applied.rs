use std::sync::Arc;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, State, Step, StepError, Trace};
use host::FileAttrs;

use crate::file::fetch::FetchFiles;
use crate::local_file::{self, blocking};
use crate::{Content, RemoveLocal, UploadFile};

/// Where a master keeps the config that its cluster was last made of.
pub const APPLIED_CONFIG: &str = "/etc/kubexm/config.yaml";
/// And what the bundle held that it was made from.
pub const APPLIED_CONTENTS: &str = "/etc/kubexm/bundle.json";

/// Notes on a host what was applied: for the day when the operator's machine is lost.
pub struct NoteOnHost {
    file: UploadFile,
    /// Where the operator's machine has the same.
    local: Utf8PathBuf,
}

impl NoteOnHost {
    #[must_use]
    pub fn new(path: &str, content: Content, local: Utf8PathBuf) -> Self {
        Self {
            file: UploadFile {
                path: path.into(),
                content,
                attrs: FileAttrs::root(0o600),
            },
            local,
        }
    }
}

#[async_trait]
impl Step for NoteOnHost {
    fn id(&self) -> String {
        self.file.id()
    }

    fn describe(&self) -> String {
        self.file.describe()
    }

    fn inputs(&self) -> String {
        self.file.inputs()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.file.check(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.file.apply(cx).await
    }

    fn trace(&self) -> Trace {
        Trace::Note
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        self.file.counterpart(data)
    }

    fn origin(&self, _: &Utf8Path) -> Option<Arc<dyn Step>> {
        let files = vec![(self.file.path.clone(), self.local.clone())];
        Some(Arc::new(FetchFiles { files }))
    }
}

/// The same on the operator's machine.
pub struct NoteLocally {
    pub path: Utf8PathBuf,
    pub content: Content,
}

impl NoteLocally {
    fn state(path: &Utf8Path, content: &Content) -> Result<State, StepError> {
        let Some(found) = local_file::read(path)? else {
            return Ok(State::needed("is not there"));
        };
        if let Content::Local(from) = content
            && !from.exists()
        {
            return Ok(State::needed("is not unpacked yet"));
        }
        Ok(if content.bytes()? == found {
            State::Satisfied
        } else {
            State::needed("differs")
        })
    }
}

#[async_trait]
impl Step for NoteLocally {
    fn id(&self) -> String {
        format!("note {}", self.path)
    }

    fn describe(&self) -> String {
        format!("write {}", self.path)
    }

    fn inputs(&self) -> String {
        self.content.inputs()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let (path, content) = (self.path.clone(), self.content.clone());
        blocking(move || Self::state(&path, &content)).await
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let (path, content) = (self.path.clone(), self.content.clone());
        blocking(move || {
            let bytes = content.bytes()?;
            Ok::<_, StepError>(local_file::write(&path, 0o600, &bytes)?)
        })
        .await
    }

    fn trace(&self) -> Trace {
        Trace::Note
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        let title = format!("remove {}", self.path);
        Some(RemoveLocal::step(title, [self.path.clone()]))
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    #[tokio::test]
    async fn what_was_applied_is_for_root_alone_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let local = Utf8Path::from_path(dir.path())
            .unwrap()
            .join("applied/config.yaml");
        let host = Arc::new(FakeHost::new("node1"));
        let cx = Cx::new(host.clone(), Progress::unseen());
        let content = Content::Text("kind: Cluster\n".to_owned());
        let note = NoteOnHost::new(APPLIED_CONFIG, content.clone(), local.clone());
        assert_eq!(
            note.trace(),
            Trace::Note,
            "a second run is as the first left it"
        );
        note.apply(&cx).await.unwrap();
        let file = &host.files()[Utf8Path::new(APPLIED_CONFIG)];
        assert_eq!(file.mode, 0o600);

        let fetch = note.origin(Utf8Path::new("/")).unwrap();
        assert_eq!(
            fetch.check(&cx).await.unwrap(),
            State::needed(format!("{local} is not here"))
        );
        fetch.apply(&cx).await.unwrap();
        assert_eq!(fetch.check(&cx).await.unwrap(), State::Satisfied);
        let same = NoteLocally {
            path: local,
            content,
        };
        assert_eq!(same.check(&cx).await.unwrap(), State::Satisfied);
        let removal = same.counterpart(Data::Keep).unwrap();
        removal.apply(&cx).await.unwrap();
        assert_eq!(
            same.check(&cx).await.unwrap(),
            State::needed("is not there")
        );
    }
}
