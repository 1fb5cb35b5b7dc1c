use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::{Command, FileAttrs};

use crate::MakeDirectory;
use crate::before::{self, Resource};
use crate::shell::must;

/// Makes the directory that a member's timer keeps its snapshots in, for root alone. They are worth most when the cluster is
/// lost: so no removal takes them, also where all other data goes.
pub struct BackupDirectory(pub Utf8PathBuf);

/// Gives the directory back, and tells of the snapshots that stay there.
struct LeaveSnapshots(Utf8PathBuf);

impl BackupDirectory {
    fn directory(&self) -> MakeDirectory {
        MakeDirectory {
            path: self.0.clone(),
            attrs: FileAttrs::root(0o700),
        }
    }
}

#[async_trait]
impl Step for BackupDirectory {
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
        self.directory().apply(cx).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(Arc::new(LeaveSnapshots(self.0.clone())))
    }
}

impl LeaveSnapshots {
    fn resource(&self) -> Resource {
        Resource::Directory(self.0.clone())
    }
}

/// The snapshots in a directory, by name.
async fn snapshots(cx: &Cx, dir: &Utf8Path) -> Result<Vec<String>, StepError> {
    let dir = host::quote(dir.as_str());
    let script = format!(
        "[ -d {dir} ] || exit 0; cd {dir}; for f in etcd-*-????????T??????Z.db; do [ ! -e \"$f\" ] || echo \"$f\"; done"
    );
    let trying = "look for snapshots of etcd";
    let found = must(cx, trying, Command::script(script)).await?.text();
    Ok(found.lines().map(str::to_owned).collect())
}

#[async_trait]
impl Step for LeaveSnapshots {
    fn id(&self) -> String {
        format!("leave snapshots in {}", self.0)
    }

    fn describe(&self) -> String {
        format!("leave the snapshots of etcd in {}", self.0)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        before::pending(cx, &[self.resource()]).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let stay = snapshots(cx, &self.0).await?;
        if let Some(newest) = stay.last() {
            let told = format!(
                "snapshots of etcd stay in {} ({}, the last {newest}): they hold every Secret of the cluster",
                self.0,
                stay.len()
            );
            cx.progress.seen(told.clone(), Some(told));
        }
        before::restore(cx, &self.describe(), &[self.resource()]).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }

    fn takes_back(&self) -> Vec<String> {
        vec![self.resource().to_string()]
    }

    fn sparing(&self, stays: &BTreeSet<String>) -> Option<Arc<dyn Step>> {
        let goes = !stays.contains(&self.resource().to_string());
        goes.then(|| Arc::new(Self(self.0.clone())) as Arc<dyn Step>)
    }
}
