use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::RunContainerd;
use crate::before::{self, Former};
use crate::shell::must;

/// Ends every pod and container of a node, then containerd itself, and what it leaves: shims that outlive it, mounts,
/// network namespaces. Its images go only where data is purged.
pub struct RemoveContainers {
    pub(crate) unit: Former,
    pub data_dir: Utf8PathBuf,
    pub data: Data,
}

const STOP: &str = include_str!("remove_containers.sh");
/// Pods may take their grace period, one after another.
const PATIENCE: Duration = Duration::from_mins(10);

impl RemoveContainers {
    fn former(&self) -> Vec<Former> {
        let mut what = vec![self.unit.clone()];
        what.extend(RunContainerd::leaves());
        if self.data == Data::Purge {
            what.push(Former::Data(self.data_dir.clone()));
        }
        what
    }
}

#[async_trait]
impl Step for RemoveContainers {
    fn id(&self) -> String {
        "remove containers".to_owned()
    }

    fn describe(&self) -> String {
        match self.data {
            Data::Keep => "stop all containers and containerd".to_owned(),
            Data::Purge => format!(
                "stop all containers and containerd, remove {}",
                self.data_dir
            ),
        }
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.former())
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        before::pending(cx, &self.former()).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let run = |phase: &str| {
            Command::new(["sh", "-s", "--", phase])
                .stdin(STOP)
                .timeout(PATIENCE)
        };
        must(cx, "stop the containers", run("containers")).await?;
        before::restore(cx, "stop containerd", std::slice::from_ref(&self.unit)).await?;
        must(cx, "clean up after containerd", run("remains")).await?;
        before::restore(cx, "remove what containerd left", &self.former()).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
