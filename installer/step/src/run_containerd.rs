use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};

use crate::before::{self, Former};
use crate::{RemoveContainers, RunService};

/// Has containerd run. Unlike other services it does not take what it started with it when it is stopped, and so its
/// counterpart has more to do.
pub struct RunContainerd {
    pub service: RunService,
    /// Where it keeps images and what containers write.
    pub data_dir: Utf8PathBuf,
}

/// What containerd, the plugins of its networks and the kubelet make by themselves. The kubelet's goes here, when no
/// container holds a volume any more.
const TREES: [&str; 6] = [
    "/run/containerd",
    "/opt/containerd",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
];

impl RunContainerd {
    /// What it leaves on the host beside its data.
    pub(crate) fn trees() -> Vec<Former> {
        TREES
            .iter()
            .map(|path| Former::Tree((*path).into()))
            .collect()
    }
}

#[async_trait]
impl Step for RunContainerd {
    fn id(&self) -> String {
        self.service.id()
    }

    fn describe(&self) -> String {
        self.service.describe()
    }

    fn inputs(&self) -> String {
        self.service.inputs()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.service.check(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let mut former = Self::trees();
        former.push(Former::Data(self.data_dir.clone()));
        before::note(cx, &former).await?;
        self.service.apply(cx).await
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        Some(Arc::new(RemoveContainers {
            unit: self.service.former(),
            data_dir: self.data_dir.clone(),
            data,
        }))
    }
}
