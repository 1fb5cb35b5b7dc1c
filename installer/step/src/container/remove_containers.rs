use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use super::RuntimeFacts;
use super::run_runtime::leaves;
use crate::before::{self, Resource};
use crate::shell::must;
use crate::system::recognise_host::Mark;

/// Ends every pod and container of a node, then its runtime, and what that leaves: processes that outlive it, mounts,
/// network namespaces. Its images go only where data is purged. On a host that the cluster has left already, only what is
/// still noted goes: the containers there are others'.
pub struct RemoveContainers {
    pub runtime: &'static RuntimeFacts,
    pub data_dir: Utf8PathBuf,
    pub kubelet_dir: Utf8PathBuf,
    pub data: Data,
}

const SCRIPT: &str = include_str!("runtimes.sh");
/// Pods may take their grace period, one after another.
const PATIENCE: Duration = Duration::from_mins(10);

/// A function of the script about a runtime, whose data is in the first of these, and what the kubelet has in the second.
pub(crate) fn script(phase: &str, runtime: &RuntimeFacts, dirs: &[&Utf8Path]) -> Command {
    let RuntimeFacts { name, socket, .. } = runtime;
    let words = ["sh", "-s", "--", phase, name, socket].into_iter();
    Command::new(words.chain(dirs.iter().map(|dir| dir.as_str())))
        .stdin(SCRIPT)
        .timeout(PATIENCE)
}

impl RemoveContainers {
    fn resources(&self) -> Vec<Resource> {
        let mut what = self.runtime.units_of();
        what.extend(leaves(self.runtime, &self.kubelet_dir));
        if self.data == Data::Purge {
            what.push(Resource::Data(self.data_dir.clone()));
        }
        what
    }
}

#[async_trait]
impl Step for RemoveContainers {
    fn id(&self) -> String {
        "remove containers".to_owned()
    }

    fn describe(&self) -> String {
        let name = self.runtime.name;
        match self.data {
            Data::Keep => format!("stop all containers and {name}"),
            Data::Purge => format!("stop all containers and {name}, remove {}", self.data_dir),
        }
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.resources())
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        before::pending(cx, &self.resources()).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let name = self.runtime.name;
        let dirs = [self.data_dir.as_path(), &self.kubelet_dir];
        let run = |phase: &str| script(phase, self.runtime, &dirs);
        if Mark::of(cx).await? == Mark::Host {
            must(cx, "stop the containers", run("containers")).await?;
            before::restore(cx, &format!("stop {name}"), &self.runtime.units_of()).await?;
            must(cx, &format!("clean up after {name}"), run("remains")).await?;
        }
        before::restore(cx, &format!("remove what {name} left"), &self.resources()).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;
    use crate::before::KEPT;
    use crate::preflight::MARKER;

    #[tokio::test]
    async fn containers_of_a_host_that_was_left_are_not_stopped() {
        for (mark, stops) in [(MARKER, true), (KEPT, false)] {
            let host = Arc::new(FakeHost::new("node1").with_file(mark, "demo\n", 0o644));
            let cx = Cx::new(host.clone(), Progress::unseen());
            let remove = RemoveContainers {
                runtime: &crate::CONTAINERD,
                data_dir: "/var/lib/containerd".into(),
                kubelet_dir: "/data/kubelet".into(),
                data: Data::Purge,
            };
            remove.apply(&cx).await.unwrap();
            let done = host.transcript();
            assert_eq!(done.contains("sh -s -- containers"), stops, "{done}");
            assert!(done.contains("data /var/lib/containerd"), "{done}");
            // Where the config has the kubelet keep its pods, and no more of that directory than is the kubelet's.
            assert!(done.contains("tree /data/kubelet/pods"), "{done}");
            assert!(!done.contains("tree /data/kubelet "), "{done}");
            let unmounts = done
                .lines()
                .any(|line| line.contains("sh -s -- remains") && line.contains("/data/kubelet"));
            assert_eq!(unmounts, stops, "{done}");
        }
    }

    /// The script itself, with a program that notes what it is told.
    #[test]
    fn containers_of_others_are_left_alone_and_named() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let ctr = "#!/bin/sh\necho \"$*\" >> \"$TOLD\"\ncase $* in 'namespaces ls -q') echo k8s.io; echo moby ;; \
                   *' tasks ls -q') echo task ;; *' containers ls -q') echo container ;; esac\n";
        for (name, text) in [("ctr", ctr), ("crictl", "#!/bin/sh\n")] {
            std::fs::write(at(name), text).unwrap();
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let script = SCRIPT.replace("PATH=", &format!("PATH={}:", at("")));
        let told = std::process::Command::new("sh")
            .args(["-c", &script, "runtimes", "containers", "containerd"])
            .args([&at("socket"), "/var/lib/containerd"])
            .env("TOLD", at("told"))
            .output()
            .unwrap();
        assert!(!told.status.success());
        let said = String::from_utf8(told.stderr).unwrap();
        insta::assert_snapshot!(said, @"containers that are not of Kubernetes run in containerd: namespace moby; stop them first");
        let done = std::fs::read_to_string(at("told")).unwrap();
        let mut removed: Vec<&str> = done.lines().filter(|it| it.contains(" rm ")).collect();
        removed.sort_unstable();
        assert_eq!(
            removed,
            [
                "-n k8s.io containers rm container",
                "-n k8s.io tasks rm --force task"
            ]
        );
    }
}
