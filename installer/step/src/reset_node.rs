use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::shell::{ask, must};

/// Takes Kubernetes off a node, whoever set it up: the kubelet and its pods, what is mounted for them, certificates and
/// manifests, interfaces and rules that bear the names of Kubernetes or of a network plugin. Needs the runtime running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetNode {
    /// Data of static pods, removed only where data is purged.
    pub data: Vec<Utf8PathBuf>,
}

const SCRIPT: &str = include_str!("reset_node.sh");
const PATIENCE: Duration = Duration::from_mins(20);

impl ResetNode {
    pub(crate) fn for_data(&self, data: Data) -> Arc<dyn Step> {
        Arc::new(match data {
            Data::Keep => Self { data: Vec::new() },
            Data::Purge => self.clone(),
        })
    }
}

#[async_trait]
impl Step for ResetNode {
    fn id(&self) -> String {
        "reset node".to_owned()
    }

    fn describe(&self) -> String {
        "take Kubernetes off the node".to_owned()
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.data)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let purged: Vec<String> = self
            .data
            .iter()
            .map(|path| host::quote(path.as_str()))
            .collect();
        let script = format!(
            "! systemctl is-active --quiet kubelet || {{ echo the kubelet runs; exit; }}; \
             for path in /etc/kubernetes /var/lib/kubelet /var/lib/cni {}; do \
             [ -z \"$(ls -A \"$path\" 2>/dev/null)\" ] || {{ echo \"there is something in $path\"; exit; }}; done; \
             for path in /sys/class/net/cni0 /sys/class/net/kubexm0 /sys/class/net/flannel.1 \
             /sys/class/net/vxlan.calico /sys/class/net/kube-ipvs0 /sys/class/net/cali*; do \
             [ ! -e \"$path\" ] || {{ echo \"there is the interface ${{path##*/}}\"; exit; }}; done",
            purged.join(" ")
        );
        let reason = ask(cx, Command::script(script)).await?.text();
        Ok(if reason.is_empty() {
            State::Satisfied
        } else {
            State::needed(reason)
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let directories = self.data.iter().map(|path| path.as_str());
        let argv = ["sh", "-c", SCRIPT, "reset-node"]
            .into_iter()
            .chain(directories);
        let reset = Command::new(argv).timeout(PATIENCE);
        must(cx, "take Kubernetes off the node", reset)
            .await
            .map(drop)
            .map_err(|error| {
                error.with_hint("what is left is told above; run again once it is gone")
            })
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of the script that turns a saved table into commands.
    #[test]
    fn only_chains_of_kubernetes_and_rules_that_lead_there_are_removed() {
        let saved = "*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n:KUBE-SERVICES - [0:0]\n:cali-nat - [0:0]\n\
            -A PREROUTING -m comment --comment \"a -j KUBE- word\" -j DOCKER\n\
            -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
            -A KUBE-SERVICES -d 10.233.0.1/32 -j KUBE-SVC-X\nCOMMIT\n";
        let begin = SCRIPT.find("awk -v table=").unwrap();
        let end = begin + SCRIPT[begin..].find("}'").unwrap() + 2;
        let script = format!(
            "table=nat; ours='(KUBE-|CNI-|cali-|FLANNEL-)'; {}",
            &SCRIPT[begin..end]
        );
        let mut child = std::process::Command::new("sh")
            .args(["-c", &script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), saved.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r#"
        *nat
        -D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
        -F KUBE-SERVICES
        -F cali-nat
        -X KUBE-SERVICES
        -X cali-nat
        COMMIT
        "#);
    }
}
