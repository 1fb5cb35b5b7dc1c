use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8Path;
use engine::{Cx, Data, State, Step, StepError};

use crate::before::{self, Resource};

/// Brings something of a host back to how it was before kubexm changed it: the counterpart of most steps.
pub struct TakeBack {
    /// "remove /etc/crictl.yaml"
    pub title: String,
    pub what: Vec<Resource>,
}

impl TakeBack {
    pub(crate) fn step(title: impl Into<String>, what: Vec<Resource>) -> Arc<dyn Step> {
        let title = title.into();
        Arc::new(Self { title, what })
    }

    /// A file that several steps may write has one counterpart.
    pub(crate) fn file(path: &Utf8Path) -> Arc<dyn Step> {
        Self::step(
            format!("remove {path}"),
            vec![Resource::File(path.to_owned())],
        )
    }
}

#[async_trait]
impl Step for TakeBack {
    /// By what is taken back, so that steps with one title are not taken for one step.
    fn id(&self) -> String {
        let what: Vec<String> = self.what.iter().map(ToString::to_string).collect();
        format!("take back {}", what.join(", "))
    }

    fn describe(&self) -> String {
        self.title.clone()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        before::pending(cx, &self.what).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::restore(cx, &self.title, &self.what).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }

    fn takes_back(&self) -> Vec<String> {
        self.what.iter().map(ToString::to_string).collect()
    }

    /// A node goes on to be known by the name that it has.
    fn sparing(&self, stays: &BTreeSet<String>) -> Option<Arc<dyn Step>> {
        let what = self.what.iter().cloned();
        let goes: Vec<Resource> = what
            .filter(|resources| {
                *resources != Resource::Hostname && !stays.contains(&resources.to_string())
            })
            .collect();
        let title = if goes.len() == self.what.len() {
            self.title.clone()
        } else {
            let names: Vec<String> = goes.iter().map(ToString::to_string).collect();
            format!("take back {}", names.join(", "))
        };
        (!goes.is_empty()).then(|| Self::step(title, goes))
    }
}
