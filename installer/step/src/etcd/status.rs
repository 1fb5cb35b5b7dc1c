//! How a member of etcd is, as its own host tells.

use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use host::Command;
use serde::{Deserialize, Serialize};

use crate::etcd::etcdctl::{Answer, EtcdCluster, EtcdPeer, EtcdRuns};
use crate::etcd::health::{Health, read_alarms};
use crate::etcd::last_words::{damage, last_complaint, of_last_start};
use crate::etcd::timer::{BackupSeen, BackupTimer};
use crate::kubeadm::container;
use crate::shell::ask;

/// A member as its own host tells of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberSeen {
    pub name: String,
    pub endpoint: String,
    pub state: MemberState,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    #[serde(flatten)]
    pub told: Option<MemberTold>,
    pub alarms: Vec<EtcdAlarm>,
    /// What its timer keeps, where the config asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupSeen>,
    /// Everybody whom it knows as a member.
    #[serde(skip)]
    pub knows: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberState {
    /// It has served a linearizable read.
    Healthy,
    /// It answers, and cannot serve: it has no leader, or lags behind.
    Unhealthy,
    /// It does not answer.
    Down,
    /// It does not run because its log or its store cannot be read.
    Damaged,
    /// It holds no data.
    Void,
}

/// What a member that answers says of itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberTold {
    /// As etcdctl writes it.
    pub id: String,
    pub cluster_id: String,
    pub version: String,
    pub leader: bool,
    pub learner: bool,
    pub revision: u64,
    pub raft_term: u64,
    pub raft_index: u64,
    pub raft_applied: u64,
    pub db_bytes: u64,
    pub in_use_bytes: u64,
    pub quota_bytes: u64,
    /// Of a linearizable read through this member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_ms: Option<f64>,
}

impl MemberTold {
    /// Whether a defragmentation gives back enough to be worth that the member does not answer meanwhile.
    #[must_use]
    pub const fn defrag_pays(&self) -> bool {
        self.in_use_bytes < self.db_bytes / 2 && self.db_bytes - self.in_use_bytes >= WORTH
    }
}

/// Less is not worth a pause.
const WORTH: u64 = 16 << 20;

/// What etcd itself has noticed. Until it is disarmed the member stays as the alarm has made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EtcdAlarm {
    Nospace,
    Corrupt,
    Other,
}

impl EtcdAlarm {
    pub(super) const fn of(number: u64) -> Self {
        match number {
            1 => Self::Nospace,
            2 => Self::Corrupt,
            _ => Self::Other,
        }
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nospace => "NOSPACE",
            Self::Corrupt => "CORRUPT",
            Self::Other => "unknown",
        }
    }

    /// Why it is raised, in one sentence.
    #[must_use]
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Nospace => {
                "a member's store has reached its quota: etcd refuses every write of the cluster"
            }
            Self::Corrupt => "the members' stores differ: this one has lost or changed data",
            Self::Other => "this version of kubexm does not know the alarm",
        }
    }

    /// What cures it.
    #[must_use]
    pub const fn cure(self) -> &'static str {
        match self {
            Self::Nospace => {
                "delete what has grown, wait for the next compaction (5 minutes), run kubexm etcd defrag; or raise \
                 etcd.quotaBackendBytes and install; then kubexm etcd alarms --disarm"
            }
            Self::Corrupt => {
                "stop this member and move its data away; kubexm install lets it join anew; then kubexm etcd alarms --disarm"
            }
            Self::Other => "etcdctl alarm list on a member tells more",
        }
    }
}

/// Asks a member how it is. Changes nothing, and takes no silence for a failure of its own.
pub struct LookAtMember {
    pub me: EtcdPeer,
    pub cluster: EtcdCluster,
    pub data_dir: Utf8PathBuf,
    /// As the config has it, for members that do not tell theirs.
    pub quota: u64,
    pub backup: Option<BackupTimer>,
    pub seen: Slot<MemberSeen>,
}

/// As etcdctl writes an answer to `endpoint status`.
#[derive(Deserialize)]
struct Answered {
    #[serde(rename = "Status")]
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    header: Header,
    version: String,
    #[serde(rename = "dbSize", default)]
    db_size: u64,
    #[serde(rename = "dbSizeInUse", default)]
    in_use: u64,
    #[serde(rename = "dbSizeQuota", default)]
    quota: u64,
    #[serde(default)]
    leader: u64,
    #[serde(rename = "raftIndex", default)]
    raft_index: u64,
    #[serde(rename = "raftAppliedIndex", default)]
    raft_applied: u64,
    #[serde(rename = "raftTerm", default)]
    raft_term: u64,
    #[serde(rename = "isLearner", default)]
    learner: bool,
}

#[derive(Deserialize)]
struct Header {
    cluster_id: u64,
    member_id: u64,
    #[serde(default)]
    revision: u64,
}

impl LookAtMember {
    /// What the member says of itself; or etcdctl's last words.
    pub(crate) async fn told(
        cx: &Cx,
        cluster: &EtcdCluster,
        endpoint: &str,
        quota: u64,
    ) -> Result<Result<MemberTold, String>, StepError> {
        let ask = ["endpoint", "status", "--write-out=json"];
        let output = cluster.etcdctl(cx, &[endpoint.to_owned()], &ask).await?;
        let answered: Vec<Answered> = match serde_json::from_slice(&output.stdout) {
            Ok(answered) if output.ok() => answered,
            _ => return Ok(Err(output.last_words())),
        };
        let Some(Answered { status }) = answered.into_iter().next() else {
            return Ok(Err(output.last_words()));
        };
        Ok(Ok(MemberTold {
            id: format!("{:x}", status.header.member_id),
            cluster_id: format!("{:x}", status.header.cluster_id),
            version: status.version,
            leader: status.leader == status.header.member_id,
            learner: status.learner,
            revision: status.header.revision,
            raft_term: status.raft_term,
            raft_index: status.raft_index,
            raft_applied: status.raft_applied,
            db_bytes: status.db_size,
            in_use_bytes: status.in_use,
            quota_bytes: if status.quota == 0 {
                quota
            } else {
                status.quota
            },
            read_ms: None,
        }))
    }

    async fn look(&self, cx: &Cx) -> Result<MemberSeen, StepError> {
        let endpoint = self.me.client_url();
        let mut seen = MemberSeen {
            name: self.me.name.clone(),
            endpoint: endpoint.clone(),
            state: MemberState::Down,
            trouble: None,
            told: None,
            alarms: Vec::new(),
            backup: match &self.backup {
                Some(timer) => Some(timer.look(cx, &self.me.name).await?),
                None => None,
            },
            knows: Vec::new(),
        };
        let here = [endpoint.clone()];
        match Self::told(cx, &self.cluster, &endpoint, self.quota).await? {
            Err(words) => {
                (seen.state, seen.trouble) = self.diagnosed(cx, words).await?;
                return Ok(seen);
            }
            Ok(told) => seen.told = Some(told),
        }
        let health = ["endpoint", "health", "--write-out=json"];
        let health = self.cluster.etcdctl(cx, &here, &health).await?;
        let health: Option<Health> = serde_json::from_slice::<Vec<Health>>(&health.stdout)
            .ok()
            .and_then(|all| all.into_iter().next());
        let alarms = ["alarm", "list", "--write-out=json"];
        let alarms = self.cluster.etcdctl(cx, &here, &alarms).await?;
        let alarms = read_alarms(&alarms.stdout).unwrap_or_default();
        if let Some(told) = &mut seen.told {
            let mine = alarms.iter();
            let mine = mine.filter(|alarm| format!("{:x}", alarm.member) == told.id);
            seen.alarms = mine.map(|raised| raised.alarm()).collect();
            told.read_ms = health
                .as_ref()
                .and_then(|health| milliseconds(&health.took));
        }
        (seen.state, seen.trouble) = match health {
            Some(health) if health.serves() => (MemberState::Healthy, None),
            Some(health) => (MemberState::Unhealthy, Some(health.error)),
            None => (
                MemberState::Unhealthy,
                Some("its health is not told".to_owned()),
            ),
        };
        if let Ok(Answer::Members(members)) = self.cluster.ask(cx, &here).await {
            seen.knows = members.iter().map(super::etcdctl::Member::title).collect();
        }
        Ok(seen)
    }

    /// Why a member does not answer, by what it left behind.
    async fn diagnosed(
        &self,
        cx: &Cx,
        words: String,
    ) -> Result<(MemberState, Option<String>), StepError> {
        let log = match &self.cluster.runs {
            EtcdRuns::Service { .. } => {
                "systemctl is-active --quiet etcd || echo \"etcd.service is $(systemctl is-active etcd)\"; \
                 journalctl --no-pager --unit etcd --lines 300 --output cat 2>/dev/null"
                    .to_owned()
            }
            EtcdRuns::StaticPod => format!(
                "export PATH=\"/usr/local/bin:$PATH\"; [ -n \"$({})\" ] || echo 'etcd has no container that runs'; \
                 id=$(crictl ps --all --quiet --last 1 --name '^etcd$' 2>/dev/null | head -n 1); \
                 [ -z \"$id\" ] || crictl logs --tail 300 \"$id\" 2>&1",
                container("etcd")
            ),
        };
        let member = host::quote(self.data_dir.join("member/wal").as_str());
        let script = format!("[ -d {member} ] || echo {VOID}\n{log}");
        let log = ask(cx, Command::script(script)).await?.text();
        let (void, log) = match log.strip_prefix(VOID) {
            Some(rest) => (true, rest.trim_start()),
            None => (false, log.as_str()),
        };
        if void {
            let why = format!("there is no data in {}", self.data_dir);
            return Ok((MemberState::Void, Some(why)));
        }
        let ended = of_last_start(log);
        if let Some((line, damage)) = damage(ended) {
            return Ok((MemberState::Damaged, Some(format!("{damage}: {line}"))));
        }
        let first = log.lines().next().unwrap_or_default();
        let why = if first.contains("etcd.service is") || first.contains("no container") {
            format!("{first}; {}", last_complaint(ended).unwrap_or(words))
        } else {
            words
        };
        Ok((MemberState::Down, Some(why)))
    }
}

const VOID: &str = "VOID";

/// As Go writes a duration.
fn milliseconds(text: &str) -> Option<f64> {
    let number = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let value: f64 = number.parse().ok()?;
    let ms = match &text[number.len()..] {
        "ns" => value / 1e6,
        "µs" | "μs" => value / 1e3,
        "ms" => value,
        "s" => value * 1e3,
        _ => return None,
    };
    Some((ms * 100.0).round() / 100.0)
}

#[async_trait]
impl Step for LookAtMember {
    fn id(&self) -> String {
        "look at the member".to_owned()
    }

    fn describe(&self) -> String {
        format!("ask {} how it is", self.me.name)
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.seen.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.seen.fill(self.look(cx).await?);
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go() {
        assert_eq!(milliseconds("2.345678ms"), Some(2.35));
        assert_eq!(milliseconds("912.5µs"), Some(0.91));
        assert_eq!(milliseconds("1.5s"), Some(1500.0));
        assert_eq!(milliseconds("1m0s"), None);
    }
}
