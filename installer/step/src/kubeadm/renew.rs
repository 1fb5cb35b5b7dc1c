use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::kubeadm::etcd::spare;
use crate::kubeadm::static_pods::{apiserver_is_ready, container, runs_anew, settled};
use crate::kubeadm::{CONFIG, NOTES, exclusive, run};
use crate::shell::{ask, must};

/// Has kubeadm sign anew all that it has signed on this master. Nothing is started anew: new files beside old processes do
/// no harm, since the authorities stay, and etcd reads its own again by itself.
///
/// kubeadm gives every certificate the beginning of its authority, so that none tells when it was made: it is noted which
/// renewal was here.
pub struct RenewKubeadmCertificates {
    pub renewal: String,
}

/// Starts this master's own pods anew, one after the other, each well before the next is touched.
pub struct RestartControlPlane {
    pub pods: OwnPods,
    pub renewal: String,
    /// The apiserver's own.
    pub port: u16,
}

/// Which of a master's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnPods {
    ControlPlane,
    /// Only while the others keep the majority.
    Etcd,
}

impl OwnPods {
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::ControlPlane => &[
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
            ],
            Self::Etcd => &["etcd"],
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::ControlPlane => "control plane",
            Self::Etcd => "member of etcd",
        }
    }

    /// What is noted goes by this name.
    const fn note(self) -> &'static str {
        match self {
            Self::ControlPlane => "restarted",
            Self::Etcd => "restarted-etcd",
        }
    }
}

fn is_noted(what: &str, renewal: &str) -> String {
    format!(
        "[ \"$(cat {NOTES}/{what} 2>/dev/null)\" = {} ]",
        host::quote(renewal)
    )
}

async fn note(cx: &Cx, what: &str, renewal: &str) -> Result<(), StepError> {
    let script = format!(
        "mkdir -p {NOTES}; echo {} > {NOTES}/{what}",
        host::quote(renewal)
    );
    must(cx, "note the renewal", Command::script(script))
        .await
        .map(drop)
}

async fn noted(cx: &Cx, what: &str, renewal: &str, lacking: &str) -> Result<State, StepError> {
    let done = ask(cx, Command::script(is_noted(what, renewal))).await?;
    Ok(if done.ok() {
        State::Satisfied
    } else {
        State::needed(lacking)
    })
}

#[async_trait]
impl Step for RenewKubeadmCertificates {
    fn id(&self) -> String {
        "renew kubeadm's certificates".to_owned()
    }

    fn describe(&self) -> String {
        "sign anew what kubeadm has signed".to_owned()
    }

    fn inputs(&self) -> String {
        self.renewal.clone()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        noted(cx, "renewed", &self.renewal, "is of before this renewal").await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let script = format!("quietly kubeadm certs renew all --config {CONFIG}; rm -f \"$log\"");
        run(cx, "renew kubeadm's certificates", exclusive(&script)).await?;
        note(cx, "renewed", &self.renewal).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for RestartControlPlane {
    fn id(&self) -> String {
        format!("restart the {}", self.pods.words())
    }

    fn describe(&self) -> String {
        format!("start this master's {} anew", self.pods.words())
    }

    fn inputs(&self) -> String {
        self.renewal.clone()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let lacking = "runs with certificates of before this renewal";
        noted(cx, self.pods.note(), &self.renewal, lacking).await
    }

    async fn at_work(&self, _: &Cx) -> Result<bool, StepError> {
        Ok(true)
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        if self.pods == OwnPods::Etcd {
            spare(cx).await?;
        }
        for pod in self.pods.names() {
            let stop = format!(
                "export PATH=\"/usr/local/bin:$PATH\"; id=$({}); echo \"$id\"; \
                 [ -z \"$id\" ] || crictl stop --timeout 60 \"$id\" > /dev/null",
                container(pod)
            );
            let before = must(cx, &format!("stop {pod}"), Command::script(stop))
                .await?
                .text();
            let complaints = format!(
                "{}{}",
                runs_anew(pod, before.trim()),
                apiserver_is_ready(self.port)
            );
            settled(cx, pod, &complaints).await?;
        }
        note(cx, self.pods.note(), &self.renewal).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubeadm::static_pods::TOLD_OF;
    use crate::shell::reads;

    #[test]
    fn a_shell_reads_the_scripts() {
        reads(&is_noted("renewed", "2026-11-30T12:00:00Z"));
        reads(&format!(
            "{TOLD_OF}{}{}",
            runs_anew("kube-apiserver", ""),
            apiserver_is_ready(6443)
        ));
    }
}
