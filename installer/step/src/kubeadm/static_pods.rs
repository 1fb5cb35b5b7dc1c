//! How steps replace the static pods of a master, and see that the new ones run.

use std::time::Duration;

use engine::{Cx, State, StepError};
use host::Command;

use crate::kubeadm::{KUBECTL, NOTES, with_last_seen};
use crate::shell::{ask, must};

/// Prints what stands for all that kubeadm makes a master's pods from: `kubeadm.yaml` and kubeadm itself.
const DIGEST: &str =
    "cat /etc/kubernetes/kubeadm.yaml /usr/local/bin/kubeadm | sha256sum | cut -d' ' -f1";
/// Longer than an apiserver needs to start, and to drain the one of before.
const RECOVERY: Duration = Duration::from_mins(5);
const ASK_EVERY: Duration = Duration::from_secs(2);

/// A condition: these pods were made from what is there now, and each has its manifest.
pub(crate) fn are_noted(pods: &str, manifests: &[&str]) -> String {
    let manifests: Vec<String> = manifests
        .iter()
        .map(|name| format!(" && [ -e /etc/kubernetes/manifests/{name}.yaml ]"))
        .collect();
    format!(
        "{{ [ \"$({DIGEST})\" = \"$(cat {NOTES}/{pods} 2>/dev/null)\" ]{}; }}",
        manifests.concat()
    )
}

/// Notes that these pods run as they were made from what is there now.
pub(crate) async fn note(cx: &Cx, pods: &str) -> Result<(), StepError> {
    let trying = format!("note what {pods} runs with");
    let note = format!("mkdir -p {NOTES}; {DIGEST} > {NOTES}/{pods}");
    must(cx, &trying, Command::script(note)).await.map(drop)
}

/// Prints the running container of a static pod.
pub(crate) fn container(name: &str) -> String {
    format!(
        "crictl ps --quiet --label io.kubernetes.pod.namespace=kube-system --label io.kubernetes.container.name={name} | head -n 1"
    )
}

/// The shell's function `told_of NAME`, for a static pod that does not run.
pub(crate) const TOLD_OF: &str = include_str!("static_pod.sh");

/// Complains, and ends the script, while a pod does not run, or still in its container of before.
pub(crate) fn runs_anew(name: &str, before: &str) -> String {
    format!(
        "id=$({}); [ -n \"$id\" ] || {{ told_of {name}; exit; }}; [ \"$id\" != {} ] || {{ echo {name} runs as before; exit; }}; ",
        container(name),
        host::quote(before)
    )
}

/// Complains, and ends the script, while this master's own apiserver is not ready.
pub(crate) fn apiserver_is_ready(port: u16) -> String {
    format!(
        "{KUBECTL} --server https://127.0.0.1:{port} get --raw /readyz > /dev/null 2>&1 || \
         {{ echo the apiserver is not ready; exit; }}"
    )
}

/// Waits until a script has nothing left to complain about.
pub(crate) async fn settled(cx: &Cx, what: &str, complaints: &str) -> Result<(), StepError> {
    let script = format!("export PATH=\"/usr/local/bin:$PATH\"\n{TOLD_OF}{complaints}");
    let look = || async {
        let lacking = ask(cx, Command::script(&*script)).await?.text();
        Ok(if lacking.is_empty() {
            State::Satisfied
        } else {
            State::Needed(lacking)
        })
    };
    let State::Needed(lacking) = cx.wait_until(RECOVERY, ASK_EVERY, look).await? else {
        return Ok(());
    };
    let seconds = RECOVERY.as_secs();
    let error = format!("{what} did not settle within {seconds} s: {lacking}");
    Err(with_last_seen(cx, StepError::new(error)).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the function says on a host with these programs.
    fn said(crictl: &str, journal: &str) -> String {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        for (name, body) in [("crictl", crictl), ("journalctl", journal)] {
            let path = dir.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("{TOLD_OF}told_of kube-vip")])
            .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// However right the note of what they were made from is.
    #[test]
    fn pods_of_which_one_lost_its_manifest_are_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir(at("manifests")).unwrap();
        let manifests = ["kube-apiserver", "kube-scheduler"];
        let moved = |script: String| {
            script
                .replace("/etc/kubernetes", &at(""))
                .replace("/usr/local/bin", &at(""))
                .replace(NOTES, &at(""))
        };
        let sh = |script: String| {
            let mut shell = std::process::Command::new("sh");
            shell
                .args(["-c", &moved(script)])
                .status()
                .unwrap()
                .success()
        };
        for file in ["kubeadm.yaml", "kubeadm"] {
            std::fs::write(at(file), file).unwrap();
        }
        let file = |name: &str| at(&format!("manifests/{name}.yaml"));
        for name in manifests {
            std::fs::write(file(name), "").unwrap();
        }
        assert!(!sh(are_noted("pods", &manifests)));
        assert!(sh(format!("{DIGEST} > {NOTES}/pods")));
        assert!(sh(are_noted("pods", &manifests)));
        for name in manifests {
            std::fs::rename(file(name), at("aside")).unwrap();
            assert!(!sh(are_noted("pods", &manifests)), "{name}");
            std::fs::rename(at("aside"), file(name)).unwrap();
        }
        assert!(sh(are_noted("pods", &manifests)));
    }

    #[test]
    fn a_static_pod_that_does_not_run_tells_why() {
        let crashed = "case $1 in ps) echo 1f00 ;; inspect) echo 'CONTAINER_EXITED (Error, 1), restarted 3 times' ;; \
                       logs) echo 'unable to retrieve container logs for x'; echo 'no such interface: eth9' >&2 ;; esac";
        insta::assert_snapshot!(said(crashed, "echo 'I0101 kube-vip is fine'"), @r"
        kube-vip has no container that runs; the last one is CONTAINER_EXITED (Error, 1), restarted 3 times
          its last line: no such interface: eth9
        ");
        let pulling =
            "echo 'E0101 Failed to pull image of kube-vip: not found'; echo 'E0101 of another'";
        insta::assert_snapshot!(said("exit 0", pulling), @r"
        kube-vip has no container yet
          the kubelet: E0101 Failed to pull image of kube-vip: not found
        ");
    }
}
