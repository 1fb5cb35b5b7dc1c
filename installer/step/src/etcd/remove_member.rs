use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Output;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::etcd::etcdctl::{EtcdCluster, EtcdPeer, Member, UNSETTLED};
use crate::etcd::health::{Health, corrupt};
use crate::etcd::run::are;
use crate::shell::refused;

/// Takes a member out of etcd, on a host of another: only where those who stay have a majority that is healthy.
pub struct RemoveEtcdMember {
    pub member: EtcdPeer,
    /// Those who stay.
    pub cluster: EtcdCluster,
}

const HINT: &str = "mend the others first, or take out the one that is lost for good: kubexm delete node NAME --dead; kubexm \
                    check tells how each is";

impl RemoveEtcdMember {
    async fn etcdctl(&self, cx: &Cx, arguments: &[&str]) -> Result<Output, StepError> {
        let endpoints = self.cluster.endpoints();
        self.cluster.etcdctl(cx, &endpoints, arguments).await
    }

    /// Whom those who stay list; or why they do not answer.
    pub(crate) async fn listed(&self, cx: &Cx) -> Result<Result<Vec<Member>, String>, StepError> {
        #[derive(Deserialize)]
        struct List {
            members: Vec<Member>,
        }
        let output = self
            .etcdctl(cx, &["member", "list", "--write-out=json"])
            .await?;
        if !output.ok() {
            return Ok(Err(output.last_words()));
        }
        read::<List>(&output, "list of members").map(|list| Ok(list.members))
    }

    async fn members(&self, cx: &Cx) -> Result<Vec<Member>, StepError> {
        self.listed(cx).await?.map_err(|why| {
            StepError::passing(format!(
                "etcd does not answer where {} is to be taken out of it: {why}",
                self.member.name,
            ))
            .with_hint("its majority may be lost: see kubexm check; nothing was changed")
        })
    }

    fn find<'a>(&self, members: &'a [Member]) -> Option<&'a Member> {
        let url = self.member.peer_url();
        let mut members = members.iter();
        members.find(|member| member.peer_urls.contains(&url))
    }

    /// Where members answer that can be relied on.
    async fn healthy(&self, cx: &Cx, members: &[Member]) -> Result<BTreeSet<String>, StepError> {
        let ask = ["endpoint", "health", "--cluster", "--write-out=json"];
        let output = self.etcdctl(cx, &ask).await?;
        let answers: Vec<Health> = read(&output, "health")?;
        let serving = answers.iter().filter(|answer| answer.serves());
        let mut healthy: BTreeSet<String> = serving.map(|it| it.endpoint.clone()).collect();
        if answers.iter().any(Health::tells_of_corruption) {
            let alarms = self.cluster.alarms(cx, &self.cluster.endpoints()).await?;
            let urls = corrupt(&alarms, members).flat_map(|member| &member.client_urls);
            for url in urls {
                healthy.remove(url);
            }
        }
        Ok(healthy)
    }
}

fn read<T: DeserializeOwned>(output: &Output, what: &str) -> Result<T, StepError> {
    serde_json::from_slice(&output.stdout).map_err(|_| {
        StepError::passing(refused(&format!("ask etcd for its {what}"), output).to_string())
    })
}

/// Whether those who stay can go on by themselves.
fn may_go(
    member: &Member,
    members: &[Member],
    healthy: &BTreeSet<String>,
) -> Result<(), StepError> {
    let others = members.iter();
    let others: Vec<&Member> = others
        .filter(|other| other.id != member.id && !other.learner)
        .collect();
    let name = member.title();
    if others.is_empty() {
        return Err(StepError::new(format!(
            "{name} is the only member of etcd that votes: without it the cluster is lost"
        ))
        .with_hint("add another first: kubexm add nodes"));
    }
    let is_well = |other: &&&Member| other.client_urls.iter().any(|url| healthy.contains(url));
    let well = others.iter().filter(is_well).count();
    let needed = others.len() / 2 + 1;
    // A learner has no vote that would be missed.
    if member.learner || well >= needed {
        return Ok(());
    }
    let ill = others.iter().filter(|other| !is_well(other));
    let ill: Vec<String> = ill.map(|other| other.title()).collect();
    Err(StepError::new(format!(
        "etcd would lose its quorum without {name}: of the {} others {needed} must be healthy, and {} not",
        others.len(),
        are(&ill)
    ))
    .with_hint(HINT))
}

#[async_trait]
impl Step for RemoveEtcdMember {
    fn id(&self) -> String {
        format!("remove etcd member {}", self.member.name)
    }

    fn describe(&self) -> String {
        format!("take {} out of etcd", self.member.name)
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.member)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let members = self.members(cx).await?;
        Ok(match self.find(&members) {
            Some(_) => State::needed("is a member"),
            None => State::Satisfied,
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let members = self.members(cx).await?;
        let Some(member) = self.find(&members) else {
            return Ok(());
        };
        may_go(member, &members, &self.healthy(cx, &members).await?)?;
        let id = format!("{:x}", member.id);
        let remove = ["member", "remove", &id];
        // etcd lets nobody go before its members have been connected for some seconds.
        let output = self.cluster.patiently(cx, &remove, UNSETTLED).await?;
        // Somebody else was as fast.
        if output.ok() || output.last_words().contains("member not found") {
            return Ok(());
        }
        let trying = format!("take {} out of etcd", self.member.name);
        Err(refused(&trying, &output).with_hint(HINT))
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::EtcdRuns;
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    fn members(ill: &[u64], count: u64) -> (String, String) {
        let at = |id: u64| format!("https://10.0.0.{id}:2379");
        let list = (1..=count).map(|id| {
            format!(
                "{{\"ID\": {id}, \"name\": \"m{id}\", \"peerURLs\": [\"https://10.0.0.{id}:2380\"], \"clientURLs\": [\"{}\"]}}",
                at(id)
            )
        });
        let list: Vec<String> = list.collect();
        let health = (1..=count).map(|id| {
            format!(
                "{{\"endpoint\": \"{}\", \"health\": {}}}",
                at(id),
                !ill.contains(&id)
            )
        });
        let health: Vec<String> = health.collect();
        (
            format!("{{\"members\": [{}]}}", list.join(",")),
            format!("[{}]", health.join(",")),
        )
    }

    async fn removed(goes: u64, ill: &[u64], count: u64) -> String {
        let (list, health) = members(ill, count);
        let host = Arc::new(FakeHost::new("m1").on("member list", 0, list).on(
            "endpoint health",
            0,
            health,
        ));
        let cx = Cx::new(host.clone(), Progress::unseen());
        let step = RemoveEtcdMember {
            member: EtcdPeer {
                name: format!("m{goes}"),
                address: format!("10.0.0.{goes}"),
            },
            cluster: of_services(),
        };
        match step.apply(&cx).await {
            Ok(()) if host.transcript().contains("member remove") => "removed".to_owned(),
            Ok(()) => "no member".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn of_services() -> EtcdCluster {
        EtcdCluster {
            peers: Vec::new(),
            runs: EtcdRuns::Service {
                pki: "/pki".to_owned(),
            },
        }
    }

    #[tokio::test]
    async fn a_member_goes_where_the_others_have_a_healthy_majority() {
        assert_eq!(removed(3, &[], 3).await, "removed");
        assert_eq!(removed(3, &[3], 3).await, "removed");
        assert_eq!(removed(5, &[4], 5).await, "removed");
        assert_eq!(removed(1, &[], 2).await, "removed");
        assert_eq!(removed(4, &[], 3).await, "no member");
        insta::assert_snapshot!(removed(2, &[3], 3).await, @"etcd would lose its quorum without m2: of the 2 others 2 must be healthy, and m3 is not");
        insta::assert_snapshot!(removed(1, &[], 1).await, @"m1 is the only member of etcd that votes: without it the cluster is lost");
    }

    #[tokio::test]
    async fn an_etcd_that_does_not_answer_is_left_alone() {
        let host = Arc::new(FakeHost::new("m1").on("etcdctl", 1, ""));
        let cx = Cx::new(host.clone(), Progress::unseen());
        let step = RemoveEtcdMember {
            member: EtcdPeer {
                name: "m2".to_owned(),
                address: "10.0.0.2".to_owned(),
            },
            cluster: of_services(),
        };
        let error = step.check(&cx).await.unwrap_err();
        assert!(
            error.to_string().contains("etcd does not answer"),
            "{error}"
        );
    }
}
