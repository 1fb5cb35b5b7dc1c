use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use host::{Command, Host};
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const SCRIPT: &str = include_str!("lease.sh");
/// Gone with the boot of its host: no run outlives that.
const PATH: &str = "/run/kubexm.lease";
const EVERY: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(30);
/// Whoever has not been heard of for so long does not run any more, or cannot reach its hosts.
const STALE: Duration = Duration::from_mins(3);

/// Who wants to work on a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// This run and no other.
    pub run: String,
    /// The same for all runs of one work directory on one machine: of these one takes the place of another that was killed.
    pub holder: String,
    pub cluster: String,
    pub verb: String,
    /// `anna@ops1`
    pub owner: String,
    pub directory: String,
    pub since: Timestamp,
}

impl Claim {
    fn record(&self) -> String {
        let since = format!("{:.0}", self.since);
        let lines = [
            ("run", &self.run),
            ("holder", &self.holder),
            ("cluster", &self.cluster),
            ("verb", &self.verb),
            ("owner", &self.owner),
            ("directory", &self.directory),
            ("since", &since),
        ];
        let lines = lines.map(|(key, value)| {
            let value: String = value.chars().filter(|c| !c.is_control()).collect();
            format!("{key}: {value}")
        });
        lines.join("\n")
    }
}

/// The lease of somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherLease {
    fields: BTreeMap<String, String>,
    /// How long ago it was renewed.
    age: Duration,
}

impl OtherLease {
    /// Of what the script says; none where this run holds the lease.
    fn of(said: &str) -> Option<Self> {
        let (age, record) = said.strip_prefix("other ")?.split_once('\n')?;
        let fields = record.lines().filter_map(|line| line.split_once(": "));
        Some(Self {
            fields: fields
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            age: Duration::from_secs(age.parse().unwrap_or_default()),
        })
    }

    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("?", String::as_str)
    }

    fn is_stale(&self) -> bool {
        self.age >= STALE
    }

    /// `anna@ops1`
    #[must_use]
    pub fn owner(&self) -> &str {
        self.field("owner")
    }

    #[must_use]
    pub fn directory(&self) -> &str {
        self.field("directory")
    }
}

impl fmt::Display for OtherLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [verb, owner, directory, since] =
            ["verb", "owner", "directory", "since"].map(|name| self.field(name));
        write!(f, "{verb} by {owner} in {directory}, since {since}")
    }
}

/// What becomes of a lease that nobody renews any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleLease {
    Respect,
    Break,
}

/// Why this run may not work on the cluster.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    #[error("another kubexm works on this cluster: {other} (lease on {host})")]
    Held { other: OtherLease, host: String },
    #[error(
        "another run on this cluster has not ended: {other}; it was last heard of {} minutes ago (lease on {host})",
        .other.age.as_secs() / 60
    )]
    Stale { other: OtherLease, host: String },
    #[error(
        "the lease of the cluster is kept on {}, and {needed} of them must be asked:\n  {}",
        .hosts.join(", "), .why.join("\n  ")
    )]
    TooFew {
        hosts: Vec<String>,
        needed: usize,
        why: Vec<String>,
    },
    #[error("another kubexm took this cluster over: {other} (lease on {host}); this run was ended")]
    Lost { other: OtherLease, host: String },
}

impl LeaseError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Held { other, .. } => {
                format!("wait for it to end, or end it on {}", other.owner())
            }
            Self::Stale { other, .. } => format!(
                "if it was killed, run again as {} in {}: there it goes on by itself. If it surely runs no more and cannot \
                 go on there, take its place with --break-lease",
                other.owner(),
                other.directory()
            ),
            Self::TooFew { .. } => {
                "bring them back; hosts that are lost for good are taken out of the config"
                    .to_owned()
            }
            Self::Lost { other, .. } => format!(
                "ask {} before you run again: what this run has begun, the other goes on with",
                other.owner()
            ),
        }
    }
}

/// The right to work on a cluster, kept on several of its hosts, so that no other machine works on it meanwhile. Renewed as
/// long as this lives; [`Lease::release`] gives it back.
pub struct Lease {
    keeping: Arc<Keeping>,
    ended: CancellationToken,
    keeper: JoinHandle<()>,
}

/// What the one who renews works with.
struct Keeping {
    hosts: Vec<Arc<dyn Host>>,
    record: String,
    every: Duration,
    lost: Mutex<Option<(OtherLease, String)>>,
}

impl Lease {
    /// Takes the lease on all of these hosts that answer, which must be the majority of them. Whoever finds a lease of
    /// somebody else on any of them gives back what it has.
    ///
    /// Where another takes it from us, `stop` is cancelled.
    pub async fn take(
        hosts: Vec<Arc<dyn Host>>,
        claim: &Claim,
        stale: StaleLease,
        stop: &CancellationToken,
    ) -> Result<Self, LeaseError> {
        Self::renewed_every(EVERY, hosts, claim, stale, stop).await
    }

    async fn renewed_every(
        every: Duration,
        hosts: Vec<Arc<dyn Host>>,
        claim: &Claim,
        stale: StaleLease,
        stop: &CancellationToken,
    ) -> Result<Self, LeaseError> {
        let (needed, names) = (hosts.len() / 2 + 1, names(&hosts));
        let (mut held, mut why) = (Vec::new(), Vec::new());
        let record = claim.record();
        // One after another, so that of two only one is refused.
        for host in hosts {
            match take_on(host.as_ref(), &record, stale).await {
                Ok(None) => held.push(host),
                Ok(Some(other)) => {
                    let host = host.name().to_owned();
                    give_back(&held, &record).await;
                    return Err(if other.is_stale() {
                        LeaseError::Stale { other, host }
                    } else {
                        LeaseError::Held { other, host }
                    });
                }
                Err(error) => why.push(format!("{}: {error}", host.name())),
            }
        }
        if held.len() < needed {
            give_back(&held, &record).await;
            return Err(LeaseError::TooFew {
                hosts: names,
                needed,
                why,
            });
        }
        let keeping = Arc::new(Keeping {
            hosts: held,
            record,
            every,
            lost: Mutex::default(),
        });
        let ended = CancellationToken::new();
        let keeper = tokio::spawn(keep(keeping.clone(), ended.clone(), stop.clone()));
        Ok(Self {
            keeping,
            ended,
            keeper,
        })
    }

    /// Gives it back. An error if somebody else has taken it meanwhile.
    pub async fn release(self) -> Result<(), LeaseError> {
        self.ended.cancel();
        // What it is about to say must be said before the last word.
        let _ = self.keeper.await;
        give_back(&self.keeping.hosts, &self.keeping.record).await;
        let mut lost = self
            .keeping
            .lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match lost.take() {
            Some((other, host)) => Err(LeaseError::Lost { other, host }),
            None => Ok(()),
        }
    }
}

fn names(hosts: &[Arc<dyn Host>]) -> Vec<String> {
    hosts.iter().map(|host| host.name().to_owned()).collect()
}

/// Renews the lease until it ends. A host that does not answer is asked again: it may have been restarted.
async fn keep(keeping: Arc<Keeping>, ended: CancellationToken, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = ended.cancelled() => return,
            () = sleep(keeping.every) => {}
        }
        let renewed = keeping.hosts.iter().map(|host| async {
            let said = say(host.as_ref(), "renew", &keeping.record, "-").await;
            Some((said.ok()??, host.name().to_owned()))
        });
        if let Some(other) = join_all(renewed).await.into_iter().flatten().next() {
            let mut lost = keeping.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.get_or_insert(other);
            stop.cancel();
            return;
        }
    }
}

async fn take_on(
    host: &dyn Host,
    record: &str,
    stale: StaleLease,
) -> Result<Option<OtherLease>, String> {
    let found = say(host, "take", record, "-").await?;
    match found {
        Some(other) if other.is_stale() && stale == StaleLease::Break => {
            say(host, "take", record, other.field("run")).await
        }
        found => Ok(found),
    }
}

async fn give_back(hosts: &[Arc<dyn Host>], record: &str) {
    // One that does not answer has a lease that nobody renews.
    let said = hosts
        .iter()
        .map(|host| say(host.as_ref(), "release", record, "-"));
    join_all(said).await;
}

/// Runs the script; the lease of somebody else, if that is there.
async fn say(
    host: &dyn Host,
    verb: &str,
    record: &str,
    breaks: &str,
) -> Result<Option<OtherLease>, String> {
    let argv = ["sh", "-c", SCRIPT, "lease", PATH, verb, record, breaks];
    let command = Command::new(argv).as_root().timeout(PATIENCE);
    let output = host
        .run(&command)
        .await
        .map_err(|error| error.to_string())?;
    if !output.ok() {
        return Err(format!("cannot {verb} the lease: {}", output.last_words()));
    }
    let said = output.text();
    match OtherLease::of(&said) {
        Some(other) => Ok(Some(other)),
        None if said.trim() == "held" => Ok(None),
        None => Err(format!("its lease {PATH} cannot be read")),
    }
}

#[cfg(test)]
mod tests;
