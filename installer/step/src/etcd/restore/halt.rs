use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use super::HELD;
use crate::shell::{ask, must};

/// Stops services of a host, in this order, and static pods with them: of these the manifests are held back, so that a
/// kubelet that starts again finds only those that shall run first. Pods of others go on.
pub struct HaltNode {
    pub units: Vec<&'static str>,
    /// Held back, and stopped.
    pub held: Vec<&'static str>,
    /// Stopped alone.
    pub pods: Vec<&'static str>,
}

const PATIENCE: Duration = Duration::from_mins(5);
/// Prints the sandboxes of `$pod`. A runtime that does not answer prints nothing as well: its end has to be asked for, since
/// containers outlive it.
const PODS: &str = "crictl pods --quiet --namespace '^kube-system$' --label component=$pod";

impl HaltNode {
    fn all_pods(&self) -> String {
        let all = self.held.iter().chain(&self.pods);
        all.copied().collect::<Vec<_>>().join(" ")
    }

    /// Prints each that is still at work. One that is stopping is: whoever asked it to may have gone since.
    fn look(&self) -> String {
        let units = self.units.join(" ");
        let look = format!(
            "for unit in {units}; do case $(systemctl is-active $unit 2>/dev/null) in active|activating|deactivating|reloading) echo $unit;; esac; done"
        );
        if self.held.is_empty() && self.pods.is_empty() {
            return look;
        }
        format!(
            "export PATH=\"/usr/local/bin:$PATH\"\n{look}\n\
             for pod in {held}; do [ ! -e /etc/kubernetes/manifests/$pod.yaml ] || echo $pod.yaml; done\n\
             for pod in {all}; do ids=$({PODS}) || {{ echo \"$pod, since the runtime does not tell otherwise,\"; continue; }}; \
             [ -z \"$ids\" ] || echo $pod; done",
            held = self.held.join(" "),
            all = self.all_pods()
        )
    }

    fn stop(&self) -> String {
        let units = self.units.join(" ");
        // The kubelet first: it would start again what is stopped behind its back.
        let stop = format!(
            "set -eu; export PATH=\"/usr/local/bin:$PATH\"\n\
             for unit in {units}; do case $(systemctl is-active $unit 2>/dev/null || true) in inactive|failed|unknown) ;; *) systemctl stop $unit;; esac; done"
        );
        if self.held.is_empty() && self.pods.is_empty() {
            return stop;
        }
        format!(
            "{stop}
mkdir -p {HELD}; chmod 700 {HELD}
for pod in {held}; do [ ! -e /etc/kubernetes/manifests/$pod.yaml ] || mv -f /etc/kubernetes/manifests/$pod.yaml {HELD}/; done
untold() {{ echo \"the runtime does not tell whether $pod runs\" >&2; exit 1; }}
for pod in {all}; do
  ids=$({PODS}) || untold
  for id in $ids; do
    containers=$(crictl ps --quiet --pod $id) || untold
    for container in $containers; do crictl stop --timeout 20 $container > /dev/null; done
    crictl stopp $id > /dev/null; crictl rmp --force $id > /dev/null
  done
done",
            held = self.held.join(" "),
            all = self.all_pods()
        )
    }
}

#[async_trait]
impl Step for HaltNode {
    fn id(&self) -> String {
        format!("halt {}", self.units.join(" "))
    }

    fn describe(&self) -> String {
        let mut all = self.units.join(", ").replace(".service", "");
        if !self.all_pods().is_empty() {
            all = format!("{all}, and the pods {}", self.all_pods().replace(' ', ", "));
        }
        format!("stop {all}")
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let at_work = ask(cx, Command::script(self.look())).await?.text();
        let at_work: Vec<&str> = at_work.lines().collect();
        Ok(if at_work.is_empty() {
            State::Satisfied
        } else {
            State::needed(format!("{} at work", at_work.join(", ")))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let stop = Command::script(self.stop()).timeout(PATIENCE);
        let stopped = must(cx, "stop what reads the store", stop).await;
        stopped.map(drop).map_err(|error| {
            if error.to_string().contains("does not tell") {
                error.with_hint("on that host: systemctl status of its runtime, crictl pods; no data was changed")
            } else {
                error
            }
        })
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_scripts() {
        for (held, pods) in [
            (vec!["kube-apiserver", "kube-scheduler"], vec!["etcd"]),
            (vec![], vec![]),
        ] {
            let step = HaltNode {
                units: vec!["kubelet.service"],
                held,
                pods,
            };
            crate::shell::reads(&step.look());
            crate::shell::reads(&step.stop());
        }
    }

    /// Both scripts on a host with this crictl: whether each went well, and what it said.
    fn on_a_host(crictl: &str) -> [(bool, String); 2] {
        where_units_are("inactive", crictl)
    }

    fn where_units_are(state: &str, crictl: &str) -> [(bool, String); 2] {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let systemctl = format!("[ $1 = stop ] || echo {state}");
        for (name, body) in [("crictl", crictl), ("systemctl", &systemctl)] {
            let path = dir.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let step = HaltNode {
            units: vec!["kubelet.service"],
            held: Vec::new(),
            pods: vec!["etcd"],
        };
        let dir = dir.path().to_str().unwrap();
        [step.look(), step.stop()].map(|script| {
            let script = script.replace("/usr/local/bin", dir);
            let script = script.replace(HELD, &format!("{dir}/held"));
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output();
            let output = output.unwrap();
            let said = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8(said).unwrap())
        })
    }

    #[test]
    fn what_is_stopping_has_not_stopped() {
        for state in ["active", "activating", "deactivating"] {
            let [look, stop] = where_units_are(state, "exit 0");
            assert_eq!(look.1, "kubelet.service\n", "{state}");
            assert!(stop.0, "{stop:?}");
        }
        assert_eq!(where_units_are("failed", "exit 0")[0].1, "");
    }

    #[test]
    fn what_the_runtime_does_not_tell_has_not_stopped() {
        let [look, stop] = on_a_host("echo 'connection refused' >&2; exit 1");
        assert!(
            look.1.contains("etcd, since the runtime does not tell"),
            "{look:?}"
        );
        assert!(
            !stop.0 && stop.1.contains("does not tell whether etcd runs"),
            "{stop:?}"
        );
        let [look, stop] = on_a_host("case $1 in pods) echo 01 ;; *) exit 1 ;; esac");
        assert_eq!(look.1, "etcd\n");
        assert!(!stop.0, "{stop:?}");
        assert_eq!(
            on_a_host("exit 0"),
            [(true, String::new()), (true, String::new())]
        );
    }
}
