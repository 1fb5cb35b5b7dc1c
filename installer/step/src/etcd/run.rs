use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, Question, State, Step, StepError};

use crate::RunService;
use crate::etcd::etcdctl::{EtcdCluster, EtcdPeer, JOURNAL_OF_EACH, Member};
use crate::etcd::promote::withdrawn;
use crate::service::run::{note_unwell, with_last_lines};

/// Has a member run with the files that are on its host now. One that votes must be healthy again before the next may
/// follow.
pub struct RunEtcd {
    pub service: RunService,
    pub me: EtcdPeer,
    pub cluster: EtcdCluster,
}

/// Sees that the cluster bears it that a member goes away for a moment: the others must keep the majority.
pub struct SpareEtcd {
    pub service: RunService,
    pub me: EtcdPeer,
    pub cluster: EtcdCluster,
}

/// How long a restarted member may take to be healthy, once systemd has it up.
const RECOVERY: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Everybody who votes, as a member that runs sees it. One that does not run has nothing to lose.
async fn voters(
    cx: &Cx,
    service: &RunService,
    me: &EtcdPeer,
    cluster: &EtcdCluster,
) -> Result<Vec<EtcdPeer>, StepError> {
    if !service.is_active(cx).await? {
        return Ok(Vec::new());
    }
    if cluster.others(me).next().is_none() {
        return Ok(vec![me.clone()]);
    }
    let members = cluster.members(cx).await.map_err(|error| {
        let hint = error.hint().unwrap_or(JOURNAL_OF_EACH).to_owned();
        let error = error.about("etcd runs with older files and is not restarted");
        error.with_hint(hint)
    })?;
    Ok(cluster.voters(&members))
}

impl SpareEtcd {
    /// One of two cannot be spared at all, and is restarted while the other is healthy.
    async fn may_restart(&self, cx: &Cx, voters: &[EtcdPeer]) -> Result<(), StepError> {
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
}

#[async_trait]
impl Question for SpareEtcd {
    fn id(&self) -> String {
        "spare".to_owned()
    }

    fn describe(&self) -> String {
        format!("see that the others bear a restart of {}", self.me.name)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let voters = voters(cx, &self.service, &self.me, &self.cluster).await?;
        // A learner has no vote that would be missed.
        if voters.contains(&self.me) {
            self.may_restart(cx, &voters).await?;
        }
        Ok(State::Satisfied)
    }
}

impl RunEtcd {
    async fn recover(&self, cx: &Cx) -> Result<(), StepError> {
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
            State::Needed(_) => {
                let unit = self.service.unit;
                note_unwell(cx, unit).await?;
                let error = "etcd was restarted and does not become healthy".to_owned();
                Err(with_last_lines(cx, unit, error).await)
            }
        }
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
        self.service.check(cx).await
    }

    async fn at_work(&self, cx: &Cx) -> Result<bool, StepError> {
        self.service.at_work(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let voters = voters(cx, &self.service, &self.me, &self.cluster).await?;
        if let Err(error) = self.service.apply(cx).await {
            // It says its name as soon as the leader has reached it, whatever it still has to be sent.
            let unheard = |member: &Member| member.name.is_empty();
            return Err(withdrawn(cx, &self.me, &self.cluster, unheard, error).await);
        }
        // A learner is never healthy.
        if voters.contains(&self.me) {
            self.recover(cx).await?;
        }
        Ok(())
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        self.service.counterpart(data)
    }
}
