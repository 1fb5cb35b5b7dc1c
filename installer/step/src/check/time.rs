use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, Retry, State, Step, StepError};
use host::Command;

use crate::shell::ask;

/// The host's clock goes by a source, as chrony tells, and is close to it.
pub struct ProveTime {
    pub patience: Retry,
}

const ASK_EVERY: Duration = Duration::from_secs(2);
const HINT: &str =
    "on the host: chronyc sources -v; do its servers answer on UDP port 123? journalctl -u chrony";

/// Certificates and etcd's leases bear no more between two hosts.
const LIMIT_SECONDS: f64 = 1.0;

/// What `chronyc -c tracking` says.
#[derive(Debug, PartialEq)]
struct Tracking<'a> {
    source: &'a str,
    stratum: &'a str,
    offset: f64,
    leap: &'a str,
}

/// The reference of a clock that goes by nothing.
const NOBODY: &str = "00000000";
/// The reference of a clock that goes by itself.
const ITSELF: &str = "7F7F0101";

fn tracking(line: &str) -> Option<Tracking<'_>> {
    let fields: Vec<&str> = line.trim().split(',').collect();
    let source = match *fields.first()? {
        NOBODY => "",
        ITSELF => "its own clock",
        _ => fields.get(1)?,
    };
    Some(Tracking {
        source,
        stratum: fields.get(2)?,
        offset: fields.get(4)?.parse().ok()?,
        leap: fields.get(13)?,
    })
}

#[async_trait]
impl Step for ProveTime {
    fn id(&self) -> String {
        "prove time".to_owned()
    }

    fn describe(&self) -> String {
        "the clock goes by a time source".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let seen = Mutex::new(String::new());
        let look = || async {
            Ok(match self.look(cx).await {
                Ok(text) => {
                    *seen.lock().unwrap_or_else(PoisonError::into_inner) = text;
                    State::Satisfied
                }
                Err(error) if error.may_pass() => State::needed(error.to_string()),
                Err(error) => return Err(error),
            })
        };
        match cx
            .wait_until(self.patience.total(), ASK_EVERY, look)
            .await?
        {
            State::Needed(lacking) => Err(StepError::new(lacking).with_hint(HINT)),
            State::Satisfied => {
                let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
                cx.progress.seen(seen, None);
                Ok(State::Satisfied)
            }
        }
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

impl ProveTime {
    /// What the clock goes by. Where it has found nothing yet, chrony is told to ask now: by itself it does so a minute or
    /// more after a server did not answer.
    async fn look(&self, cx: &Cx) -> Result<String, StepError> {
        let output = ask(cx, Command::new(["chronyc", "-c", "tracking"])).await?;
        let text = output.text();
        let fails = |what: String| Err(StepError::passing(what));
        let Some(tracking) = tracking(&text).filter(|_| output.ok()) else {
            return fails(format!("chrony does not answer: {}", output.last_words()));
        };
        if tracking.source.is_empty() || tracking.leap == "Not synchronised" {
            ask(cx, Command::new(["chronyc", "burst", "1/2"])).await?;
            return fails("chrony has found no source of time yet".to_owned());
        }
        let Tracking {
            source,
            stratum,
            offset,
            ..
        } = tracking;
        if offset.abs() > LIMIT_SECONDS {
            return fails(format!("the clock is {:.1} s off {source}", offset.abs()));
        }
        Ok(format!(
            "{source}, stratum {stratum}, {:.3} ms off",
            offset.abs() * 1000.0
        ))
    }
}
