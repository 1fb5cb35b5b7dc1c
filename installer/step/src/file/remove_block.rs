use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use host::{FileAttrs, Source};

use crate::EditBlock;
use crate::before::{self, Noted, Resource};
use crate::file::edit_block::marks;

/// Takes a cluster's block out of a file of the host. A file with nothing in it but what kubexm put there becomes what
/// it was before, or goes; in any other all other lines stay.
pub struct RemoveBlock {
    pub path: Utf8PathBuf,
    pub owner: String,
    pub preface: &'static str,
}

/// What is to be done with the file.
#[derive(Debug, PartialEq, Eq)]
enum Rest {
    /// It has no block of this cluster.
    Untouched,
    /// Nothing of kubexm is left in it, and nobody else changed it.
    AsBefore,
    /// Others wrote to it meanwhile, or have a block of their own in it.
    Lines(Vec<u8>),
}

impl RemoveBlock {
    async fn rest(&self, cx: &Cx) -> Result<Rest, StepError> {
        let Some(current) = cx.host.read(&self.path).await? else {
            return Ok(Rest::Untouched);
        };
        let (begin, _) = marks(&self.owner);
        let mut lines = current.split(|byte| *byte == b'\n');
        if !lines.any(|line| line == begin.as_bytes()) {
            return Ok(Rest::Untouched);
        }
        let rest = EditBlock::without(&self.path, &self.owner, &current)?;
        let was = match before::noted(cx, &self.path).await? {
            Noted::Nothing => return Ok(Rest::Lines(rest)),
            Noted::Absent => self.preface.as_bytes().to_vec(),
            Noted::Was(was) => was,
        };
        // A last line that was not ended has been, for the block to follow it.
        let unended = rest.strip_suffix(b"\n").unwrap_or(&rest);
        Ok(if rest == was || unended == was {
            Rest::AsBefore
        } else {
            Rest::Lines(rest)
        })
    }
}

#[async_trait]
impl Step for RemoveBlock {
    fn id(&self) -> String {
        format!("remove block {} from {}", self.owner, self.path)
    }

    fn describe(&self) -> String {
        format!("remove the cluster's block from {}", self.path)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        Ok(match self.rest(cx).await? {
            Rest::Untouched => State::Satisfied,
            Rest::AsBefore | Rest::Lines(_) => State::needed("the block is there"),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        match self.rest(cx).await? {
            Rest::Untouched => Ok(()),
            Rest::AsBefore => {
                let file = [Resource::File(self.path.clone())];
                before::restore(cx, &self.describe(), &file).await
            }
            Rest::Lines(lines) => {
                before::forget(cx, &self.path).await?;
                let source = Source::Bytes(lines.into());
                let attrs = FileAttrs::root(0o644);
                Ok(cx
                    .host
                    .upload(&source, &self.path, &attrs, &cx.progress)
                    .await?)
            }
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
