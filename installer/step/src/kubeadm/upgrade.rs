use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::kubeadm::{CONFIG, NOTES, exclusive, run};
use crate::shell::ask;

/// Which part of an upgrade a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeOf {
    /// The first master: its own control plane, and what the cluster keeps of it.
    Cluster,
    /// Another master.
    Master,
    Worker,
}

/// How kubeadm is told, by what its version understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpgradeSettings {
    /// A file, which is there while it is read.
    Config(String),
    /// Words of its command line.
    Flags(Vec<String>),
}

/// On the host, until it is started anew at the latest.
const FILE: &str = "/run/kubexm-upgrade.yaml";

/// Has kubeadm bring a node to the version of the kubeadm that is there. On masters that is the control plane; the kubelet
/// is not kubeadm's to change.
///
/// A run that was cut short leaves a note, and the next begins the upgrade anew: kubeadm bears that.
pub struct KubeadmUpgrade {
    pub of: UpgradeOf,
    /// `v1.36.2`
    pub version: String,
    /// What kubeadm is told.
    pub told: UpgradeSettings,
}

impl KubeadmUpgrade {
    /// Prints what is missing; nothing on a node that is of this version.
    fn state(&self) -> String {
        let version = host::quote(&self.version);
        let cut_short = format!("[ ! -e {NOTES}/upgrade ] || {{ echo was cut short; exit; }}");
        match self.of {
            UpgradeOf::Cluster | UpgradeOf::Master => format!(
                "{cut_short}; for part in kube-apiserver kube-controller-manager kube-scheduler; do \
                 grep -q \"^ *image: .*/$part:\"{version}'$' /etc/kubernetes/manifests/$part.yaml 2>/dev/null || \
                 {{ echo \"$part is of another version\"; exit; }}; done"
            ),
            UpgradeOf::Worker => format!(
                "{cut_short}; [ \"$(cat {NOTES}/upgraded 2>/dev/null)\" = {version} ] || \
                 [ \"$(/usr/local/bin/kubelet --version)\" = \"Kubernetes \"{version} ] || echo is of another version"
            ),
        }
    }

    /// What kubeadm learns from the cluster must say by then what the new version needs, the tag of coredns among it. Its own
    /// test needs an apiserver that has come to rest, and is made once more.
    fn script(&self) -> String {
        let told = match &self.told {
            UpgradeSettings::Config(_) => format!("--config {FILE}"),
            UpgradeSettings::Flags(words) => {
                let words: Vec<String> = words.iter().map(|word| host::quote(word)).collect();
                words.join(" ")
            }
        };
        let version = host::quote(&self.version);
        let upgrade = match self.of {
            UpgradeOf::Cluster => format!(
                "quietly kubeadm init phase upload-config kubeadm --config {CONFIG}
upgrade() {{ quietly kubeadm upgrade apply {version} --yes {told}; }}"
            ),
            UpgradeOf::Master | UpgradeOf::Worker => {
                format!("upgrade() {{ quietly kubeadm upgrade node {told}; }}")
            }
        };
        format!(
            "trap 'rm -f {FILE}' EXIT
cat > {FILE}
missing=$({state})
[ -n \"$missing\" ] || exit 0
: > {NOTES}/upgrade
{upgrade}
upgrade || {{ sleep 15; upgrade; }}
printf '%s\\n' {version} > {NOTES}/upgraded
rm -f {NOTES}/upgrade \"$log\"",
            state = self.state()
        )
    }
}

#[async_trait]
impl Step for KubeadmUpgrade {
    fn id(&self) -> String {
        "kubeadm upgrade".to_owned()
    }

    fn describe(&self) -> String {
        let version = &self.version;
        match self.of {
            UpgradeOf::Cluster => format!("upgrade the control plane to {version} with kubeadm"),
            UpgradeOf::Master => format!("upgrade this master to {version} with kubeadm"),
            UpgradeOf::Worker => format!("upgrade this worker to {version} with kubeadm"),
        }
    }

    fn inputs(&self) -> String {
        format!("{} {:?}", self.version, self.told)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let missing = ask(cx, Command::script(self.state())).await?.text();
        Ok(if missing.is_empty() {
            State::Satisfied
        } else {
            State::needed(missing)
        })
    }

    async fn at_work(&self, cx: &Cx) -> Result<bool, StepError> {
        let joined = Command::new(["test", "-s", "/etc/kubernetes/kubelet.conf"]);
        Ok(ask(cx, joined).await?.ok())
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let trying = format!("upgrade to {} with kubeadm", self.version);
        let config = match &self.told {
            UpgradeSettings::Config(text) => text.clone(),
            UpgradeSettings::Flags(_) => String::new(),
        };
        let command = exclusive(&self.script()).stdin(config.into_bytes());
        run(cx, &trying, command).await.map(drop)
    }

    /// It goes with the node.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::reads;

    fn step(of: UpgradeOf) -> KubeadmUpgrade {
        KubeadmUpgrade {
            of,
            version: "v1.36.2".to_owned(),
            told: UpgradeSettings::Config("kind: UpgradeConfiguration\n".to_owned()),
        }
    }

    #[test]
    fn a_shell_reads_the_scripts() {
        for of in [UpgradeOf::Cluster, UpgradeOf::Master, UpgradeOf::Worker] {
            reads(&step(of).state());
            reads(exclusive(&step(of).script()).text());
        }
    }

    #[test]
    fn a_master_is_of_the_version_of_its_static_pods() {
        let dir = tempfile::tempdir().unwrap();
        let said = || {
            let script = step(UpgradeOf::Master)
                .state()
                .replace("/etc/kubernetes/manifests", dir.path().to_str().unwrap());
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        let write = |part: &str, version: &str| {
            let text = format!("    - name: x\n    image: registry.k8s.io/{part}:{version}\n");
            std::fs::write(dir.path().join(format!("{part}.yaml")), text).unwrap();
        };
        assert_eq!(said(), "kube-apiserver is of another version\n");
        write("kube-apiserver", "v1.36.2");
        write("kube-controller-manager", "v1.36.20");
        assert_eq!(said(), "kube-controller-manager is of another version\n");
        write("kube-controller-manager", "v1.36.2");
        write("kube-scheduler", "v1.36.2");
        assert_eq!(said(), "");
    }
}
