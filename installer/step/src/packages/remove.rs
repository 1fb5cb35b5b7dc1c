use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};

use crate::packages;

/// Removes the packages that kubexm has installed, with their configuration and their users, and brings back those that
/// they took the place of. What others have come to need since stays.
pub struct RemovePackages;

#[async_trait]
impl Step for RemovePackages {
    fn id(&self) -> String {
        "remove packages".to_owned()
    }

    fn describe(&self) -> String {
        "remove the packages that were installed".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let Some(format) = packages::noted_format(cx).await? else {
            return Ok(State::Satisfied);
        };
        let trying = "ask which packages were installed";
        let came = packages::run(cx, trying, format, "pending", &[]).await?;
        Ok(match came.lines().count() {
            0 => State::needed("notes of packages are left"),
            1 => State::needed(format!("kubexm installed {}", came.trim())),
            count => State::needed(format!("kubexm installed {count} packages")),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        match packages::noted_format(cx).await? {
            Some(format) => packages::run(cx, "remove packages", format, "remove", &[])
                .await
                .map(drop),
            None => Ok(()),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
