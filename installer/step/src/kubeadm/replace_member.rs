//! A member of etcd on a master that has lost its data, or cannot read it: it is taken out and let in again under another id,
//! and the master around it stays as it is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Question, Slot, SlotId, State, Step, StepError};
use host::Command;

use crate::etcd::aside::set_aside;
use crate::etcd::damaged::START_THE_OTHERS;
use crate::etcd::enter::{announce, insist_on_mount};
use crate::etcd::etcdctl::{Answer, EtcdCluster, EtcdPeer, Member};
use crate::kubeadm::{NOTES, container, exclusive, run, settled};
use crate::shell::ask;
use crate::{LookAtMember, MemberState, PromoteEtcdMember, RemoveEtcdMember};

/// What a master shows of its member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberLoss {
    /// Nothing that speaks for a loss.
    None,
    Lost(String),
    /// It was let in again, and does not vote yet.
    Learner,
}

/// Looks whether a master that has joined has lost its member's data.
pub struct LookForLoss {
    pub look: LookAtMember,
    /// How long a member that runs may take to answer.
    pub patience: Duration,
    /// How long the kubelet may take to start it.
    pub kubelet: Duration,
    pub loss: Slot<MemberLoss>,
}

/// Takes a lost member out of etcd, where the others can go on without it, and lets it in again as a learner. Done by another
/// member's host.
pub struct ReadmitMember {
    pub loss: Slot<MemberLoss>,
    /// With whom it is to start.
    pub with: Slot<String>,
    pub remove: RemoveEtcdMember,
    pub cluster: EtcdCluster,
    pub by: &'static str,
}

/// Starts a lost member anew on its master: what is left of its data is set aside, and its manifest names those whom it joins.
pub struct RestartLostMember {
    pub loss: Slot<MemberLoss>,
    pub with: Slot<String>,
    pub cluster: EtcdCluster,
    pub me: EtcdPeer,
    pub data_dir: Utf8PathBuf,
}

/// Lets it vote when it has caught up. Done by another member's host.
pub struct PromoteReadmitted {
    pub loss: Slot<MemberLoss>,
    pub promote: PromoteEtcdMember,
    pub by: &'static str,
}

const MANIFEST: &str = "/etc/kubernetes/manifests/etcd.yaml";
/// On the same file system, where the kubelet does not look. As long as it is there, the member is being replaced.
const ANEW: &str = "/etc/kubernetes/.etcd-anew.yaml";
/// Prints its pods, also those in which no container runs.
const PODS: &str = "crictl pods --quiet --namespace kube-system --label component=etcd";
const OF_ITS_OWN: &str =
    "its member has founded a cluster of its own, without the data of the others";
const ASK_EVERY: Duration = Duration::from_secs(1);

/// What a master shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// It has not joined, or has no manifest: nothing was lost.
    Outside,
    /// Its member serves.
    Serves,
    /// Its member serves, and knows no other.
    Alone,
    Silent,
    /// The kubelet has not started its member yet.
    Starting,
    Ended,
    /// An earlier run has begun to replace it.
    Anew,
}

impl LookForLoss {
    async fn stand(&self, cx: &Cx) -> Result<Stand, StepError> {
        let script = format!(
            "export PATH=\"/usr/local/bin:$PATH\"
[ ! -e {NOTES}/join ] && [ -s /etc/kubernetes/kubelet.conf ] && [ -s /etc/kubernetes/admin.conf ] || exit 0
[ ! -e {ANEW} ] || {{ echo anew; exit; }}
[ -e {MANIFEST} ] || exit 0
if [ -n \"$({running})\" ]; then echo runs
elif [ -n \"$(crictl ps --all --quiet --label io.kubernetes.container.name=etcd)\" ] || [ ! -e {data}/member ] || \
  ! systemctl is-active --quiet kubelet; then echo ended
else echo starting; fi",
            running = container("etcd"),
            data = host::quote(self.look.data_dir.as_str()),
        );
        Ok(
            match ask(cx, Command::script(script)).await?.text().as_str() {
                "anew" => Stand::Anew,
                "ended" => Stand::Ended,
                "starting" => Stand::Starting,
                "runs" => self.serving(cx).await?,
                _ => Stand::Outside,
            },
        )
    }

    async fn serving(&self, cx: &Cx) -> Result<Stand, StepError> {
        let EtcdCluster { peers, .. } = &self.look.cluster;
        if !cx.host.run(&self.look.cluster.answers_here()).await?.ok() {
            return Ok(Stand::Silent);
        }
        let here = [self.look.cluster.here()];
        Ok(match self.look.cluster.ask(cx, &here).await? {
            Answer::Members(members) if members.len() == 1 && peers.len() > 1 => Stand::Alone,
            Answer::Members(_) => Stand::Serves,
            Answer::Silence(_) => Stand::Silent,
        })
    }

    /// Of a member that knows no other: the others have a cluster without it. Where nobody else answers it may be the first.
    async fn is_left_out(&self, cx: &Cx) -> Result<bool, StepError> {
        let LookAtMember { me, cluster, .. } = &self.look;
        let others: Vec<String> = cluster.others(me).map(EtcdPeer::client_url).collect();
        Ok(match cluster.ask(cx, &others).await? {
            Answer::Members(members) => !members
                .iter()
                .any(|member| member.name == me.name && !member.learner),
            Answer::Silence(_) => false,
        })
    }

    /// What it shows when it serves or has ended; one that was started a moment ago has not said anything yet, and a kubelet
    /// whose apiserver is this master's own takes its time.
    async fn verdict(&self, cx: &Cx) -> Result<Stand, StepError> {
        let last = Mutex::new(Stand::Outside);
        let until_not = |passes: Stand, why: &'static str| {
            let last = &last;
            move || async move {
                let stand = self.stand(cx).await?;
                *last.lock().unwrap_or_else(PoisonError::into_inner) = stand;
                Ok(if stand == passes {
                    State::needed(why)
                } else {
                    State::Satisfied
                })
            }
        };
        let starts = until_not(Stand::Starting, "the kubelet has not started etcd yet");
        cx.wait_until(self.kubelet, ASK_EVERY, starts).await?;
        let stand = *last.lock().unwrap_or_else(PoisonError::into_inner);
        if stand == Stand::Silent {
            let serves = until_not(Stand::Silent, "its member of etcd does not serve");
            cx.wait_until(self.patience, ASK_EVERY, serves).await?;
        }
        Ok(last.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    async fn loss(&self, cx: &Cx) -> Result<MemberLoss, StepError> {
        let stand = self.verdict(cx).await?;
        match stand {
            Stand::Alone if self.is_left_out(cx).await? => {
                return Ok(MemberLoss::Lost(OF_ITS_OWN.to_owned()));
            }
            Stand::Outside | Stand::Serves | Stand::Alone => return Ok(MemberLoss::None),
            Stand::Anew => return Ok(MemberLoss::Lost("its replacement was cut short".to_owned())),
            Stand::Silent | Stand::Starting | Stand::Ended => {}
        }
        self.look.check(cx).await?;
        let Some(seen) = self.look.seen.get() else {
            return Ok(MemberLoss::None);
        };
        if seen.state == MemberState::Void {
            insist_on_mount(cx, &self.look.me.name, &self.look.data_dir).await?;
        }
        let is_lost = matches!(seen.state, MemberState::Void | MemberState::Damaged);
        Ok(match (&seen.told, stand) {
            (Some(told), _) if told.learner => MemberLoss::Learner,
            (None, Stand::Ended) if is_lost => {
                MemberLoss::Lost(seen.trouble.clone().unwrap_or_default())
            }
            _ => MemberLoss::None,
        })
    }
}

#[async_trait]
impl Question for LookForLoss {
    fn id(&self) -> String {
        "look for a lost member".to_owned()
    }

    fn describe(&self) -> String {
        "look whether its member of etcd has lost its data".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.loss.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.loss.fill(self.loss(cx).await?);
        Ok(State::Satisfied)
    }
}

impl ReadmitMember {
    fn find<'a>(&self, members: &'a [Member]) -> Option<&'a Member> {
        let url = self.remove.member.peer_url();
        members
            .iter()
            .find(|member| member.peer_urls.contains(&url))
    }

    /// Those whom it is to start with: all that are listed beside it, and itself.
    fn tell(&self, members: &[Member]) {
        let url = self.remove.member.peer_url();
        let others = members
            .iter()
            .filter(|member| !member.peer_urls.contains(&url));
        let named = others.flat_map(|member| {
            let urls = member.peer_urls.iter();
            urls.map(|url| format!("{}={url}", member.name))
                .collect::<Vec<_>>()
        });
        let all: Vec<String> = named.chain([self.remove.member.initial()]).collect();
        self.with.fill(all.join(","));
    }

    async fn members(&self, cx: &Cx) -> Result<Vec<Member>, StepError> {
        let others = self.remove.cluster.endpoints();
        match self.cluster.ask(cx, &others).await? {
            Answer::Members(members) => Ok(members),
            Answer::Silence(why) => Err(StepError::passing(format!(
                "{} has lost its data, and etcd has no majority without it that could let it join anew: {why}",
                self.remove.member.name
            ))
            .with_hint(START_THE_OTHERS)),
        }
    }
}

#[async_trait]
impl Step for ReadmitMember {
    fn id(&self) -> String {
        "readmit".to_owned()
    }

    fn describe(&self) -> String {
        format!(
            "take {} out of etcd if its data is lost, and let it in again",
            self.remove.member.name
        )
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.remove.member)
    }

    fn done_on(&self) -> Option<&'static str> {
        Some(self.by)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let Some(MemberLoss::Lost(why)) = self.loss.get() else {
            return Ok(State::Satisfied);
        };
        let members = self.members(cx).await?;
        match self.find(&members) {
            // It was announced, and has not started since.
            Some(member) if member.name.is_empty() => {
                self.tell(&members);
                Ok(State::Satisfied)
            }
            Some(_) => Ok(State::needed(format!("has lost its data: {why}"))),
            None => Ok(State::needed("was taken out of etcd")),
        }
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.remove.apply(cx).await?;
        let members = self.members(cx).await?;
        announce(cx, &self.cluster, &self.remove.member, &members).await?;
        self.tell(&self.members(cx).await?);
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// The manifest with those whom the member joins, whatever it began with.
fn with_whom(initial: &str) -> String {
    format!(
        "awk -v with={} '/- --initial-cluster(-state)?=/ {{ if (done) next; done = 1; pad = $0; sub(/-.*/, \"\", pad); \
         print pad \"- --initial-cluster=\" with; print pad \"- --initial-cluster-state=existing\"; next }} {{ print }}'",
        host::quote(initial)
    )
}

impl RestartLostMember {
    /// Its container ends, its data goes aside, and the kubelet finds its manifest again. The kubelet is stopped meanwhile: one
    /// that has begun to start the pod of before would still do so a minute later, and that member would found a cluster.
    fn anew(&self, with: &str) -> String {
        let running = container("etcd");
        format!(
            "from={MANIFEST}; [ -e \"$from\" ] || from={ANEW}
{edit} \"$from\" > {ANEW}.part
grep -q -- --initial-cluster-state=existing {ANEW}.part || {{ echo 'its manifest names no cluster' >&2; exit 1; }}
mv -f {ANEW}.part {ANEW}
rm -f {MANIFEST}
systemctl stop kubelet
trap 'systemctl start kubelet' EXIT
for id in $({running}); do crictl stop --timeout 10 \"$id\" > /dev/null; done
for id in $({PODS}); do crictl stopp \"$id\" > /dev/null; crictl rmp --force \"$id\" > /dev/null; done
[ -z \"$({PODS})\" ] || {{ echo 'its pod does not end: crictl pods --label component=etcd' >&2; exit 1; }}
{aside}
mv -f {ANEW} {MANIFEST}",
            edit = with_whom(with),
            aside = set_aside(&self.data_dir),
        )
    }

    /// Complains while it does not answer at all, and when it serves reads that all agree on: a learner does not.
    fn complaints(&self) -> String {
        format!(
            "[ ! -e {ANEW} ] || {{ echo its replacement was cut short; exit; }}; \
             ( {status} ) > /dev/null 2>&1 || {{ told_of etcd; echo its member does not answer yet; exit; }}; \
             ! ( {serves} ) > /dev/null 2>&1 || {{ echo its member serves a cluster of its own; exit; }}; ",
            status = self.cluster.status_here().text(),
            serves = self.cluster.answers_here().text(),
        )
    }
}

#[async_trait]
impl Step for RestartLostMember {
    fn id(&self) -> String {
        "restart the lost member".to_owned()
    }

    fn describe(&self) -> String {
        format!("start {} of etcd anew if its data is lost", self.me.name)
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.me)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let Some(MemberLoss::Lost(why)) = self.loss.get() else {
            return Ok(State::Satisfied);
        };
        let script = format!(
            "export PATH=\"/usr/local/bin:$PATH\"\ntold_of() {{ :; }}\n{}",
            self.complaints()
        );
        let lacking = ask(cx, Command::script(script)).await?.text();
        Ok(if lacking.is_empty() {
            State::Satisfied
        } else {
            State::needed(why.clone())
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let Some(with) = self.with.get() else {
            return Err(StepError::new("etcd has not let the member in again"));
        };
        run(
            cx,
            "start the member of etcd anew",
            exclusive(&self.anew(with)),
        )
        .await?;
        settled(cx, "etcd", &self.complaints()).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for PromoteReadmitted {
    fn id(&self) -> String {
        self.promote.id()
    }

    fn describe(&self) -> String {
        self.promote.describe()
    }

    fn done_on(&self) -> Option<&'static str> {
        Some(self.by)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        match self.loss.get() {
            Some(MemberLoss::Lost(_) | MemberLoss::Learner) => self.promote.check(cx).await,
            Some(MemberLoss::None) | None => Ok(State::Satisfied),
        }
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.promote.apply(cx).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests;
