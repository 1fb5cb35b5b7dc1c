use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Output;

use crate::etcd::etcdctl::{Answer, EtcdCluster, EtcdPeer, Member};
use crate::etcd::status::LookAtMember;
use crate::shell::refused;

/// What etcd says of a learner as long as it is behind.
const BEHIND: &str = "in sync with leader";

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

    /// How far it has come; nothing where it does not answer.
    async fn index(&self, cx: &Cx) -> Result<Option<u64>, StepError> {
        let url = self.me.client_url();
        let told = LookAtMember::told(cx, &self.cluster, &url, 0).await?;
        Ok(told.ok().map(|told| told.raft_index))
    }

    /// What becomes of a learner that etcd has not let vote, however long it was asked.
    async fn judged(&self, cx: &Cx, before: Option<u64>, output: &Output) -> StepError {
        let error = refused("promote the etcd member", output);
        if !output.last_words().contains(BEHIND) {
            return error;
        }
        match self.index(cx).await {
            Ok(after) if after.is_some() && after > before => error.with_hint(format!(
                "{} still catches up with the leader: run again; kubexm etcd status tells how far it is",
                self.me.name
            )),
            Ok(_) => withdrawn(cx, &self.me, &self.cluster, |_| true, error).await,
            Err(_) => error,
        }
    }
}

/// A learner that does not get into step keeps all others from joining, and has no vote that would be missed: it is taken out
/// again, and announced anew by the next run. What went wrong stays what it was.
pub(crate) async fn withdrawn(
    cx: &Cx,
    me: &EtcdPeer,
    cluster: &EtcdCluster,
    is_lost: impl Fn(&Member) -> bool,
    error: StepError,
) -> StepError {
    if error.may_pass() || error.is_interrupted() {
        return error;
    }
    let others: Vec<String> = cluster.others(me).map(EtcdPeer::client_url).collect();
    if others.is_empty() {
        return error;
    }
    let Ok(Answer::Members(members)) = cluster.ask(cx, &others).await else {
        return error;
    };
    let url = me.peer_url();
    let mut members = members
        .iter()
        .filter(|member| member.learner && is_lost(member));
    let Some(learner) = members.find(|member| member.peer_urls.contains(&url)) else {
        return error;
    };
    let remove = ["member", "remove", &format!("{:x}", learner.id)];
    match cluster.etcdctl(cx, &others, &remove).await {
        Ok(output) if output.ok() => error
            .and(&format!(
                "{} was taken out of etcd again, so that others can join",
                me.name
            ))
            .with_hint(format!(
                "the other members must reach {}:2380, and {} theirs: see firewalls between them; then run again",
                me.address, me.name
            )),
        Ok(_) | Err(_) => error,
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
        let before = self.index(cx).await?;
        let output = self.cluster.patiently(cx, &promote, BEHIND).await?;
        if output.ok() {
            return Ok(());
        }
        Err(self.judged(cx, before, &output).await)
    }

    /// The membership goes with the store.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;
    use crate::EtcdRuns;

    fn peer(number: u8) -> EtcdPeer {
        EtcdPeer {
            name: format!("node{number}"),
            address: format!("10.0.0.{number}"),
        }
    }

    /// What is said of a learner that had come to 7, and is there now; and whether it was taken out.
    async fn of_a_learner(index: u64, words: &str) -> (String, bool) {
        let status = format!(
            r#"[{{"Endpoint":"","Status":{{"header":{{"cluster_id":1,"member_id":2}},"version":"3.6.8","raftIndex":{index}}}}}]"#
        );
        let list = r#"{"members":[{"ID":1,"name":"node1","peerURLs":["https://10.0.0.1:2380"]},
            {"ID":2,"name":"node2","peerURLs":["https://10.0.0.2:2380"],"isLearner":true}]}"#;
        let host = FakeHost::new("node2").on("endpoint status", 0, status);
        let host = Arc::new(host.on("member list", 0, list));
        let cx = Cx::new(Arc::clone(&host) as Arc<dyn host::Host>, Progress::unseen());
        let promote = PromoteEtcdMember {
            me: peer(2),
            cluster: EtcdCluster {
                peers: vec![peer(1), peer(2)],
                runs: EtcdRuns::StaticPod,
            },
        };
        let output = Output {
            status: 1,
            stdout: Vec::new(),
            stderr: words.into(),
        };
        let error = promote.judged(&cx, Some(7), &output).await;
        let said = format!("{error}\nhint: {}", error.hint().unwrap_or_default());
        (said, host.transcript().contains("member remove 2"))
    }

    #[tokio::test]
    async fn a_learner_that_does_not_catch_up_is_taken_out_again() {
        let behind =
            "Error: etcdserver: can only promote a learner member which is in sync with leader";
        let (said, gone) = of_a_learner(7, behind).await;
        assert!(gone);
        insta::assert_snapshot!(said, @r"
        cannot promote the etcd member: Error: etcdserver: can only promote a learner member which is in sync with leader; node2 was taken out of etcd again, so that others can join
        hint: the other members must reach 10.0.0.2:2380, and node2 theirs: see firewalls between them; then run again
        ");
        let (said, gone) = of_a_learner(8, behind).await;
        assert!(!gone);
        insta::assert_snapshot!(said, @r"
        cannot promote the etcd member: Error: etcdserver: can only promote a learner member which is in sync with leader
        hint: node2 still catches up with the leader: run again; kubexm etcd status tells how far it is
        ");
        assert!(!of_a_learner(7, "Error: etcdserver: no leader").await.1);
    }
}
