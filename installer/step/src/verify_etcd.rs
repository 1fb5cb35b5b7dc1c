use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};

use crate::etcdctl::{Answer, EtcdCluster, JOURNAL_OF_EACH};

/// Has etcd prove that every expected member, and no other, votes and is healthy.
pub struct VerifyEtcd {
    pub cluster: EtcdCluster,
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
        format!(
            "verify that the {} etcd members are healthy",
            self.cluster.peers.len()
        )
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
        if let Some(learner) = listed.iter().find(|member| member.learner) {
            return Ok(State::needed(format!(
                "{} is still a learner",
                learner.title()
            )));
        }
        let found: BTreeSet<&str> = listed.iter().map(|member| member.name.as_str()).collect();
        let wanted: BTreeSet<&str> = self
            .cluster
            .peers
            .iter()
            .map(|peer| peer.name.as_str())
            .collect();
        if found != wanted {
            return Ok(State::needed(format!(
                "its members are {found:?}, not {wanted:?}"
            )));
        }
        let health = self
            .cluster
            .etcdctl(cx, &endpoints, &["endpoint", "health"])
            .await?;
        Ok(if health.ok() {
            State::Satisfied
        } else {
            State::needed(health.last_words())
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || self.check(cx);
        match cx.wait_until(SETTLE, ASK_EVERY, look).await? {
            State::Satisfied => Ok(()),
            State::Needed(reason) => Err(StepError::new(format!(
                "etcd does not become healthy: {reason}"
            ))
            .with_hint(JOURNAL_OF_EACH)),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
