use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::kubeadm::static_pods::{
    apiserver_is_ready, are_noted, container, note, runs_anew, settled,
};
use crate::kubeadm::{CONFIG, exclusive, run};
use crate::shell::ask;

/// Has a master's static pods run as `kubeadm.yaml` and the kubeadm of this host would have them, and all of them well.
/// A digest of the two is noted when that is so: an unchanged master is left alone, and a change that was cut
/// short is seen by the next run.
pub struct KubeadmControlPlane {
    /// The apiserver's own.
    pub port: u16,
}

const PKI: &str = "/etc/kubernetes/pki";
/// What is noted goes by this name.
const PODS: &str = "control-plane";
const MANIFESTS: [&str; 3] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];
/// The static pods as kubeadm calls them, in the order in which they are written anew: who acts through the apiserver
/// starts when that is ready, and does not lose a minute with asking ever more rarely for one that is away.
const WAVES: [&[&str]; 2] = [&["apiserver"], &["controller-manager", "scheduler"]];

impl KubeadmControlPlane {
    fn all_are_ready(&self) -> String {
        // The other two answer with certificates that nobody signed, to anybody; without a name kubectl asks for one.
        // Schedulers learned /readyz in 1.31.
        format!(
            "{}; \
             answers() {{ /usr/local/bin/kubectl --kubeconfig /dev/null --username none --password none --request-timeout 10s \
             --insecure-skip-tls-verify --server \"https://127.0.0.1:$1\" get --raw \"$2\" 2>&1 > /dev/null; }}; \
             answers 10257 /healthz > /dev/null || {{ echo the controller manager is not healthy; exit; }}; \
             said=$(answers 10259 /readyz) || case $said in *NotFound*) answers 10259 /healthz > /dev/null ;; *) false ;; esac || \
             {{ echo the scheduler is not ready; exit; }}",
            apiserver_is_ready(self.port)
        )
    }

    /// Signs the apiserver's certificate anew if it lacks a name, or if a killed run has left but a half of the pair, which
    /// kubeadm does not take.
    fn sign() -> String {
        format!(
            "! {noted} || exit 0
cd {PKI}
quietly kubeadm init phase certs apiserver --config {CONFIG} 2>/dev/null || {{
  for half in apiserver.crt apiserver.key; do [ ! -e $half ] || mv -f $half $half.old; done
  quietly kubeadm init phase certs apiserver --config {CONFIG} || {{
    for half in apiserver.crt apiserver.key; do [ ! -e $half.old ] || mv -f $half.old $half; done
    exit 1; }}; }}
rm -f apiserver.crt.old apiserver.key.old \"$log\"",
            noted = are_noted(PODS, &MANIFESTS)
        )
    }

    /// Writes the manifests of a wave anew; prints each pod that is another now, with the container of before.
    fn regenerate(wave: &[&str]) -> String {
        format!(
            "! {noted} || exit 0
for part in {}; do
  manifest=/etc/kubernetes/manifests/kube-$part.yaml
  before=$(cat $manifest 2>/dev/null | sha256sum)
  container=$({container})
  quietly kubeadm init phase control-plane $part --config {CONFIG}
  [ \"$before\" = \"$(cat $manifest | sha256sum)\" ] || echo \"kube-$part $container\"
done
rm -f \"$log\"",
            wave.join(" "),
            noted = are_noted(PODS, &MANIFESTS),
            container = container("kube-$part"),
        )
    }

    /// Until every changed pod runs in a container of its own, and what is asked for is ready.
    async fn settled(
        &self,
        cx: &Cx,
        changed: &[(String, String)],
        ready: &str,
    ) -> Result<(), StepError> {
        let anew = changed.iter().map(|(pod, before)| runs_anew(pod, before));
        let complaints: String = anew.chain([ready.to_owned()]).collect();
        settled(cx, "the control plane", &complaints).await
    }

    async fn roll(&self, cx: &Cx) -> Result<(), StepError> {
        let trying = "sign the apiserver's certificate";
        run(cx, trying, exclusive(&Self::sign())).await?;
        for wave in WAVES {
            let trying = "write the manifests of the control plane";
            let output = run(cx, trying, exclusive(&Self::regenerate(wave))).await?;
            let changed: Vec<(String, String)> = output
                .text()
                .lines()
                .filter_map(|line| line.split_once(' '))
                .map(|(pod, container)| (pod.to_owned(), container.trim().to_owned()))
                .collect();
            self.settled(cx, &changed, &apiserver_is_ready(self.port))
                .await?;
        }
        self.settled(cx, &[], &self.all_are_ready()).await?;
        note(cx, PODS).await
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
            "{} || {{ echo lacks a manifest or runs with an older configuration; exit; }}; {}",
            are_noted(PODS, &MANIFESTS),
            self.all_are_ready()
        );
        let reason = ask(cx, Command::script(script)).await?.text();
        Ok(if reason.is_empty() {
            State::Satisfied
        } else {
            State::needed(reason)
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.roll(cx).await
    }

    /// `ResetNode`, the counterpart of setting up the node, takes the pods away.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::reads;

    fn step() -> KubeadmControlPlane {
        KubeadmControlPlane { port: 6443 }
    }

    #[test]
    fn a_shell_reads_the_scripts() {
        reads(&step().all_are_ready());
        reads(exclusive(&KubeadmControlPlane::sign()).text());
        for wave in WAVES {
            reads(exclusive(&KubeadmControlPlane::regenerate(wave)).text());
        }
    }

    /// A kubeadm that signs a pair where there is none, keeps one that has its name, and takes no half of one.
    const KUBEADM: &str = "kubeadm() {
  case $(ls apiserver.crt apiserver.key 2>/dev/null | wc -l) in
    0) echo new > apiserver.key; echo new > apiserver.crt ;;
    1) return 1 ;;
    *) [ \"$(cat apiserver.crt)\" != nameless ] ;;
  esac
}
quietly() { \"$@\"; }; log=log; set -eu
";

    /// What is there after signing, of what was there before: names and contents.
    fn signed(before: &[(&str, &str)]) -> Vec<(String, String)> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in before {
            std::fs::write(dir.path().join(name), format!("{text}\n")).unwrap();
        }
        let script = KubeadmControlPlane::sign().replace(PKI, dir.path().to_str().unwrap());
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("{KUBEADM}{script}")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let mut left: Vec<(String, String)> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = std::fs::read_to_string(entry.path()).unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, text.trim().to_owned())
            })
            .collect();
        left.sort();
        left
    }

    #[test]
    fn an_apiserver_s_certificate_of_which_a_half_is_left_is_signed_anew() {
        let (crt, key) = ("apiserver.crt", "apiserver.key");
        let (old_crt, old_key) = ("apiserver.crt.old", "apiserver.key.old");
        let pair = |text: &str| [crt, key].map(|name| (name.to_owned(), text.to_owned()));
        assert_eq!(signed(&[(crt, "whole"), (key, "whole")]), pair("whole"));
        let anew: [&[(&str, &str)]; 5] = [
            &[(crt, "nameless"), (key, "nameless")],
            &[(key, "half")],
            &[(crt, "half")],
            &[(old_crt, "old"), (key, "half")],
            &[(old_crt, "old"), (old_key, "old"), (key, "half")],
        ];
        for before in anew {
            assert_eq!(signed(before), pair("new"), "{before:?}");
        }
    }

    /// What the lines say with a kubectl that answers like this, by its last arguments.
    fn said(kubectl: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("kubectl");
        std::fs::write(&program, format!("#!/bin/sh\ncase $* in {kubectl} esac\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        let script = step()
            .all_are_ready()
            .replace("/usr/local/bin/kubectl", program.to_str().unwrap());
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn each_part_of_the_control_plane_is_asked() {
        assert_eq!(said("*) exit 0;;"), "");
        assert_eq!(said("*:6443*) exit 1;;"), "the apiserver is not ready\n");
        let lacking = "the controller manager is not healthy\n";
        assert_eq!(said("*:10257*) exit 1;;"), lacking);
        let lacking = "the scheduler is not ready\n";
        assert_eq!(said("*:10259*/readyz) echo no >&2; exit 1;;"), lacking);
    }

    #[test]
    fn a_scheduler_that_has_no_readyz_is_asked_for_its_health() {
        let old = "*:10259*/readyz) echo 'Error (NotFound)' >&2; exit 1;;";
        assert_eq!(said(old), "");
        let ill = format!("{old} *:10259*) exit 1;;");
        assert_eq!(said(&ill), "the scheduler is not ready\n");
    }
}
