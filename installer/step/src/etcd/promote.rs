use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};

use crate::etcd::etcdctl::{EtcdCluster, EtcdPeer, Member};
use crate::shell::refused;

/// Makes a learner a voting member once it has caught up.
pub struct PromoteEtcdMember {
    pub me: EtcdPeer,
    pub cluster: EtcdCluster,
}

impl PromoteEtcdMember {
    async fn myself(&self, cx: &Cx) -> Result<Option<Member>, StepError> {
        let url = self.me.peer_url();
        let members = self.cluster.members(cx).await?;
        Ok(members
            .into_iter()
            .find(|member| member.peer_urls.contains(&url)))
    }
}

#[async_trait]
impl Step for PromoteEtcdMember {
    fn id(&self) -> String {
        "promote".to_owned()
    }

    fn describe(&self) -> String {
        format!("make {} a voting member of etcd", self.me.name)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        // The only member of a cluster cannot be its learner.
        if self.cluster.others(&self.me).next().is_none() {
            return Ok(State::Satisfied);
        }
        Ok(match self.myself(cx).await? {
            Some(member) if !member.learner => State::Satisfied,
            Some(_) => State::needed("is a learner"),
            None => State::needed("is no member"),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let Some(member) = self.myself(cx).await? else {
            return Err(StepError::new(format!("etcd does not know {}", self.me.name)).with_hint(
                "somebody removed the member; clear its data directory and bootstrap.env to let it join anew",
            ));
        };
        let id = format!("{:x}", member.id);
        let promote = ["member", "promote", &id];
        let excuse = "in sync with leader";
        let output = self.cluster.patiently(cx, &promote, excuse).await?;
        if output.ok() {
            Ok(())
        } else {
            Err(refused("promote the etcd member", &output))
        }
    }

    /// The membership goes with the store.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
