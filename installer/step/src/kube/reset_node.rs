use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::shell::{ask, must};
use crate::system::recognise_host::Mark;

/// Takes Kubernetes off a node: the kubelet and its pods, what is mounted for them, certificates and manifests, interfaces
/// and rules that bear the names of Kubernetes or of a network plugin. Needs the runtime running. All this is found, not
/// noted, and so it goes only under the cluster's mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetNode {
    /// Data of static pods, removed only where data is purged.
    pub data: Vec<Utf8PathBuf>,
}

const SCRIPT: &str = concat!(include_str!("../replace.sh"), include_str!("reset_node.sh"));
const PATIENCE: Duration = Duration::from_mins(20);
const RUNS: &str = "! systemctl is-active --quiet kubelet || { echo the kubelet runs; exit; }";
/// Where Kubernetes keeps what it is on a node.
const STATE: [&str; 3] = ["/etc/kubernetes", "/var/lib/kubelet", "/var/lib/cni"];
const LINKS: &str = "for path in /sys/class/net/cni0 /sys/class/net/kubexm0 /sys/class/net/flannel.1 \
     /sys/class/net/vxlan.calico /sys/class/net/kube-ipvs0 /sys/class/net/cali*; do \
     [ ! -e \"$path\" ] || { echo \"there is the interface ${path##*/}\"; exit; }; done";

impl ResetNode {
    /// Says which of these directories, or of those with data, holds something.
    fn holds(&self, directories: &[&str]) -> String {
        let data = self.data.iter().map(|path| path.as_str());
        let paths: Vec<String> = directories
            .iter()
            .copied()
            .chain(data)
            .map(host::quote)
            .collect();
        format!(
            "for path in {}; do [ -z \"$(ls -A \"$path\" 2>/dev/null)\" ] || \
             {{ echo \"there is something in $path\"; exit; }}; done",
            paths.join(" ")
        )
    }

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
        let looks = match Mark::of(cx).await? {
            Mark::Host => format!("{RUNS}; {}; {LINKS}", self.holds(&STATE)),
            Mark::Data => self.holds(&[]),
            Mark::Nothing => return Ok(State::Satisfied),
        };
        let reason = ask(cx, Command::script(looks)).await?.text();
        Ok(if reason.is_empty() {
            State::Satisfied
        } else {
            State::needed(reason)
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let directories = self.data.iter().map(|path| path.as_str());
        let whole = match Mark::of(cx).await? {
            Mark::Host => "node",
            Mark::Data => "data",
            Mark::Nothing => return Ok(()),
        };
        let argv = ["sh", "-c", SCRIPT, "reset-node", whole]
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
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;
    use crate::before::KEPT;
    use crate::preflight::MARKER;

    fn cx(host: &Arc<FakeHost>) -> Cx {
        Cx::new(host.clone(), Progress::unseen())
    }

    #[tokio::test]
    async fn kubernetes_on_a_host_without_the_mark_is_somebody_elses() {
        let reset = ResetNode {
            data: vec!["/var/lib/etcd".into()],
        };
        let running = || FakeHost::new("node1").on("ls -A", 0, "the kubelet runs\n");
        let host = Arc::new(running());
        assert_eq!(reset.check(&cx(&host)).await.unwrap(), State::Satisfied);
        reset.apply(&cx(&host)).await.unwrap();
        assert!(!host.transcript().contains("reset-node"));

        let host = Arc::new(running().with_file(MARKER, "demo\n", 0o644));
        let needed = State::needed("the kubelet runs");
        assert_eq!(reset.check(&cx(&host)).await.unwrap(), needed);
        reset.apply(&cx(&host)).await.unwrap();
        assert!(host.transcript().contains("reset-node node /var/lib/etcd"));
    }

    #[tokio::test]
    async fn of_a_cluster_that_has_left_only_its_data_goes() {
        let reset = ResetNode {
            data: vec!["/var/lib/etcd".into()],
        };
        let left = FakeHost::new("node1").with_file(KEPT, "demo\n", 0o644);
        let host = Arc::new(left.on("path in /var/lib/etcd;", 0, "there is something\n"));
        let needed = State::needed("there is something");
        assert_eq!(reset.check(&cx(&host)).await.unwrap(), needed);
        reset.apply(&cx(&host)).await.unwrap();
        let done = host.transcript();
        assert!(done.contains("reset-node data /var/lib/etcd"), "{done}");
        assert!(!done.contains("is-active"), "{done}");
    }

    /// The script itself, with directories of the test's own in the place of the node's.
    #[test]
    fn data_goes_without_the_node_and_a_link_to_it_stays() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("etcd/member")).unwrap();
        std::fs::create_dir_all(at("disk/member")).unwrap();
        std::os::unix::fs::symlink("disk", at("link")).unwrap();
        let script = ["-c", SCRIPT, "reset-node", "data"].map(Into::into);
        let data = ["etcd", "link"].map(|path| at(path).into_os_string());
        let reset = std::process::Command::new("sh")
            .args(script.into_iter().chain(data))
            .env("PATH", "/usr/bin:/bin")
            .status()
            .unwrap();
        assert!(reset.success() && !at("etcd").exists());
        assert_eq!(std::fs::read_dir(at("link")).unwrap().count(), 0);
    }

    /// Its head is functions alone, up to what is done.
    fn asked(question: &str) -> String {
        let end = SCRIPT.find("\nwhat=$1").unwrap();
        let script = format!("{}\n{question}", &SCRIPT[..end]);
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    #[test]
    fn what_cannot_be_unmounted_is_told_with_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        assert_eq!(asked(&format!("holders {path}")), "");
        let file = std::fs::File::create(dir.path().join("held")).unwrap();
        let told = asked(&format!("holders {path}"));
        let me = format!("(process {})", std::process::id());
        assert!(
            told.starts_with(": it is held by ") && told.contains(&me),
            "{told}"
        );
        drop(file);
    }

    #[test]
    fn an_umount_that_hangs_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let umount = dir.path().join("umount");
        std::fs::write(
            &umount,
            "#!/bin/sh\n[ \"$1\" = -l ] && echo lazily && exit\nexec sleep 60\n",
        )
        .unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&umount, mode).unwrap();
        // The shell's own timeout is shorter here, by a program of that name.
        let timeout = format!(
            "timeout() {{ shift 3; command timeout 0.2 \"$@\"; }}; PATH={path}:$PATH; unmount /x && echo done"
        );
        assert_eq!(asked(&timeout), "lazily\ndone\n");
    }

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
