use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::ResetNode;
use crate::kubeadm::{CONFIG, NOTES, exclusive, note_kubelet, run, without_signed};
use crate::shell::ask;

/// Begins the cluster on its first master. Every phase of kubeadm but the preflight may be run again, and so an init
/// that was cut short is begun anew without that one: the ports and files it would find are its own. Whether it was cut
/// short, a note tells that is written after the preflight and taken away at the end.
pub struct KubeadmInit {
    /// What kubeadm signs by itself, without suffix.
    pub certificates: Vec<String>,
    pub reset: Arc<ResetNode>,
}

/// What a master has when its init has gone through.
const STATE: &str = "for pod in kube-apiserver kube-controller-manager kube-scheduler; do \
     [ -e /etc/kubernetes/manifests/$pod.yaml ] || { echo \"$pod is not set up\"; exit; }; done; \
     [ -e /etc/kubernetes/admin.conf ] || echo admin.conf is missing";

#[async_trait]
impl Step for KubeadmInit {
    fn id(&self) -> String {
        "kubeadm init".to_owned()
    }

    fn describe(&self) -> String {
        "begin the control plane with kubeadm".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let script = format!("[ ! -e {NOTES}/init ] || {{ echo was cut short; exit; }}; {STATE}");
        let output = ask(cx, Command::script(script)).await?;
        Ok(match output.text() {
            reason if reason.is_empty() => State::Satisfied,
            reason => State::needed(reason),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        note_kubelet(cx).await?;
        // A disk of its own has this in it, and kubeadm begins a store in an empty directory alone. If need be, fsck
        // makes it anew.
        let remains = self.reset.data.iter().map(|data| {
            let path = host::quote(data.join("lost+found").as_str());
            format!("rmdir {path} 2>/dev/null || true; ")
        });
        let remains: String = remains.collect();
        let script = format!(
            "missing=$({STATE})
if [ -e {NOTES}/init ]; then {signed}
elif [ -z \"$missing\" ]; then exit 0
else {remains}quietly kubeadm init phase preflight --config {CONFIG}; : > {NOTES}/init; fi
quietly kubeadm init --config {CONFIG} --skip-phases preflight --skip-token-print
rm -f {NOTES}/init \"$log\"",
            signed = without_signed(&self.certificates),
        );
        run(cx, "begin the control plane", exclusive(&script))
            .await
            .map(drop)
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        Some(self.reset.for_data(data))
    }
}
