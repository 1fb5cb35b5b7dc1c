use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, Slot, State, Step, StepError};

use crate::etcd::etcdctl::{Answer, EtcdCluster};
use crate::etcd::run::are;

/// Has etcd prove that it serves, by the health of those who vote.
pub struct VerifyEtcd {
    pub cluster: EtcdCluster,
    pub wanted: HealthyMembers,
}

/// Who must be healthy.
#[derive(Clone, Debug)]
pub enum HealthyMembers {
    /// Every member of the config.
    All,
    /// The majority of those who vote; every member where this is full, as the cluster was founded in this run.
    Majority(Slot<()>),
}

impl HealthyMembers {
    fn are_all(&self) -> bool {
        match self {
            Self::All => true,
            Self::Majority(founded) => founded.get().is_some(),
        }
    }
}

/// How long a freshly assembled cluster may take to settle.
const SETTLE: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_secs(1);

#[async_trait]
impl Step for VerifyEtcd {
    fn id(&self) -> String {
        "verify etcd".to_owned()
    }

    fn describe(&self) -> String {
        "verify that etcd is healthy".to_owned()
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.cluster.peers)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let endpoints = self.cluster.endpoints();
        let listed = match self.cluster.ask(cx, &endpoints).await? {
            Answer::Members(listed) => listed,
            Answer::Silence(why) => return Ok(State::needed(why)),
        };
        let voting = self.cluster.voters(&listed);
        let (all, votes) = (self.cluster.peers.len(), voting.len());
        let whole = self.wanted.are_all();
        if whole && votes < all {
            return Ok(State::needed(format!("{votes} of its {all} members vote")));
        }
        let unhealthy = self.cluster.unhealthy(cx, &voting).await?;
        let healthy = votes - unhealthy.len();
        let needed = if whole { all } else { votes / 2 + 1 };
        if healthy < needed {
            return Ok(State::needed(format!("{} not healthy", are(&unhealthy))));
        }
        if healthy < all {
            let warning = format!(
                "etcd has {healthy} healthy members of {all}: mend the others before one more is lost"
            );
            cx.progress
                .seen(format!("{healthy} of {all} members"), Some(warning));
        }
        Ok(State::Satisfied)
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || self.check(cx);
        match cx.wait_until(SETTLE, ASK_EVERY, look).await? {
            State::Satisfied => Ok(()),
            State::Needed(reason) => Err(StepError::new(format!(
                "etcd does not become healthy: {reason}"
            ))
            .with_hint(self.cluster.runs.hint())),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
