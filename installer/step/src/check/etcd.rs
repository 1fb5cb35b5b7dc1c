use std::collections::BTreeSet;

use async_trait::async_trait;
use engine::{Cx, Question, Retry, State, Step, StepError};
use host::Output;
use serde::Deserialize;

use super::{count, list};
use crate::etcd::etcdctl::{EtcdCluster, JOURNAL_OF_EACH, Member, leave_own_words};
use crate::kube::kubectl::ask_kubectl;
use crate::kube::objects::Pod;
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
            return Err(StepError::passing(why).with_hint(JOURNAL_OF_EACH));
        }
        cx.progress.seen(healthy(self.cluster.peers.len()), None);
        Ok(State::Satisfied)
    }
}

/// The etcd that kubeadm runs as pods of the masters has them all as members, and all of them are healthy.
pub struct ProveStackedEtcd {
    /// The nodes that a member runs on.
    pub members: BTreeSet<String>,
    pub patience: Retry,
}

const HINT: &str = "on the masters: crictl ps -a --name etcd; crictl logs ID";

impl ProveStackedEtcd {
    async fn etcdctl(cx: &Cx, pod: &Pod, arguments: &[&str]) -> Result<Output, StepError> {
        // Its loopback address is of the family of this one.
        let endpoint = match pod.status.pod_ip.as_str() {
            v6 if v6.contains(':') => format!("--endpoints=https://[{v6}]:2379"),
            v4 => format!("--endpoints=https://{v4}:2379"),
        };
        let pod = pod.metadata.name.as_str();
        let exec = [
            "--request-timeout=20s",
            "exec",
            "--namespace=kube-system",
            pod,
            "--container=etcd",
            "--",
            "etcdctl",
            "--command-timeout=10s",
            &endpoint,
            "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
            "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt",
            "--key=/etc/kubernetes/pki/etcd/healthcheck-client.key",
        ];
        let mut output = ask_kubectl(cx, &[&exec, arguments].concat()).await?;
        leave_own_words(&mut output);
        if output.ok() {
            Ok(output)
        } else {
            Err(
                StepError::passing(format!("etcd in {pod}: {}", output.last_words()))
                    .with_hint(HINT),
            )
        }
    }
}

#[async_trait]
impl Question for ProveStackedEtcd {
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
        #[derive(Deserialize)]
        struct Members {
            members: Vec<Member>,
        }
        let of_etcd = [
            "pods",
            "--namespace=kube-system",
            "--selector=component=etcd",
        ];
        let pods: Vec<Pod> = list(cx, &of_etcd).await?;
        let Some(pod) = pods.iter().find(|pod| pod.is_ready()) else {
            return Err(StepError::passing("no pod of etcd is ready").with_hint(HINT));
        };
        let listed = Self::etcdctl(cx, pod, &["member", "list", "--write-out=json"]).await?;
        let listed: Members = serde_json::from_slice(&listed.stdout).map_err(|error| {
            StepError::new(format!("cannot read etcd's list of members: {error}"))
        })?;
        if let Some(learner) = listed.members.iter().find(|member| member.learner) {
            let error = format!("{} is still a learner", learner.title());
            return Err(StepError::passing(error).with_hint(HINT));
        }
        let found: BTreeSet<String> = listed.members.iter().map(Member::title).collect();
        if found != self.members {
            return Err(StepError::passing(format!(
                "the members of etcd are {found:?}, not {:?}",
                self.members
            ))
            .with_hint(HINT));
        }
        Self::etcdctl(cx, pod, &["endpoint", "health", "--cluster"]).await?;
        cx.progress.seen(healthy(found.len()), None);
        Ok(State::Satisfied)
    }
}

fn healthy(members: usize) -> String {
    format!("{}, all healthy", count(members as u64, "member"))
}
