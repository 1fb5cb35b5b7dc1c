use async_trait::async_trait;
use engine::{Cx, Question, Slot, SlotId, State, StepError};

use super::kubectl::kubectl;
use crate::Resolvers;
use crate::shell::must;

/// Whom coredns asks now for names that the cluster does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// The DNS servers of the hosts.
    Hosts,
    /// Nobody: the hosts had none that a pod reaches.
    Nobody,
    /// Nothing that kubexm has decided.
    Undecided,
}

/// Looks whether coredns was told to ask the hosts' DNS servers, where not every host can be asked now whether it has any:
/// what was decided by all of them stays, or coredns would be told otherwise by each host that is down for a day. Nobody
/// is asked where all hosts have told.
pub struct LookAtForwarding {
    /// What the hosts have told, those who could.
    pub told: Vec<Slot<Resolvers>>,
    pub found: Slot<Forwarding>,
}

impl Forwarding {
    /// By what kubexm alone writes: kubeadm's own Corefile asks the hosts' as well, and decides nothing.
    fn of(corefile: &str) -> Self {
        let lines = || corefile.lines().map(str::trim);
        if lines().any(|line| line == "forward . 127.0.0.1:1053") {
            return Self::Nobody;
        }
        let asks_hosts = lines().any(|line| line == "forward . /etc/resolv.conf {");
        if asks_hosts && lines().any(|line| line == "policy random") {
            return Self::Hosts;
        }
        Self::Undecided
    }
}

#[async_trait]
impl Question for LookAtForwarding {
    fn id(&self) -> String {
        "look at forwarding".to_owned()
    }

    fn describe(&self) -> String {
        "look whom coredns asks".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.found.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let found = if self.told.iter().all(|host| host.get().is_some()) {
            Forwarding::Undecided
        } else {
            let corefile = kubectl(&[
                "get",
                "configmap",
                "coredns",
                "--namespace=kube-system",
                "--ignore-not-found",
                "--output=jsonpath={.data.Corefile}",
            ]);
            let told = must(cx, "read the Corefile of the cluster", corefile).await?;
            Forwarding::of(&told.text())
        };
        self.found.fill(found);
        Ok(State::Satisfied)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    const HOSTS: &str = "    forward . /etc/resolv.conf {\n        max_concurrent 1000\n        policy random\n    }\n";

    async fn looked(told: &[Option<Resolvers>], corefile: &str) -> (Forwarding, String) {
        let host = Arc::new(FakeHost::new("node1").on("get configmap coredns", 0, corefile));
        let slot = |told: &Option<Resolvers>| {
            let slot = Slot::new("the DNS servers");
            if let Some(told) = told {
                slot.fill(*told);
            }
            slot
        };
        let look = LookAtForwarding {
            told: told.iter().map(slot).collect(),
            found: Slot::new("forwarding"),
        };
        look.check(&Cx::new(host.clone(), Progress::unseen()))
            .await
            .unwrap();
        (*look.found.get().unwrap(), host.transcript())
    }

    #[tokio::test]
    async fn what_was_decided_is_asked_for_where_a_host_cannot_tell() {
        let one_is_down = [Some(Resolvers::Reachable), None];
        for (corefile, found) in [
            (HOSTS, Forwarding::Hosts),
            ("    forward . 127.0.0.1:1053\n", Forwarding::Nobody),
            // kubeadm's own.
            (
                "    forward . /etc/resolv.conf {\n       max_concurrent 1000\n    }\n",
                Forwarding::Undecided,
            ),
            ("", Forwarding::Undecided),
        ] {
            assert_eq!(looked(&one_is_down, corefile).await.0, found, "{corefile}");
        }
    }

    #[tokio::test]
    async fn nobody_is_asked_where_all_hosts_have_told() {
        let all = [Some(Resolvers::Reachable), Some(Resolvers::Unreachable)];
        let (found, asked) = looked(&all, HOSTS).await;
        assert_eq!((found, &*asked), (Forwarding::Undecided, ""));
    }
}
