//! How steps run kubeadm on a node.

mod await_static_pod;
mod bootstrap_token;
mod control_plane;
pub(crate) mod etcd;
mod etcd_image;
mod init;
mod join;
mod phase;
mod remove_lost;
mod renew;
mod replace_member;
mod restart_pods;
mod revoke_tokens;
pub(crate) mod static_pods;
mod upgrade;

pub use remove_lost::RemoveLostMember;
pub use replace_member::{
    LookForLoss, MemberLoss, PromoteReadmitted, ReadmitMember, RestartLostMember,
};
use std::time::Duration;

use engine::{Cx, State, StepError};
use host::{Command, HostError, Output};

use crate::before::{self, Resource};
use crate::shell::{ask, refused};

pub use await_static_pod::AwaitStaticPod;
pub use bootstrap_token::{BootstrapToken, JoinCredentials};
pub use control_plane::KubeadmControlPlane;
pub use etcd::{KubeadmEtcd, SpareStackedEtcd};
pub use etcd_image::KubeadmEtcdImage;
pub use init::KubeadmInit;
pub use join::{Joining, JoiningEtcd, KubeadmJoin, LookAtNode, Membership};
pub use phase::{KubeadmPhase, RunKubeadmPhase};
pub use renew::{OwnPods, RenewKubeadmCertificates, RestartControlPlane};
pub use restart_pods::RestartStaticPods;
pub use revoke_tokens::RevokeTokens;
pub(crate) use static_pods::{apiserver_is_ready, container, settled};
pub use upgrade::{KubeadmUpgrade, UpgradeOf, UpgradeSettings};

/// What kubeadm is told on a master.
pub(crate) const CONFIG: &str = "/etc/kubernetes/kubeadm.yaml";
/// What is noted on a node of what kubeadm has done there.
pub(crate) const NOTES: &str = "/var/lib/kubexm/kubeadm";
/// kubectl on a master, as its administrator.
pub(crate) const KUBECTL: &str = "/usr/local/bin/kubectl --cache-dir=/var/lib/kubexm/kubectl --kubeconfig /etc/kubernetes/admin.conf \
     --request-timeout 10s";

/// Longer than kubeadm itself waits for images, for a control plane and for a node.
pub(crate) const PATIENCE: Duration = Duration::from_mins(20);

/// Notes how the kubelet was before kubeadm sets it going.
pub(crate) async fn note_kubelet(cx: &Cx) -> Result<(), StepError> {
    before::note(cx, &[Resource::Unit("kubelet.service".to_owned())]).await
}

/// A script in which only one kubeadm at a time is at work. A kubeadm whose run has lost its connection goes on and is
/// waited for: it writes into a file, not into a connection that may be gone.
///
/// `quietly COMMAND...` runs it so, and shows its last words if it fails.
pub(crate) fn exclusive(script: &str) -> Command {
    Command::script(format!(
        "set -eu; umask 077; mkdir -p {NOTES}; export PATH=\"/usr/local/bin:$PATH\"
log=/run/kubexm-kubeadm.log
exec 9> {LOCK}
flock -w 5 9 || {{ echo '{AT_WORK}' >&2; exit 1; }}
quietly() {{ \"$@\" > \"$log\" 2>&1 9>&- || {{ grep -v '^$' \"$log\" | tail -n 12 >&2; return 1; }}; }}
{script}"
    ))
    .timeout(PATIENCE)
}

const LOCK: &str = "/run/kubexm-kubeadm.lock";
/// A kubeadm waits for less.
const OTHERS: Duration = Duration::from_mins(15);
const ASK_EVERY: Duration = Duration::from_secs(2);
const AT_WORK: &str = "another kubeadm is still at work on this host";

/// Waits until no other kubeadm is at work. Whoever interrupts the run does not wait for that.
async fn await_others(cx: &Cx) -> Result<(), StepError> {
    let script = format!("[ ! -e {LOCK} ] || flock -n {LOCK} true || echo at work");
    let look = || async {
        let answer = ask(cx, Command::script(&*script)).await?;
        Ok(if answer.text().is_empty() {
            State::Satisfied
        } else {
            State::needed(AT_WORK)
        })
    };
    match cx.wait_until(OTHERS, ASK_EVERY, look).await? {
        State::Satisfied => Ok(()),
        State::Needed(why) => Err(StepError::new(why)
            .with_hint("on the host: ps ax | grep kubeadm; it goes on by itself, or end it")),
    }
}

/// Runs such a script; what fails is told with what the node showed last.
pub(crate) async fn run(cx: &Cx, trying: &str, command: Command) -> Result<Output, StepError> {
    await_others(cx).await?;
    match cx.host.run(&command.as_root()).await {
        Ok(output) if output.ok() => Ok(output),
        Ok(output) => Err(with_last_seen(cx, refused(trying, &output)).await),
        Err(HostError::Timeout { limit, .. }) => {
            let seconds = limit.as_secs();
            let error = StepError::new(format!("cannot {trying}: not done within {seconds} s"));
            Err(with_last_seen(cx, error).await)
        }
        Err(error) => Err(error.into()),
    }
}

/// Adds what the kubelet said last, and the container that ended last.
pub(crate) async fn with_last_seen(cx: &Cx, error: StepError) -> StepError {
    const LOOK: &str = "export PATH=\"/usr/local/bin:$PATH\"
systemctl is-active --quiet kubelet || echo \"the kubelet is $(systemctl is-active kubelet)\"
said=$(journalctl --no-pager --unit kubelet --lines 5 --output cat 2>/dev/null)
[ -z \"$said\" ] || printf 'the kubelet said last:\\n%s\\n' \"$said\"
id=$(crictl ps --all --quiet --state Exited --last 1 2>/dev/null | head -n 1)
[ -z \"$id\" ] || { name=$(crictl ps --all --id \"$id\" 2>/dev/null | awk 'NR == 2 { print $(NF - 3) }')
printf 'a container that ended (%s) said last:\\n' \"${name:-$id}\"; crictl logs --tail 5 \"$id\" 2>&1; }";
    let seen = match ask(cx, Command::script(LOOK)).await {
        Ok(output) => output.text(),
        Err(_) => String::new(),
    };
    let told = if seen.is_empty() {
        error.to_string()
    } else {
        format!("{error}\n{seen}")
    };
    StepError::new(told)
        .with_hint("on the host: journalctl -u kubelet; crictl ps -a; crictl logs CONTAINER")
}

/// Removes what kubeadm signs by itself: a pair of which a killed run left one half would stop it for good.
pub(crate) fn without_signed(certificates: &[String]) -> String {
    let files: Vec<String> = certificates
        .iter()
        .flat_map(|stem| ["crt", "key"].map(|suffix| host::quote(&format!("{stem}.{suffix}"))))
        .collect();
    let kubeconfigs = [
        "admin",
        "super-admin",
        "kubelet",
        "bootstrap-kubelet",
        "controller-manager",
        "scheduler",
    ]
    .map(|name| format!("/etc/kubernetes/{name}.conf"));
    format!("rm -f {} {}", files.join(" "), kubeconfigs.join(" "))
}
