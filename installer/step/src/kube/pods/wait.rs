//! How pods are waited for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use engine::{Cx, State, StepError};
use host::Command;
use jiff::Timestamp;
use tokio::time::Instant;

use super::Trouble;
use crate::shell::ask;

/// How long, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub patience: Duration,
    pub every: Duration,
    /// For so long a state must last that waiting does not heal: what is applied at once need not come at once.
    pub settles: Duration,
}

impl Pace {
    pub const fn patient(patience: Duration) -> Self {
        Self {
            patience,
            every: Duration::from_secs(2),
            settles: Duration::from_secs(10),
        }
    }
}

/// What a look has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What is lacking beside pods that are there: "node3 has no pod yet".
    pub lacking: Vec<String>,
    pub troubles: Vec<Trouble>,
}

impl Seen {
    pub fn is_well(&self) -> bool {
        self.lacking.is_empty() && self.troubles.is_empty()
    }

    fn is_beyond_waiting(&self) -> bool {
        self.lacking.is_empty() && self.troubles.iter().all(|trouble| trouble.beyond_waiting)
    }

    /// In one line.
    pub fn brief(&self) -> String {
        let count = self.lacking.len() + self.troubles.len();
        let first = self.troubles.iter().map(Trouble::brief);
        let first = first.chain(self.lacking.iter().cloned()).next();
        let others = match count {
            0 | 1 => String::new(),
            _ => format!(" (and {} more)", count - 1),
        };
        first.map_or_else(String::new, |first| first + &others)
    }

    /// Everything, below each other.
    pub fn full(&self) -> String {
        let lacking = self.lacking.iter().cloned();
        let troubles = self.troubles.iter().map(ToString::to_string);
        lacking.chain(troubles).collect::<Vec<_>>().join("\n")
    }
}

/// How a wait has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Well,
    /// Patience was over.
    Late(Seen),
    /// It would never have ended.
    Never(Seen),
}

/// Waits until a look finds nothing any more. It is given since when this waits, by the clock of the host. Ends early when
/// all that is left is beyond waiting.
pub(crate) async fn wait_for<Looking>(
    cx: &Cx,
    pace: Pace,
    look: impl Fn(Timestamp) -> Looking,
) -> Result<Waited, StepError>
where
    Looking: Future<Output = Result<Seen, StepError>>,
{
    let since = host_time(cx).await?;
    let last = Mutex::new((Seen::default(), None::<Instant>));
    let attempt = || async {
        let seen = match look(since).await {
            Err(error) if error.may_pass() => return Ok(State::needed(error.to_string())),
            seen => seen?,
        };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let hopeless = seen.is_beyond_waiting() && !seen.is_well();
        let began = last.1.filter(|_| hopeless).unwrap_or_else(Instant::now);
        let over = hopeless && began.elapsed() >= pace.settles;
        let state = if seen.is_well() || over {
            State::Satisfied
        } else {
            State::Needed(seen.brief())
        };
        *last = (seen, hopeless.then_some(began));
        Ok(state)
    };
    let ended = cx.wait_until(pace.patience, pace.every, attempt).await?;
    let (mut seen, _) = last.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(match ended {
        State::Satisfied if seen.is_well() => Waited::Well,
        State::Satisfied => Waited::Never(seen),
        State::Needed(lacking) => {
            if seen.is_well() {
                seen.lacking.push(lacking);
            }
            Waited::Late(seen)
        }
    })
}

/// What the host's clock says: what happens in the cluster is told by it.
pub(crate) async fn host_time(cx: &Cx) -> Result<Timestamp, StepError> {
    let answer = ask(cx, Command::new(["date", "+%s"])).await?;
    let seconds = answer.text().trim().parse().ok();
    let told = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    Ok(told.unwrap_or_else(Timestamp::now))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    const QUICK: Pace = Pace {
        patience: Duration::from_mins(1),
        every: Duration::ZERO,
        settles: Duration::ZERO,
    };

    fn trouble(who: &str, beyond_waiting: bool) -> Trouble {
        Trouble {
            who: who.to_owned(),
            what: "it waits".to_owned(),
            beyond_waiting,
            ..Trouble::default()
        }
    }

    /// How a wait ends that finds these, one after another, and then the last for ever.
    async fn waited(pace: Pace, found: &[Seen]) -> (Waited, usize) {
        let cx = Cx::new(Arc::new(FakeHost::new("m1")), Progress::unseen());
        let looks = AtomicUsize::new(0);
        let look = |_| {
            let at = looks.fetch_add(1, Ordering::Relaxed).min(found.len() - 1);
            let seen = found[at].clone();
            async move { Ok(seen) }
        };
        let ended = wait_for(&cx, pace, look).await.unwrap();
        (ended, looks.into_inner())
    }

    #[tokio::test]
    async fn what_waiting_does_not_heal_ends_the_wait() {
        let slow = Seen {
            troubles: vec![trouble("a", true), trouble("b", false)],
            ..Seen::default()
        };
        let left = Seen {
            troubles: vec![trouble("a", true)],
            ..Seen::default()
        };
        // While another may still come up, it is waited for.
        let ended = waited(QUICK, &[slow.clone(), slow, left.clone()]).await;
        assert_eq!(ended, (Waited::Never(left), 3));
    }

    #[tokio::test]
    async fn what_settles_by_itself_is_no_reason_to_end() {
        let pace = Pace {
            settles: Duration::from_mins(1),
            ..QUICK
        };
        let ill = Seen {
            troubles: vec![trouble("a", true)],
            ..Seen::default()
        };
        let ended = waited(pace, &[ill.clone(), ill, Seen::default()]).await;
        assert_eq!(ended, (Waited::Well, 3));
    }

    #[tokio::test]
    async fn when_patience_is_over_all_that_is_lacking_is_told() {
        let pace = Pace {
            patience: Duration::ZERO,
            ..QUICK
        };
        let seen = Seen {
            lacking: vec!["node3 has no pod yet".to_owned()],
            troubles: vec![trouble("a", false)],
        };
        assert_eq!(seen.brief(), "a: it waits (and 1 more)");
        assert_eq!(seen.full(), "node3 has no pod yet\na: it waits");
        let ended = waited(pace, std::slice::from_ref(&seen)).await;
        assert_eq!(ended, (Waited::Late(seen), 1));
    }
}
