use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use super::HELD;
use crate::kube::kubectl::ask_kubectl;
use crate::kubeadm::{apiserver_is_ready, container, settled};
use crate::service::run::{NOTES, with_last_lines};
use crate::shell::{ask, must, refused};

/// Starts services again that were stopped for a while, with the files that they had.
pub struct StartUnits {
    pub units: Vec<&'static str>,
    pub wait: StartWait,
}

/// Whether a start is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartWait {
    UntilUp,
    /// Members of a store come up together or not at all.
    Together,
}

const PATIENCE: Duration = Duration::from_mins(5);

impl StartUnits {
    fn look(&self) -> String {
        let wanted = match self.wait {
            StartWait::UntilUp => "active",
            StartWait::Together => "active|activating",
        };
        format!(
            "for unit in {}; do case $(systemctl is-active $unit 2>/dev/null) in {wanted}) ;; *) echo \"$unit\";; esac; done",
            self.units.join(" ")
        )
    }
}

#[async_trait]
impl Step for StartUnits {
    fn id(&self) -> String {
        format!("start {}", self.units.join(" "))
    }

    fn describe(&self) -> String {
        format!("start {}", self.units.join(", ").replace(".service", ""))
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let stopped = ask(cx, Command::script(self.look())).await?.text();
        let stopped: Vec<&str> = stopped.lines().collect();
        Ok(if stopped.is_empty() {
            State::Satisfied
        } else {
            State::needed(format!("{} does not run", stopped.join(", ")))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let block = match self.wait {
            StartWait::UntilUp => "",
            StartWait::Together => "--no-block ",
        };
        for unit in &self.units {
            // When it was started is what a heartbeat is compared with.
            let script = format!(
                "touch -c {NOTES}/{unit}; systemctl reset-failed {unit} 2>/dev/null; systemctl start {block}{unit}"
            );
            let command = Command::script(script).timeout(PATIENCE);
            let output = ask(cx, command).await?;
            if !output.ok() {
                let error = refused(&format!("start {unit}"), &output);
                return Err(with_last_lines(cx, unit, error.to_string()).await);
            }
        }
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// Gives the kubelet back the manifests of static pods that were held, and waits until they run.
pub struct StartStaticPods {
    pub pods: Vec<&'static str>,
    /// The apiserver's own port, where it must be ready as well.
    pub apiserver: Option<u16>,
}

impl StartStaticPods {
    fn complaints(&self) -> String {
        let runs = self.pods.iter().map(|pod| {
            format!(
                "[ -n \"$({})\" ] || {{ told_of {pod}; exit; }}; ",
                container(pod)
            )
        });
        let ready = self.apiserver.map(apiserver_is_ready);
        runs.chain(ready).collect()
    }

    fn held(&self) -> String {
        format!(
            "for pod in {}; do [ ! -e {HELD}/$pod.yaml ] || echo \"$pod\"; done",
            self.pods.join(" ")
        )
    }
}

#[async_trait]
impl Step for StartStaticPods {
    fn id(&self) -> String {
        format!("start pods {}", self.pods.join(" "))
    }

    fn describe(&self) -> String {
        format!("start the static pods {}", self.pods.join(", "))
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let script = format!(
            "export PATH=\"/usr/local/bin:$PATH\"\ntold_of() {{ echo \"$1 has no container that runs\"; }}\n\
             held=$({}); [ -z \"$held\" ] || {{ echo held back; exit; }}\n{}",
            self.held(),
            self.complaints()
        );
        let lacking = ask(cx, Command::script(script)).await?.text();
        Ok(if lacking.is_empty() {
            State::Satisfied
        } else {
            State::Needed(lacking)
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let give_back = format!(
            "set -e; for pod in {}; do [ ! -e {HELD}/$pod.yaml ] || mv -f {HELD}/$pod.yaml /etc/kubernetes/manifests/; done; \
             rmdir {HELD} 2>/dev/null || true",
            self.pods.join(" ")
        );
        must(cx, "give the manifests back", Command::script(give_back)).await?;
        settled(cx, "the control plane", &self.complaints()).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// Has the system's own workloads start anew: what they have cached is of a store that is no more.
pub struct RestartWorkloads {
    pub id: String,
}

const NOTE: &str = "kubexm.io/etcd-restore";
const NAMESPACES: [&str; 3] = ["kube-system", "kube-flannel", "calico-system"];

impl RestartWorkloads {
    /// Each workload that was not started anew for this restore.
    async fn stale(&self, cx: &Cx) -> Result<Vec<(String, String)>, StepError> {
        let mut stale = Vec::new();
        for namespace in NAMESPACES {
            let get = [
                "--namespace",
                namespace,
                "get",
                "daemonsets,deployments",
                "--output=jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.annotations.kubexm\\.io/etcd-restore}{\"\\n\"}{end}",
            ];
            let output = ask_kubectl(cx, &get).await?;
            if !output.ok() {
                return Err(refused("look for the system's workloads", &output));
            }
            for line in output.text().lines() {
                let (workload, id) = line.split_once(' ').unwrap_or((line, ""));
                if !workload.is_empty() && id != self.id {
                    stale.push((namespace.to_owned(), workload.to_lowercase()));
                }
            }
        }
        Ok(stale)
    }
}

#[async_trait]
impl Step for RestartWorkloads {
    fn id(&self) -> String {
        "restart the system's workloads".to_owned()
    }

    fn describe(&self) -> String {
        "start kube-proxy, DNS and the network anew".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let stale = self.stale(cx).await?;
        Ok(if stale.is_empty() {
            State::Satisfied
        } else {
            let names: Vec<&str> = stale.iter().map(|(_, name)| name.as_str()).collect();
            State::needed(format!("{} may know what is no more", names.join(", ")))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let note = format!("{NOTE}={}", self.id);
        for (namespace, workload) in self.stale(cx).await? {
            let restart = ["--namespace", &namespace, "rollout", "restart", &workload];
            let annotate = [
                "--namespace",
                &namespace,
                "annotate",
                "--overwrite",
                &workload,
                &note,
            ];
            for arguments in [&restart[..], &annotate[..]] {
                let output = ask_kubectl(cx, arguments).await?;
                if !output.ok() {
                    return Err(refused(&format!("restart {workload}"), &output));
                }
            }
        }
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::reads;

    #[test]
    fn a_shell_reads_the_scripts() {
        let units = StartUnits {
            units: vec!["etcd.service"],
            wait: StartWait::Together,
        };
        reads(&units.look());
        let pods = StartStaticPods {
            pods: vec!["kube-apiserver"],
            apiserver: Some(6443),
        };
        reads(&pods.complaints());
        reads(&pods.held());
    }
}
