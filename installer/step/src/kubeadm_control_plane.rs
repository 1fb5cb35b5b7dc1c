use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, Slot, State, Step, StepError};
use host::Command;
use tokio::time::{Instant, sleep};

use crate::kubeadm::{CONFIG, KUBECTL, NOTES, exclusive, run, with_last_seen};
use crate::shell::{ask, must};

/// Has a master's static pods run as `kubeadm.yaml` and the kubeadm of this host would have them, and its apiserver
/// ready. A digest of the two is noted when that is so: an unchanged master is left alone, and a change that was cut
/// short is seen by the next run. Masters follow each other; after one that does not come up, no other is touched.
pub struct KubeadmControlPlane {
    pub node: String,
    /// The apiserver's own.
    pub port: u16,
    /// The same for all masters: who did not come up.
    pub halted: Slot<String>,
}

const PODS: &str = "kube-apiserver kube-controller-manager kube-scheduler";
const DIGEST: &str =
    "cat /etc/kubernetes/kubeadm.yaml /usr/local/bin/kubeadm | sha256sum | cut -d' ' -f1";
/// Longer than an apiserver needs to start, and to drain the one of before.
const RECOVERY: Duration = Duration::from_mins(5);
const ASK_EVERY: Duration = Duration::from_secs(2);

impl KubeadmControlPlane {
    fn ready(&self) -> String {
        let port = self.port;
        // The other two answer with certificates that nobody signed, to anybody; without a name kubectl asks for one.
        format!(
            "{KUBECTL} --server https://127.0.0.1:{port} get --raw /readyz > /dev/null 2>&1 || \
             {{ echo the apiserver is not ready; exit; }}; \
             healthy() {{ /usr/local/bin/kubectl --kubeconfig /dev/null --username none --password none --request-timeout 10s \
             --insecure-skip-tls-verify --server \"https://127.0.0.1:$1\" get --raw /healthz > /dev/null 2>&1; }}; \
             healthy 10257 || {{ echo the controller manager is not healthy; exit; }}; \
             healthy 10259 || {{ echo the scheduler is not healthy; exit; }}"
        )
    }

    /// Writes the manifests anew; prints each pod that is another now, with the container of before.
    fn regenerate() -> String {
        format!(
            "[ \"$({DIGEST})\" != \"$(cat {NOTES}/control-plane 2>/dev/null)\" ] || exit 0
pki=/etc/kubernetes/pki
quietly kubeadm init phase certs apiserver --config {CONFIG} 2>/dev/null || {{
  mv -f $pki/apiserver.crt $pki/apiserver.crt.old; mv -f $pki/apiserver.key $pki/apiserver.key.old
  quietly kubeadm init phase certs apiserver --config {CONFIG} || {{
    mv -f $pki/apiserver.crt.old $pki/apiserver.crt; mv -f $pki/apiserver.key.old $pki/apiserver.key; exit 1; }}
  rm -f $pki/apiserver.crt.old $pki/apiserver.key.old; }}
before=$(for pod in {PODS}; do sha256sum < /etc/kubernetes/manifests/$pod.yaml; done)
containers=$(for pod in {PODS}; do \
             echo \"$pod $(crictl ps --quiet --label io.kubernetes.container.name=$pod | head -n 1)\"; done)
quietly kubeadm init phase control-plane all --config {CONFIG}
after=$(for pod in {PODS}; do sha256sum < /etc/kubernetes/manifests/$pod.yaml; done)
line=0
for pod in {PODS}; do line=$((line + 1))
  [ \"$(echo \"$before\" | sed -n ${{line}}p)\" = \"$(echo \"$after\" | sed -n ${{line}}p)\" ] || \
             echo \"$containers\" | grep \"^$pod \"; done
rm -f \"$log\""
        )
    }

    /// Until every changed pod runs in a container of its own, and all answer.
    async fn settled(&self, cx: &Cx, changed: &[(String, String)]) -> Result<(), StepError> {
        let replaced: Vec<String> = changed
            .iter()
            .map(|(pod, container)| {
                format!(
                    "id=$(crictl ps --quiet --label io.kubernetes.container.name={pod} | head -n 1); \
                     [ -n \"$id\" ] && [ \"$id\" != {} ] || {{ echo {pod} runs as before; exit; }}",
                    host::quote(container)
                )
            })
            .collect();
        let script = format!(
            "export PATH=\"/usr/local/bin:$PATH\"; {}{}",
            replaced
                .iter()
                .fold(String::new(), |all, one| all + one + "; "),
            self.ready()
        );
        let deadline = Instant::now() + RECOVERY;
        loop {
            let lacking = ask(cx, Command::script(&*script)).await?.text();
            if lacking.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let seconds = RECOVERY.as_secs();
                let error =
                    format!("the control plane did not settle within {seconds} s: {lacking}");
                return Err(with_last_seen(cx, StepError::new(error)).await);
            }
            sleep(ASK_EVERY).await;
        }
    }

    async fn roll(&self, cx: &Cx) -> Result<(), StepError> {
        let trying = "write the manifests of the control plane";
        let output = run(cx, trying, exclusive(&Self::regenerate())).await?;
        let changed: Vec<(String, String)> = output
            .text()
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(pod, container)| (pod.to_owned(), container.trim().to_owned()))
            .collect();
        self.settled(cx, &changed).await?;
        let note = format!("mkdir -p {NOTES}; {DIGEST} > {NOTES}/control-plane");
        must(
            cx,
            "note what the control plane runs with",
            Command::script(note),
        )
        .await
        .map(drop)
    }
}

#[async_trait]
impl Step for KubeadmControlPlane {
    fn id(&self) -> String {
        "static pods".to_owned()
    }

    fn describe(&self) -> String {
        "run the control plane's static pods".to_owned()
    }

    fn inputs(&self) -> String {
        self.port.to_string()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let script = format!(
            "[ \"$({DIGEST})\" = \"$(cat {NOTES}/control-plane 2>/dev/null)\" ] || \
             {{ echo runs with an older configuration; exit; }}; {}",
            self.ready()
        );
        let reason = ask(cx, Command::script(script)).await?.text();
        Ok(if reason.is_empty() {
            State::Satisfied
        } else {
            State::needed(reason)
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        if let Some(halted) = self.halted.get() {
            return Err(StepError::new(format!(
                "the control plane runs with an older configuration and is not touched, because it did not come up on \
                 {halted}"
            ))
            .with_hint(format!("mend it on {halted}, then run again")));
        }
        let done = self.roll(cx).await;
        if done.is_err() {
            self.halted.fill(self.node.clone());
        }
        done
    }

    /// `ResetNode`, the counterpart of setting up the node, takes the pods away.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
