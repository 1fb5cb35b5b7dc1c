use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, Retry, State, Step, StepError};
use host::Command;

use crate::shell::ask;

/// Proves that somebody answers at a virtual address, waiting until hosts have agreed on who has it.
pub struct ReachAddress {
    pub address: SocketAddr,
    pub patience: Duration,
}

/// Proves that this node reaches a ready apiserver as its kubelet does: by the endpoint's name, with its own certificate.
pub struct ReachApiserver {
    /// For sentences.
    pub endpoint: String,
    pub patience: Duration,
}

const ASK_EVERY: Duration = Duration::from_secs(1);

impl ReachAddress {
    /// VRRP takes a few seconds to agree.
    pub const PATIENCE: Duration = Duration::from_secs(30);

    fn attempt(&self) -> String {
        let connect = format!(": </dev/tcp/{}/{}", self.address.ip(), self.address.port());
        format!("timeout 2 bash -c {} 2>/dev/null", host::quote(&connect))
    }
}

#[async_trait]
impl Step for ReachAddress {
    fn id(&self) -> String {
        format!("reach {}", self.address)
    }

    fn describe(&self) -> String {
        format!("reach the virtual address {}", self.address)
    }

    fn retry(&self) -> Retry {
        Retry {
            attempts: 1,
            first_delay: Duration::ZERO,
        }
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        Ok(if ask(cx, Command::script(self.attempt())).await?.ok() {
            State::Satisfied
        } else {
            State::needed("does not answer")
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || self.check(cx);
        if cx.wait_until(self.patience, ASK_EVERY, look).await? == State::Satisfied {
            return Ok(());
        }
        let error = format!("{} does not answer", self.address);
        Err(StepError::new(error).with_hint(
            "on the load balancers: journalctl -u keepalived; ip addr; a network that lets only known addresses \
             through must be told of this one",
        ))
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

const READY: [&str; 6] = [
    "/usr/local/bin/kubectl",
    "--kubeconfig=/etc/kubernetes/kubelet.conf",
    "--request-timeout=3s",
    "get",
    "--raw",
    "/readyz",
];

#[async_trait]
impl Step for ReachApiserver {
    fn id(&self) -> String {
        "reach the apiserver".to_owned()
    }

    fn describe(&self) -> String {
        format!("reach the apiserver through {}", self.endpoint)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let output = ask(cx, Command::new(READY)).await?;
        Ok(if output.ok() {
            State::Satisfied
        } else {
            State::needed(output.last_words())
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || self.check(cx);
        match cx.wait_until(self.patience, ASK_EVERY, look).await? {
            State::Satisfied => Ok(()),
            State::Needed(lacking) => {
                let error = format!(
                    "cannot reach the apiserver through {}: {lacking}",
                    self.endpoint
                );
                Err(StepError::new(error).with_hint(
                    "on the host: getent hosts, and the log of the load balancer it leads to",
                ))
            }
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
