use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, Question, Retry, Slot, SlotId, State, Step, StepError};
use host::Command;

use crate::etcd::aside::set_aside;

use crate::kubeadm::{NOTES, exclusive, note_kubelet, run, without_signed};
use crate::shell::{REPLACE, must};
use crate::{Content, ResetNode};

/// As what a node joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joining {
    Worker,
    Master {
        /// What kubeadm signs by itself, without suffix.
        certificates: Vec<String>,
        etcd: JoiningEtcd,
    },
}

/// What a master brings with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoiningEtcd {
    /// A member of its own.
    Member {
        data_dir: Utf8PathBuf,
    },
    Nothing,
}

/// Whether a node is part of the cluster already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    Joined,
    Outside,
}

/// Looks whether a node has joined already, before anybody makes a token for it.
pub struct LookAtNode {
    pub joining: Joining,
    pub membership: Slot<Membership>,
}

/// Has a node join the cluster. Its `JoinConfiguration` with the token is on the node only while it joins, in memory.
/// A join that was cut short leaves a note; the next one first takes back what there is of it.
pub struct KubeadmJoin {
    pub joining: Joining,
    /// The `JoinConfiguration`.
    pub config: Content,
    /// The control plane's name. While the node joins it leads to the apiserver that its configuration names: where it
    /// leads once the node has joined, nobody may answer yet.
    pub name: String,
    pub reset: Arc<ResetNode>,
}

/// Reads the address of the apiserver to join by out of the `JoinConfiguration`.
const ADDRESS: &str = "address=$(sed -n 's/^ *apiServerEndpoint: *//p' \"$config\" | tr -d '\"[]' | sed 's/:[0-9]*$//')";

/// Ends the line of `/etc/hosts` that stands there only while the node joins.
const DETOUR: &str = "# kubexm: while joining";

impl Joining {
    /// Prints what is missing; nothing on a node that has joined.
    fn state(&self) -> String {
        // A manifest that is lost is written anew where the static pods are seen to, without another join.
        let control_plane = match self {
            Self::Worker => "",
            Self::Master { .. } => {
                "; [ -s /etc/kubernetes/admin.conf ] || echo has not joined as a master yet"
            }
        };
        format!(
            "[ ! -e {NOTES}/join ] || {{ echo was cut short; exit; }}; \
             [ -s /etc/kubernetes/kubelet.conf ] || {{ echo has not joined yet; exit; }}{control_plane}"
        )
    }

    /// Takes back what a join that was cut short has left.
    fn mend(&self) -> String {
        let kubelet = "systemctl stop kubelet; rm -rf /var/lib/kubelet/pki; rm -f /etc/kubernetes/kubelet.conf \
                       /etc/kubernetes/bootstrap-kubelet.conf";
        let Self::Master { certificates, etcd } = self else {
            return kubelet.to_owned();
        };
        let member = match etcd {
            JoiningEtcd::Nothing => "",
            JoiningEtcd::Member { .. } => "quietly kubeadm reset phase remove-etcd-member; ",
        };
        let signed = without_signed(certificates);
        // The kubelet is stopped first: it would run the pods again.
        format!(
            "systemctl stop kubelet; {member}cd /etc/kubernetes/manifests && rm -f kube-apiserver.yaml \
             kube-controller-manager.yaml kube-scheduler.yaml etcd.yaml; cd /; \
             for pod in $(crictl pods --quiet --namespace kube-system --label tier=control-plane); do \
             crictl stopp \"$pod\" > /dev/null; crictl rmp \"$pod\" > /dev/null; done; {signed}; {kubelet}"
        )
    }

    /// Sets the data aside of a member that this master had before: it is of none that the cluster still has, and etcd does not
    /// run on it. What runs here is not of a node that joins, and is left to kubeadm's own preflight.
    fn set_aside(&self) -> String {
        match self {
            Self::Master {
                etcd: JoiningEtcd::Member { data_dir },
                ..
            } => format!(
                "if [ ! -e /etc/kubernetes/manifests/etcd.yaml ]; then\n{}\nfi\n",
                set_aside(data_dir)
            ),
            Self::Worker | Self::Master { .. } => String::new(),
        }
    }

    async fn missing(&self, cx: &Cx) -> Result<String, StepError> {
        let script = Command::script(self.state());
        Ok(must(cx, "look whether the node has joined", script)
            .await?
            .text())
    }
}

#[async_trait]
impl Question for LookAtNode {
    fn id(&self) -> String {
        "look at the node".to_owned()
    }

    fn describe(&self) -> String {
        "look whether the node has joined".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.membership.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let missing = self.joining.missing(cx).await?;
        self.membership.fill(if missing.is_empty() {
            Membership::Joined
        } else {
            Membership::Outside
        });
        Ok(State::Satisfied)
    }
}

impl KubeadmJoin {
    fn script(&self) -> String {
        let name = host::quote(&self.name);
        format!(
            "config=/run/kubexm-join.yaml
{REPLACE}straight() {{ ! grep -q '{DETOUR}$' /etc/hosts || replace /etc/hosts sed '/{DETOUR}$/d' /etc/hosts; }}
detoured() {{ printf '%s %s %s\\n' \"$address\" {name} '{DETOUR}' && cat /etc/hosts; }}
trap 'rm -f \"$config\"; straight' EXIT
trap 'exit 1' HUP INT TERM
missing=$({state})
[ -n \"$missing\" ] || exit 0
cat > \"$config\"
[ -s \"$config\" ] || {{ echo 'no token was made for this node: run again' >&2; exit 1; }}
{ADDRESS}
straight
replace /etc/hosts detoured
if [ -e {NOTES}/join ]; then {mend}; fi
{aside}quietly kubeadm join phase preflight --config \"$config\"
: > {NOTES}/join
quietly kubeadm join --config \"$config\" --skip-phases preflight
rm -f {NOTES}/join \"$log\"",
            state = self.joining.state(),
            mend = self.joining.mend(),
            aside = self.joining.set_aside(),
        )
    }
}

#[async_trait]
impl Step for KubeadmJoin {
    fn id(&self) -> String {
        "kubeadm join".to_owned()
    }

    fn describe(&self) -> String {
        match self.joining {
            Joining::Worker => "join the cluster with kubeadm".to_owned(),
            Joining::Master { .. } => "join the control plane with kubeadm".to_owned(),
        }
    }

    fn takes(&self) -> Vec<SlotId> {
        self.config.takes()
    }

    /// The cluster refuses a node's name while it thinks that the node of before is ready, and takes a minute to think
    /// otherwise.
    fn retry(&self) -> Retry {
        Retry {
            attempts: 8,
            first_delay: Duration::from_secs(15),
        }
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let state = self.joining.state();
        let script = format!(
            "{state}; ! grep -q '{DETOUR}$' /etc/hosts || echo /etc/hosts is as it was while joining"
        );
        let text = must(
            cx,
            "look whether the node has joined",
            Command::script(script),
        )
        .await?
        .text();
        Ok(if text.is_empty() {
            State::Satisfied
        } else {
            State::needed(text)
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        note_kubelet(cx).await?;
        let command = exclusive(&self.script()).stdin(self.config.bytes()?);
        let Err(error) = run(cx, "join the cluster", command).await else {
            return Ok(());
        };
        Err(
            if error.to_string().contains("already exists in the cluster") {
                StepError::passing(error.to_string()).with_hint(
                "another node may have this name; if it is this one of before: kubexm delete node NAME --dead",
            )
            } else {
                error
            },
        )
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        Some(self.reset.for_data(data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::reads;

    fn step(joining: Joining) -> KubeadmJoin {
        KubeadmJoin {
            joining,
            config: Content::Text(String::new()),
            name: "lb.kubexm.local".to_owned(),
            reset: Arc::new(ResetNode { data: Vec::new() }),
        }
    }

    #[test]
    fn a_shell_reads_the_scripts() {
        let master = Joining::Master {
            certificates: vec!["/etc/kubernetes/pki/apiserver".to_owned()],
            etcd: JoiningEtcd::Member {
                data_dir: "/var/lib/etcd".into(),
            },
        };
        for joining in [Joining::Worker, master] {
            reads(&joining.state());
            reads(exclusive(&step(joining).script()).text());
        }
    }

    /// kubeadm would refuse to join once more where a node is set up; what else is lost is written anew by others.
    #[test]
    fn a_master_that_lost_its_manifests_has_joined_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let master = Joining::Master {
            certificates: Vec::new(),
            etcd: JoiningEtcd::Nothing,
        };
        let missing = |joining: &Joining| {
            let state = joining.state().replace(NOTES, &at("notes"));
            let output = std::process::Command::new("sh")
                .args(["-c", &state.replace("/etc/kubernetes", &at(""))])
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(missing(&master), "has not joined yet\n");
        std::fs::write(at("kubelet.conf"), "joined").unwrap();
        assert_eq!(missing(&Joining::Worker), "");
        assert_eq!(missing(&master), "has not joined as a master yet\n");
        std::fs::write(at("admin.conf"), "joined").unwrap();
        assert_eq!(missing(&master), "");
        std::fs::create_dir(at("notes")).unwrap();
        std::fs::write(at("notes/join"), "").unwrap();
        assert_eq!(missing(&master), "was cut short\n");
    }

    /// The lines around the join, with another file in the place of `/etc/hosts`.
    #[test]
    fn the_detour_comes_first_and_goes_without_a_trace() {
        let dir = tempfile::tempdir().unwrap();
        let hosts = dir.path().join("hosts");
        let before = "127.0.0.1 localhost\n172.16.0.3 lb.kubexm.local\n";
        let config = dir.path().join("join.yaml");
        std::fs::write(
            &config,
            "  bootstrapToken:\n    apiServerEndpoint: 172.16.0.2:6443\n",
        )
        .unwrap();
        let config = config.to_str().unwrap();
        std::fs::write(&hosts, before).unwrap();
        let script = step(Joining::Worker).script();
        let begin = script.find("replace()").unwrap();
        let lines = |from: &str, to: &str| {
            let from = script.find(from).unwrap();
            script[from..from + script[from..].find(to).unwrap()].to_owned()
        };
        let functions = script[begin..begin + script[begin..].find("\ntrap").unwrap()].to_owned();
        let detour = lines("address=$(sed", "\nif [");
        let path = hosts.to_str().unwrap();
        let script = format!("config={config}\n{functions}\n{detour}\ncat /etc/hosts; straight")
            .replace("/etc/hosts", path);
        let output = std::process::Command::new("sh")
            .args(["-euc", &script])
            .output()
            .unwrap();
        let during = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            during,
            format!("172.16.0.2 lb.kubexm.local {DETOUR}\n{before}")
        );
        assert_eq!(std::fs::read_to_string(&hosts).unwrap(), before);
    }
}
