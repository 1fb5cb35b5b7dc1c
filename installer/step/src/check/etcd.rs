use async_trait::async_trait;
use engine::{Cx, Question, Retry, State, Step, StepError};

use super::count;
use crate::etcd::etcdctl::EtcdCluster;
use crate::{HealthyMembers, VerifyEtcd};

/// Asked on a member's host, etcd has every expected member and no other, and all of them are healthy.
pub struct ProveEtcd {
    pub cluster: EtcdCluster,
    pub patience: Retry,
}

#[async_trait]
impl Question for ProveEtcd {
    fn id(&self) -> String {
        "prove etcd".to_owned()
    }

    fn describe(&self) -> String {
        "etcd is healthy".to_owned()
    }

    fn retry(&self) -> Retry {
        self.patience
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let members = VerifyEtcd {
            cluster: self.cluster.clone(),
            wanted: HealthyMembers::All,
        };
        if let State::Needed(why) = members.check(cx).await? {
            return Err(StepError::passing(why).with_hint(self.cluster.runs.hint()));
        }
        let alarms = self.cluster.alarms(cx, &self.cluster.endpoints()).await?;
        if let Some(raised) = alarms.first() {
            let alarm = raised.alarm();
            return Err(StepError::new(format!(
                "etcd has raised the alarm {}: {}",
                alarm.name(),
                alarm.cause()
            ))
            .with_hint(alarm.cure()));
        }
        cx.progress.seen(healthy(self.cluster.peers.len()), None);
        Ok(State::Satisfied)
    }
}

fn healthy(members: usize) -> String {
    format!("{}, all healthy", count(members as u64, "member"))
}
