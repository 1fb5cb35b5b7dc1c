use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::{Command, Output};
use serde::Deserialize;

use crate::etcd::etcdctl::{Member, leave_own_words};
use crate::etcd::health::{Health, corrupt, read_alarms};
use crate::kubeadm::static_pods::{
    apiserver_is_ready, are_noted, container, note, runs_anew, settled,
};
use crate::kubeadm::{CONFIG, exclusive, run};
use crate::shell::{ask, must};

/// Has a master's own member of etcd, a static pod, run as `kubeadm.yaml` would have it. A member is restarted only
/// while the others keep the cluster's majority, and must be healthy again before the next master may follow.
pub struct KubeadmEtcd {
    /// The apiserver's own.
    pub port: u16,
}

pub(crate) const MANIFEST: &str = "/etc/kubernetes/manifests/etcd.yaml";
/// On the same file system, where the kubelet does not look.
pub(crate) const ASIDE: &str = "/etc/kubernetes/.etcd.yaml";
pub(crate) const TRYING: &str = "write the manifest of etcd";
const ETCDCTL: &str = "etcdctl --dial-timeout=2s --command-timeout=10s --cacert=/etc/kubernetes/pki/etcd/ca.crt \
     --cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt --key=/etc/kubernetes/pki/etcd/healthcheck-client.key";
/// Where kubeadm notes how the member is reached. Its loopback address is of the family of that one.
const URL: &str = "sed -n 's|^ *kubeadm.kubernetes.io/etcd.advertise-client-urls: *||p' \
     /etc/kubernetes/manifests/etcd.yaml | head -n 1";
const HINT: &str = "on the masters: crictl ps -a --name etcd; crictl logs ID; run again when all members are healthy";

/// Lays the manifest aside that kubeadm would write now, and says so if it is another one. kubeadm has one place to
/// write to, where the kubelet would take it up at once: it is given another directory there. And it writes every member
/// as one that begins a cluster by itself; with whom a member began is kept, and that it begins none again, so that one that
/// has lost its data does not. Of the first master that comes with the next change: a restart for it alone would cost an
/// install half a minute.
fn lay_aside() -> String {
    let noted = are_noted("etcd", &["etcd"]);
    format!(
        "! {noted} || exit 0
written=$(mktemp -d /run/kubexm-etcd.XXXXXX)
trap 'rm -rf \"$written\"' EXIT
quietly unshare --mount sh -euc 'mount --bind \"$1\" /etc/kubernetes/manifests; \
kubeadm init phase etcd local --config {CONFIG}' sh \"$written\"
[ -e {MANIFEST} ] || cp \"$written/etcd.yaml\" {MANIFEST}
{MERGE} {MANIFEST} \"$written/etcd.yaml\" > {ASIDE}
if cmp -s {MANIFEST} {ASIDE} || cmp -s {MANIFEST} \"$written/etcd.yaml\"; then rm -f {ASIDE}; else echo another; fi
rm -f \"$log\""
    )
}

/// The second manifest, with the cluster of the first, which is there.
pub(crate) const MERGE: &str = "awk 'BEGIN { own = \"- --initial-cluster=\"; state = \"- --initial-cluster-state=\" } \
     FILENAME == ARGV[1] { if ($0 ~ own) began = $0; next } $0 ~ state { next } \
     $0 ~ own { print began; sub(/-.*/, state \"existing\", began); print began; next } { print }'";

/// What a member on its own master says of the cluster.
struct Look {
    /// None where it does not run: then it has nothing to lose.
    container: Option<String>,
    url: String,
    health: Vec<Health>,
    /// Where members answer whose stores differ from the others'.
    corrupt: BTreeSet<String>,
}

impl Look {
    fn is_well(&self, member: &Health) -> bool {
        member.serves() && !self.corrupt.contains(&member.endpoint)
    }
}

/// Sees that the others bear it when a master's member goes away for a moment.
pub(crate) async fn spare(cx: &Cx) -> Result<(), StepError> {
    let look = Look::at(cx).await?;
    match lacking(&look) {
        None => Ok(()),
        Some(why) => Err(
            StepError::new(format!("etcd's member here cannot be spared: {why}")).with_hint(HINT),
        ),
    }
}

/// The same as a step of its own, before all of the host goes away.
pub struct SpareStackedEtcd;

#[async_trait]
impl Step for SpareStackedEtcd {
    fn id(&self) -> String {
        "spare".to_owned()
    }

    fn describe(&self) -> String {
        "see that the others bear the loss of this member of etcd".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        spare(cx).await.map(|()| State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// Prints the container, where the member answers, and how it finds all of them.
fn health_of_all() -> String {
    format!(
        "export PATH=\"/usr/local/bin:$PATH\"; id=$({}); echo \"$id\"; \
         url=$({URL}); echo \"$url\"; \
         [ -z \"$id\" ] || crictl exec \"$id\" {ETCDCTL} --endpoints=\"$url\" endpoint health --cluster \
         --write-out=json",
        container("etcd")
    )
}

/// Complains, and ends the script, while this master's member does not serve.
fn member_serves() -> String {
    format!(
        "crictl exec \"$({})\" {ETCDCTL} --endpoints=\"$({URL})\" get health > /dev/null 2>&1 || \
         {{ echo its member is not healthy; exit; }}; ",
        container("etcd")
    )
}

impl Look {
    async fn at(cx: &Cx) -> Result<Self, StepError> {
        let mut output = ask(cx, Command::script(health_of_all())).await?;
        leave_own_words(&mut output);
        let mut look = seen(&output)?;
        if look.health.iter().any(Health::tells_of_corruption) {
            look.corrupt = corrupt_endpoints(cx).await?;
        }
        Ok(look)
    }
}

/// Where members answer whose stores differ from the others', as this master's member tells.
async fn corrupt_endpoints(cx: &Cx) -> Result<BTreeSet<String>, StepError> {
    #[derive(Deserialize)]
    struct List {
        members: Vec<Member>,
    }
    let asked = ["alarm list", "member list"].map(|words| {
        format!("crictl exec \"$id\" {ETCDCTL} --endpoints=\"$url\" {words} --write-out=json")
    });
    let script = format!(
        "set -e; export PATH=\"/usr/local/bin:$PATH\"; id=$({}); url=$({URL}); {}",
        container("etcd"),
        asked.join("; ")
    );
    let text = must(cx, "ask etcd for its alarms", Command::script(script))
        .await?
        .text();
    let unread = |_| StepError::new("etcd does not tell which member is corrupt").with_hint(HINT);
    let (alarms, members) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
    let alarms = read_alarms(alarms.as_bytes()).map_err(unread)?;
    let List { members } = serde_json::from_str(members).map_err(unread)?;
    let urls = corrupt(&alarms, &members).flat_map(|member| member.client_urls.clone());
    Ok(urls.collect())
}

/// Has the kubelet take up the manifest that lies aside, if it is another one, and sees the member well.
pub(crate) async fn take_up(cx: &Cx, port: u16, another: &Output) -> Result<(), StepError> {
    let mut complaints = String::new();
    if !another.text().is_empty() {
        let look = Look::at(cx).await?;
        may_restart(&look)?;
        let take_up = format!("mv -f {ASIDE} {MANIFEST}");
        must(cx, TRYING, Command::script(take_up)).await?;
        complaints += &runs_anew("etcd", look.container.as_deref().unwrap_or_default());
    }
    complaints += &member_serves();
    complaints += &apiserver_is_ready(port);
    settled(cx, "etcd", &complaints).await
}

/// A line with the container, one with the member's address, and what etcd says of everybody's health.
fn seen(output: &Output) -> Result<Look, StepError> {
    let text = output.text();
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default().trim().to_owned();
    let (container, url, health) = (line(), line(), line());
    let container = (!container.is_empty()).then_some(container);
    let health = match &container {
        None => Vec::new(),
        Some(_) => serde_json::from_str(&health).map_err(|_| {
            StepError::new(format!(
                "etcd runs with an older configuration and is not restarted, because it does not tell how its members \
                 are: {}",
                output.last_words()
            ))
            .with_hint(HINT)
        })?,
    };
    Ok(Look {
        container,
        url,
        health,
        corrupt: BTreeSet::new(),
    })
}

/// What the cluster lacks to bear it that this member goes away for a moment. One of two cannot be spared at all, and is
/// restarted while the other is healthy.
fn lacking(look: &Look) -> Option<String> {
    let others: Vec<&Health> = look
        .health
        .iter()
        .filter(|member| member.endpoint != look.url)
        .collect();
    let needed = (look.health.len() / 2 + 1).min(others.len());
    let healthy = others.iter().filter(|member| look.is_well(member)).count();
    if look.container.is_none() || healthy >= needed {
        return None;
    }
    let ill: Vec<&str> = others
        .iter()
        .filter(|member| !look.is_well(member))
        .map(|member| member.endpoint.as_str())
        .collect();
    Some(format!(
        "{needed} healthy members are needed beside it, and {} {} not",
        ill.join(" and "),
        if ill.len() == 1 { "is" } else { "are" }
    ))
}

fn may_restart(look: &Look) -> Result<(), StepError> {
    match lacking(look) {
        None => Ok(()),
        Some(why) => Err(StepError::new(format!(
            "etcd runs with an older configuration and is not restarted: {why}"
        ))
        .with_hint(HINT)),
    }
}

#[async_trait]
impl Step for KubeadmEtcd {
    fn id(&self) -> String {
        "etcd's static pod".to_owned()
    }

    fn describe(&self) -> String {
        "run this master's member of etcd".to_owned()
    }

    fn inputs(&self) -> String {
        self.port.to_string()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let noted = ask(cx, Command::script(are_noted("etcd", &["etcd"]))).await?;
        Ok(if noted.ok() {
            State::Satisfied
        } else {
            State::needed("may run with an older configuration")
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let another = run(cx, TRYING, exclusive(&lay_aside())).await?;
        take_up(cx, self.port, &another).await?;
        note(cx, "etcd").await
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

    #[test]
    fn a_shell_reads_the_scripts() {
        reads(exclusive(&lay_aside()).text());
        reads(&runs_anew("etcd", "0123"));
        reads(&apiserver_is_ready(6443));
    }

    /// kubeadm has a member listen on the loopback address of the family that its master has.
    #[test]
    fn a_member_is_asked_where_its_manifest_says() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let program = "#!/bin/sh\n[ $1 != ps ] || { echo 0123; exit; }\n\
                       for word; do case $word in --endpoints=*) echo \"$word\" | tee -a \"$TOLD\" ;; esac; done\n";
        std::fs::write(path("crictl"), program).unwrap();
        std::fs::set_permissions(path("crictl"), std::fs::Permissions::from_mode(0o755)).unwrap();
        for url in ["https://[fd00::1]:2379", "https://10.0.0.1:2379"] {
            let manifest = format!(
                "  annotations:\n    kubeadm.kubernetes.io/etcd.advertise-client-urls: {url}\n"
            );
            std::fs::write(path("etcd.yaml"), manifest).unwrap();
            let told = path("told");
            for script in [health_of_all(), member_serves()] {
                let script = script.replace(MANIFEST, &path("etcd.yaml"));
                let output = std::process::Command::new("sh")
                    .args(["-c", &script.replace("/usr/local/bin", &path(""))])
                    .env("PATH", format!("{}:/usr/bin:/bin", path("")))
                    .env("TOLD", &told)
                    .output()
                    .unwrap();
                assert!(output.status.success());
                let asked = std::fs::read_to_string(&told).unwrap();
                assert_eq!(asked, format!("--endpoints={url}\n"));
                std::fs::remove_file(&told).unwrap();
            }
        }
    }

    #[test]
    fn a_member_keeps_with_whom_it_began() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let old = file(
            "old",
            "    - --initial-advertise-peer-urls=https://10.0.0.2:2380\n    - --initial-cluster=b=x,a=y\n    \
             - --initial-cluster-state=existing\n    - --quota-backend-bytes=1\n",
        );
        let new = file(
            "new",
            "    - --initial-advertise-peer-urls=https://10.0.0.2:2380\n    - --initial-cluster=b=x\n    \
             - --quota-backend-bytes=2\n",
        );
        let merged = |old: &str| {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("{MERGE} {old} {new}")])
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let first = file("first", "    - --initial-cluster=b=x\n    - --name=b\n");
        let founded = merged(&first);
        assert!(
            founded.contains("--initial-cluster=b=x\n    - --initial-cluster-state=existing\n"),
            "{founded}"
        );
        assert_eq!(founded, merged(&file("founded", &founded)));
        insta::assert_snapshot!(merged(&old), @"
            - --initial-advertise-peer-urls=https://10.0.0.2:2380
            - --initial-cluster=b=x,a=y
            - --initial-cluster-state=existing
            - --quota-backend-bytes=2
        ");
    }

    fn look(health: &[(&str, bool)]) -> Look {
        let health = health
            .iter()
            .map(|(endpoint, health)| Health::of(endpoint, *health, ""));
        Look {
            container: Some("0123".to_owned()),
            url: "a".to_owned(),
            health: health.collect(),
            corrupt: BTreeSet::new(),
        }
    }

    #[test]
    fn a_member_is_restarted_where_the_others_keep_the_majority() {
        let well = [
            look(&[("a", true)]),
            look(&[("a", false), ("b", true)]),
            look(&[("a", true), ("b", true), ("c", true)]),
            look(&[
                ("a", true),
                ("b", true),
                ("c", true),
                ("d", true),
                ("e", false),
            ]),
        ];
        for look in well {
            may_restart(&look).unwrap();
        }
        let error = may_restart(&look(&[("a", true), ("b", true), ("c", false)])).unwrap_err();
        insta::assert_snapshot!(error, @"etcd runs with an older configuration and is not restarted: 2 healthy members are needed beside it, and c is not");
        assert_eq!(error.hint(), Some(HINT));
        let mut alarmed = look(&[]);
        let said = "Active Alarm(s): CORRUPT ";
        alarmed.health = ["a", "b", "c"].map(|it| Health::of(it, false, said)).into();
        may_restart(&alarmed).unwrap();
        alarmed.corrupt.insert("b".to_owned());
        let error = may_restart(&alarmed).unwrap_err();
        insta::assert_snapshot!(error, @"etcd runs with an older configuration and is not restarted: 2 healthy members are needed beside it, and b is not");
        let stopped = Look {
            container: None,
            ..look(&[])
        };
        may_restart(&stopped).unwrap();
    }

    #[test]
    fn what_a_member_says_of_the_cluster() {
        let output = |stdout: &str| Output {
            stdout: stdout.into(),
            stderr: "Error: context deadline exceeded\n".into(),
            status: 1,
        };
        let told = seen(&output(
            "0123\nhttps://10.0.0.1:2379\n[{\"endpoint\":\"https://10.0.0.1:2379\",\"health\":true,\"took\":\"9ms\"}]\n",
        ))
        .unwrap();
        assert_eq!(
            (told.container.as_deref(), &*told.url, told.health.len()),
            (Some("0123"), "https://10.0.0.1:2379", 1)
        );
        assert!(
            seen(&output("\nhttps://10.0.0.1:2379\n"))
                .unwrap()
                .container
                .is_none()
        );
        let Err(silent) = seen(&output("0123\nhttps://10.0.0.1:2379\n")) else {
            panic!("nobody told anything");
        };
        insta::assert_snapshot!(silent, @"etcd runs with an older configuration and is not restarted, because it does not tell how its members are: Error: context deadline exceeded");
    }
}
