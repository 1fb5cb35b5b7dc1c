use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::etcd::etcdctl::{EtcdPeer, Member};
use crate::etcd::last_words::{damage, of_last_start};
use crate::shell::must;
use crate::{EtcdTrace, RemoveEtcdMember, RunService};

/// Takes a member out of etcd that cannot read its own data, where the others can go on without it: what is left of it is then
/// set aside, and its host joins anew. Nothing of its data is touched here.
///
/// A killed one leaves a member that was taken out, or not: both are what the next run begins with.
pub struct RemoveDamagedMember {
    pub service: RunService,
    pub bootstrap: Utf8PathBuf,
    pub data_dir: Utf8PathBuf,
    /// How long it is waited for the member to come up or to end, and for the others, which may have been set going as well.
    pub patience: Duration,
    /// The member of this host, and those who stay.
    pub remove: RemoveEtcdMember,
}

/// What a host shows of its member.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shown {
    /// Nothing that speaks for a loss.
    Nothing,
    /// It is being started.
    Starting,
    /// It has ended, and why.
    Damaged(String),
}

pub(crate) const START_THE_OTHERS: &str = "start the others first; where the data of most members is lost: kubexm etcd status names the newest snapshot, \
     kubexm etcd restore brings it back";
const ASK_EVERY: Duration = Duration::from_secs(1);

impl RemoveDamagedMember {
    fn me(&self) -> &EtcdPeer {
        &self.remove.member
    }

    async fn shown(&self, cx: &Cx) -> Result<Shown, StepError> {
        let unit = host::quote(self.service.unit);
        let script = format!(
            "case \"$(systemctl is-active {unit})/$(systemctl show --property SubState --value {unit})\" in
active/*) exit;; activating/auto-restart*|failed/*|inactive/*) ;; *) echo starting; exit;; esac
echo ended; journalctl --no-pager --unit {unit} --lines 300 --output cat 2>/dev/null || true"
        );
        let trying = "look how the member of etcd has ended";
        let text = must(cx, trying, Command::script(script)).await?.text();
        let (first, log) = text.split_once('\n').unwrap_or((&text, ""));
        Ok(match (first, damage(of_last_start(log))) {
            ("starting", _) => Shown::Starting,
            ("ended", Some((line, what))) => Shown::Damaged(format!("{what}: {line}")),
            _ => Shown::Nothing,
        })
    }

    /// What it shows when it has ended, or does not end.
    async fn verdict(&self, cx: &Cx) -> Result<Shown, StepError> {
        let last = Mutex::new(Shown::Nothing);
        let look = || async {
            let shown = self.shown(cx).await?;
            let starts = shown == Shown::Starting;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = shown;
            Ok(if starts {
                State::needed("etcd is being started")
            } else {
                State::Satisfied
            })
        };
        cx.wait_until(self.patience, ASK_EVERY, look).await?;
        Ok(last.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the others list; why they do not answer, where they do not for as long as it takes them to find each other.
    async fn listed(&self, cx: &Cx) -> Result<Result<Vec<Member>, String>, StepError> {
        let last = Mutex::new(Err(String::new()));
        let look = || async {
            let answer = self.remove.listed(cx).await?;
            let state = match &answer {
                Ok(_) => State::Satisfied,
                Err(_) => State::needed("the other members of etcd do not answer"),
            };
            *last.lock().unwrap_or_else(PoisonError::into_inner) = answer;
            Ok(state)
        };
        cx.wait_until(self.patience, ASK_EVERY, look).await?;
        Ok(last.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn no_majority(&self, damage: &str, why: &str) -> StepError {
        StepError::new(format!(
            "{} cannot read its data, and etcd has no majority without it that could let it join anew: {damage}; the others: \
             {why}",
            self.me().name
        ))
        .with_hint(START_THE_OTHERS)
    }
}

#[async_trait]
impl Step for RemoveDamagedMember {
    fn id(&self) -> String {
        "take a damaged member out".to_owned()
    }

    fn describe(&self) -> String {
        format!(
            "take {} out of etcd if it cannot read its data, so that it joins anew",
            self.me().name
        )
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.me())
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let trace = EtcdTrace::of(cx, &self.data_dir, &self.bootstrap).await?;
        if !(trace.data && trace.entered) || self.remove.cluster.peers.is_empty() {
            return Ok(State::Satisfied);
        }
        let Shown::Damaged(damage) = self.verdict(cx).await? else {
            return Ok(State::Satisfied);
        };
        let url = self.me().peer_url();
        match self.listed(cx).await? {
            Err(why) => Err(self.no_majority(&damage, &why)),
            Ok(members) if members.iter().any(|member| member.peer_urls.contains(&url)) => {
                Ok(State::needed(format!("cannot read its data: {damage}")))
            }
            Ok(_) => Ok(State::Satisfied),
        }
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.remove.apply(cx).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
