use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, Slot, State, Step, StepError};

use crate::{Membership, RemoveEtcdMember};

/// Takes the member of a master out of etcd that has lost all it had and joins anew. kubeadm finds the address in the list and
/// announces nobody, and a voter without its memory may let a write be lost that was confirmed.
pub struct RemoveLostMember {
    /// Of the master, as it was looked at in this run.
    pub membership: Slot<Membership>,
    pub remove: RemoveEtcdMember,
}

#[async_trait]
impl Step for RemoveLostMember {
    fn id(&self) -> String {
        self.remove.id()
    }

    fn describe(&self) -> String {
        format!(
            "take {} out of etcd where its host has lost it",
            self.remove.member.name
        )
    }

    fn inputs(&self) -> String {
        self.remove.inputs()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        if self.membership.get() != Some(&Membership::Outside) {
            return Ok(State::Satisfied);
        }
        let State::Needed(_) = self.remove.check(cx).await? else {
            return Ok(State::Satisfied);
        };
        let member = std::slice::from_ref(&self.remove.member);
        // One that serves has its data: what is left of a join that was cut short is taken back with that.
        if self.remove.cluster.silent(cx, member).await?.is_empty() {
            return Ok(State::Satisfied);
        }
        Ok(State::needed(
            "is a member, and its host has not joined: it has no data of it",
        ))
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.remove.apply(cx).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;
    use crate::{EtcdCluster, EtcdPeer, EtcdRuns};

    fn peer(number: u8) -> EtcdPeer {
        EtcdPeer {
            name: format!("m{number}"),
            address: format!("10.0.0.{number}"),
        }
    }

    /// What comes of m3, as a master that was looked at, where these do not serve.
    async fn of_m3(membership: Option<Membership>, ill: &[u8]) -> String {
        let member = |n: u8| {
            let EtcdPeer { name, address } = peer(n);
            format!(
                r#"{{"ID":{n},"name":"{name}","peerURLs":["https://{address}:2380"],"clientURLs":["https://{address}:2379"]}}"#
            )
        };
        let health = |n: u8| {
            let url = peer(n).client_url();
            format!(r#"{{"endpoint":"{url}","health":{}}}"#, !ill.contains(&n))
        };
        let list = format!(r#"{{"members":[{}]}}"#, [1, 2, 3].map(member).join(","));
        let health = format!("[{}]", [1, 2, 3].map(health).join(","));
        let host = FakeHost::new("m1")
            .on("member list", 0, list)
            .on("endpoint health", 1, health);
        let host = Arc::new(host);
        let cx = Cx::new(Arc::clone(&host) as Arc<dyn host::Host>, Progress::unseen());
        let slot = Slot::new("m3");
        if let Some(membership) = membership {
            slot.fill(membership);
        }
        let step = RemoveLostMember {
            membership: slot,
            remove: RemoveEtcdMember {
                member: peer(3),
                cluster: EtcdCluster {
                    peers: vec![peer(1), peer(2)],
                    runs: EtcdRuns::StaticPod,
                },
            },
        };
        let State::Needed(why) = step.check(&cx).await.unwrap() else {
            return "left".to_owned();
        };
        match step.apply(&cx).await {
            Ok(()) if host.transcript().contains("member remove 3") => format!("removed: {why}"),
            Ok(()) => "nothing was done".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn a_master_that_lost_its_data_does_not_join_as_the_member_it_was() {
        let outside = Some(Membership::Outside);
        insta::assert_snapshot!(of_m3(outside, &[3]).await, @"removed: is a member, and its host has not joined: it has no data of it");
        for membership in [Some(Membership::Joined), None] {
            assert_eq!(of_m3(membership, &[3]).await, "left");
        }
        // What a join has begun is running: the join goes on from there.
        assert_eq!(of_m3(outside, &[]).await, "left");
        insta::assert_snapshot!(of_m3(outside, &[2, 3]).await, @"etcd would lose its quorum without m3: of the 2 others 2 must be healthy, and m2 is not");
    }
}
