use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};

use crate::etcdctl::{EtcdCluster, EtcdPeer, JOURNAL_OF_EACH};
use crate::{Halted, RunService};

/// Has a member run with the files that are on its host now. A member that runs with older ones is restarted only
/// while the others keep the cluster's majority, and must be healthy again before the next may follow.
pub struct RunEtcd {
    pub service: RunService,
    pub me: EtcdPeer,
    pub cluster: EtcdCluster,
    /// The same for all members: who did not come up. No other is restarted after that.
    pub halted: Halted,
}

/// How long a restarted member may take to be healthy, once systemd has it up.
const RECOVERY: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_secs(1);

impl RunEtcd {
    /// Everybody who votes.
    async fn voters(&self, cx: &Cx) -> Result<Vec<EtcdPeer>, StepError> {
        if self.cluster.others(&self.me).next().is_none() {
            return Ok(vec![self.me.clone()]);
        }
        let members = self.cluster.members(cx).await.map_err(|error| {
            StepError::new(format!(
                "etcd runs with older files and is not restarted: {error}"
            ))
            .with_hint(error.hint().unwrap_or(JOURNAL_OF_EACH))
        })?;
        Ok(self.cluster.voters(&members))
    }

    /// Whether the cluster bears it that this member goes away for a moment. One of two cannot be spared at all, and is
    /// restarted while the other is healthy.
    async fn may_restart(&self, cx: &Cx, voters: &[EtcdPeer]) -> Result<(), StepError> {
        if let Some(halted) = self.halted.elsewhere(&self.me.name) {
            return Err(StepError::new(format!(
                "etcd runs with older files and is not restarted, because it did not come up on {halted}"
            ))
            .with_hint(format!("mend it on {halted}, then run again")));
        }
        let others: Vec<EtcdPeer> = voters
            .iter()
            .filter(|peer| **peer != self.me)
            .cloned()
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let needed = (voters.len() / 2 + 1).min(others.len());
        let unhealthy = self.cluster.unhealthy(cx, &others).await?;
        let healthy = others.len() - unhealthy.len();
        if healthy >= needed {
            return Ok(());
        }
        Err(StepError::new(format!(
            "etcd runs with older files and is not restarted: {needed} healthy members are needed beside it, and {} \
             not healthy",
            are(&unhealthy)
        ))
        .with_hint("on these members: journalctl -u etcd; run again when they are healthy"))
    }

    async fn recover(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || async {
            let me = std::slice::from_ref(&self.me);
            Ok(if self.cluster.unhealthy(cx, me).await?.is_empty() {
                State::Satisfied
            } else {
                State::needed("etcd is not healthy yet")
            })
        };
        match cx.wait_until(RECOVERY, ASK_EVERY, look).await? {
            State::Satisfied => Ok(()),
            State::Needed(_) => Err(StepError::new(
                "etcd was restarted and does not become healthy",
            )
            .with_hint("on the host: journalctl -u etcd")),
        }
    }

    async fn restart(&self, cx: &Cx) -> Result<(), StepError> {
        self.service.apply(cx).await?;
        self.recover(cx).await
    }
}

/// "node2 is", "node2 and node3 are".
pub(crate) fn are(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(" and "))
}

#[async_trait]
impl Step for RunEtcd {
    fn id(&self) -> String {
        self.service.id()
    }

    fn describe(&self) -> String {
        self.service.describe()
    }

    fn inputs(&self) -> String {
        self.service.inputs()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let state = self.service.check(cx).await?;
        if state == State::Satisfied {
            self.halted.lift(&self.me.name);
        }
        Ok(state)
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        // One that does not run has nothing to lose, and a learner is never healthy.
        let voters = if self.service.is_active(cx).await? {
            let voters = self.voters(cx).await?;
            self.may_restart(cx, &voters).await?;
            voters
        } else {
            Vec::new()
        };
        let done = if voters.contains(&self.me) {
            self.restart(cx).await
        } else {
            self.service.apply(cx).await
        };
        match &done {
            Ok(()) => self.halted.lift(&self.me.name),
            Err(error) if error.is_interrupted() => {}
            Err(_) => self.halted.set(&self.me.name),
        }
        done
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        self.service.counterpart(data)
    }
}
