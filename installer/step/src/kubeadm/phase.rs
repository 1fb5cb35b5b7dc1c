use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::kubeadm::{CONFIG, KUBECTL, exclusive, run};
use crate::shell::ask;

/// What kubeadm keeps in the cluster, done once and again when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubeadmPhase {
    /// `ConfigMap`s from which kubeadm itself learns how the cluster was made.
    UploadConfig,
    /// kube-proxy on every node; a changed configuration restarts it, node by node.
    KubeProxy,
}

/// Has the cluster hold what a phase of `kubeadm init` puts there. What it was made from is noted on the object itself.
pub struct RunKubeadmPhase {
    pub phase: KubeadmPhase,
    /// Of all that the phase reads.
    pub digest: String,
}

impl KubeadmPhase {
    const fn name(self) -> &'static str {
        match self {
            Self::UploadConfig => "upload-config all",
            Self::KubeProxy => "addon kube-proxy",
        }
    }

    /// Where the digest is noted, as jsonpath: kube-proxy's pods carry it themselves and so follow each change.
    const fn note(self) -> &'static str {
        match self {
            Self::UploadConfig => {
                "configmap kubeadm-config --output 'jsonpath={.metadata.annotations.kubexm\\.io/config}'"
            }
            Self::KubeProxy => {
                "daemonset kube-proxy --output \
                 'jsonpath={.spec.template.metadata.annotations.kubexm\\.io/config}'"
            }
        }
    }

    fn write_note(self, digest: &str) -> String {
        match self {
            Self::UploadConfig => {
                format!("annotate --overwrite configmap kubeadm-config kubexm.io/config={digest}")
            }
            Self::KubeProxy => format!(
                "patch daemonset kube-proxy --patch \
                 '{{\"spec\":{{\"template\":{{\"metadata\":{{\"annotations\":{{\"kubexm.io/config\":\"{digest}\"}}}}}}}}}}'"
            ),
        }
    }
}

#[async_trait]
impl Step for RunKubeadmPhase {
    fn id(&self) -> String {
        format!("kubeadm {}", self.phase.name())
    }

    fn describe(&self) -> String {
        match self.phase {
            KubeadmPhase::UploadConfig => "keep kubeadm's configuration in the cluster".to_owned(),
            KubeadmPhase::KubeProxy => "run kube-proxy on every node".to_owned(),
        }
    }

    fn inputs(&self) -> String {
        self.digest.clone()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let note = self.phase.note();
        let get = format!("{KUBECTL} --namespace kube-system get {note}");
        let output = ask(cx, Command::script(get)).await?;
        Ok(match output.text() {
            _ if !output.ok() => State::needed(output.last_words()),
            text if text == self.digest => State::Satisfied,
            text if text.is_empty() => State::needed("is as kubeadm left it"),
            _ => State::needed("is of another configuration"),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let name = self.phase.name();
        let script = format!(
            "quietly kubeadm init phase {name} --config {CONFIG}; quietly {KUBECTL} --namespace kube-system {}; \
             rm -f \"$log\"",
            self.phase.write_note(&self.digest)
        );
        run(cx, &format!("run kubeadm's {name}"), exclusive(&script))
            .await
            .map(drop)
    }

    /// Objects go with the cluster.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
