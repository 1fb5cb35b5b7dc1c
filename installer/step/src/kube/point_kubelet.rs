use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use super::cordon_node::node;
use super::kubectl::ask_kubectl;
use crate::shell::{REPLACE, ask, must, refused};

/// Leads a kubelet that kubeadm has set up to another runtime: wherever kubeadm has noted a socket on its host, this one stands.
/// A flag would win over the kubelet's configuration, and what is noted is what the next upgrade goes by.
pub struct PointKubelet {
    /// `unix:///run/crio/crio.sock`
    pub endpoint: &'static str,
}

/// The same of what kubeadm has noted in the cluster.
pub struct PointNode {
    pub node: String,
    pub endpoint: &'static str,
    /// The host that asks the cluster.
    pub by: &'static str,
}

const FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";
const FILES: &str = "/var/lib/kubelet/instance-config.yaml /var/lib/kubelet/config.yaml";
const ANNOTATION: &str = "kubeadm.alpha.kubernetes.io/cri-socket";

impl PointKubelet {
    /// Each file, and how it is written anew; `sed` is given the expression.
    fn edits(&self) -> String {
        let endpoint = self.endpoint;
        format!(
            "flag='s|--container-runtime-endpoint=[^ \"]*|--container-runtime-endpoint={endpoint}|'
key='s|^containerRuntimeEndpoint:.*|containerRuntimeEndpoint: {endpoint}|'
of() {{ if [ \"$1\" = {FLAGS} ]; then echo \"$flag\"; else echo \"$key\"; fi; }}
"
        )
    }

    fn looks(&self) -> String {
        let edits = self.edits();
        format!(
            "{edits}for file in {FLAGS} {FILES}; do
[ ! -f $file ] || [ \"$(sed \"$(of $file)\" $file)\" = \"$(cat $file)\" ] || echo $file
done"
        )
    }

    fn writes(&self) -> String {
        let edits = self.edits();
        format!(
            "{REPLACE}
{edits}for file in {FLAGS} {FILES}; do
[ ! -f $file ] || replace $file sed \"$(of $file)\" $file || exit
done"
        )
    }
}

#[async_trait]
impl Step for PointKubelet {
    fn id(&self) -> String {
        "point the kubelet".to_owned()
    }

    fn describe(&self) -> String {
        format!("lead the kubelet to {}", self.endpoint)
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let told = ask(cx, Command::script(self.looks())).await?.text();
        Ok(match told.lines().next() {
            None => State::Satisfied,
            Some(file) => State::needed(format!("{file} names another socket")),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let trying = "lead the kubelet to its runtime";
        must(cx, trying, Command::script(self.writes()))
            .await
            .map(drop)
    }

    /// It goes with the kubelet's own.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for PointNode {
    fn id(&self) -> String {
        format!("point {}", self.node)
    }

    fn describe(&self) -> String {
        format!("note the runtime of {} in the cluster", self.node)
    }

    fn done_on(&self) -> Option<&'static str> {
        Some(self.by)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let node = node(cx, &self.node).await?;
        let noted = node.and_then(|node| node.metadata.annotations.get(ANNOTATION).cloned());
        Ok(match noted {
            Some(noted) if noted != self.endpoint => {
                State::needed(format!("{noted} is noted in the cluster"))
            }
            Some(_) | None => State::Satisfied,
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let value = format!("{ANNOTATION}={}", self.endpoint);
        let annotate = ["annotate", "--overwrite", "node", &self.node, &value];
        let output = ask_kubectl(cx, &annotate).await?;
        if output.ok() {
            Ok(())
        } else {
            Err(refused(
                &format!("note the runtime of {}", self.node),
                &output,
            ))
        }
    }

    /// It goes with the node.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn run(script: &str, dir: &str) -> String {
        let script = script.replace("/var/lib/kubelet", dir);
        crate::shell::reads(&script);
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{script}\n{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_kubelet_is_led_to_its_runtime_wherever_kubeadm_has_noted_it() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().to_str().unwrap();
        let at = |name: &str| temp.path().join(name);
        let flags = "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/containerd/containerd.sock --pod-infra=x\"\n";
        fs::write(at("kubeadm-flags.env"), flags).unwrap();
        let instance = "kind: KubeletConfiguration\ncontainerRuntimeEndpoint: unix:///run/containerd/containerd.sock\n";
        fs::write(at("instance-config.yaml"), instance).unwrap();
        let step = PointKubelet {
            endpoint: "unix:///run/crio/crio.sock",
        };
        assert_eq!(run(&step.looks(), dir).lines().count(), 2);
        run(&step.writes(), dir);
        assert_eq!(run(&step.looks(), dir), "");
        let now = |name: &str| fs::read_to_string(at(name)).unwrap();
        let socket = "/run/containerd/containerd.sock";
        let other = "/run/crio/crio.sock";
        assert_eq!(now("kubeadm-flags.env"), flags.replace(socket, other));
        assert_eq!(now("instance-config.yaml"), instance.replace(socket, other));
        assert!(!at("config.yaml").exists());
    }
}
