use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};

use crate::etcd::etcdctl::{EtcdCluster, EtcdPeer, Within};
use crate::etcd::run::are;
use crate::etcd::status::LookAtMember;
use crate::shell::refused;

/// Has a member give back to its disk what its store no longer uses. It answers nobody meanwhile, so all others must be
/// healthy, and it must be again before the next may follow.
pub struct DefragMember {
    pub me: EtcdPeer,
    pub cluster: EtcdCluster,
}

/// A store of 8 GiB on a slow disk.
const PATIENCE: Duration = Duration::from_mins(15);
const RECOVERY: Duration = Duration::from_mins(2);
const ASK_EVERY: Duration = Duration::from_secs(1);

impl DefragMember {
    async fn insist_on_others(&self, cx: &Cx) -> Result<(), StepError> {
        let others: Vec<EtcdPeer> = self.cluster.others(&self.me).cloned().collect();
        if others.is_empty() {
            return Ok(());
        }
        let unhealthy = self.cluster.unhealthy(cx, &others).await?;
        if unhealthy.is_empty() {
            return Ok(());
        }
        Err(StepError::new(format!(
            "{} is not defragmented: {} not healthy, and etcd would lack one more meanwhile",
            self.me.name,
            are(&unhealthy)
        ))
        .with_hint("kubexm etcd status tells what is wrong with them"))
    }
}

#[async_trait]
impl Step for DefragMember {
    fn id(&self) -> String {
        "defragment".to_owned()
    }

    fn describe(&self) -> String {
        format!("defragment {} where it pays", self.me.name)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let url = self.me.client_url();
        let told = LookAtMember::told(cx, &self.cluster, &url, 0).await?;
        let told = told.map_err(|why| {
            StepError::new(format!("{} does not answer: {why}", self.me.name))
                .with_hint("kubexm etcd status tells what is wrong with it")
        })?;
        let sizes = format!(
            "{} of {} MiB are in use",
            told.in_use_bytes >> 20,
            told.db_bytes >> 20
        );
        if told.defrag_pays() {
            return Ok(State::needed(sizes));
        }
        cx.progress.seen(sizes, None);
        Ok(State::Satisfied)
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.insist_on_others(cx).await?;
        let within = Within::Host(PATIENCE);
        let seconds = format!("--command-timeout={}s", PATIENCE.as_secs());
        let here = [self.me.client_url()];
        let defrag = ["defrag", &seconds];
        let output = self
            .cluster
            .etcdctl_within(cx, within, &here, &defrag)
            .await?;
        if !output.ok() {
            return Err(refused(&format!("defragment {}", self.me.name), &output));
        }
        let look = || async {
            let me = std::slice::from_ref(&self.me);
            Ok(if self.cluster.silent(cx, me).await?.is_empty() {
                State::Satisfied
            } else {
                State::needed("etcd is not healthy yet")
            })
        };
        match cx.wait_until(RECOVERY, ASK_EVERY, look).await? {
            State::Satisfied => Ok(()),
            State::Needed(why) => Err(StepError::new(format!(
                "{} was defragmented and does not become healthy: {why}",
                self.me.name
            ))
            .with_hint(self.cluster.runs.hint())),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
