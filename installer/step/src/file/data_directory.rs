use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::FileAttrs;

use crate::MakeDirectory;
use crate::TakeBack;
use crate::before::{self, Resource};

/// A directory for data that nobody can make again: a store, a registry's images. It is made like any other, and what
/// it holds is taken away only where somebody means to lose it.
pub struct DataDirectory {
    pub path: Utf8PathBuf,
    pub attrs: FileAttrs,
}

impl DataDirectory {
    fn directory(&self) -> MakeDirectory {
        MakeDirectory {
            path: self.path.clone(),
            attrs: self.attrs.clone(),
        }
    }
}

#[async_trait]
impl Step for DataDirectory {
    fn id(&self) -> String {
        self.directory().id()
    }

    fn describe(&self) -> String {
        self.directory().describe()
    }

    fn inputs(&self) -> String {
        self.directory().inputs()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.directory().check(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[Resource::Data(self.path.clone())]).await?;
        self.directory().make(cx).await
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        let all = || {
            let what = vec![Resource::Data(self.path.clone())];
            TakeBack::step(format!("remove all data in {}", self.path), what)
        };
        (data == Data::Purge).then(all)
    }
}
