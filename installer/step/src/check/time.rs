use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, Retry, State, Step, StepError, Trace};
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

    fn trace(&self) -> Trace {
        Trace::Passing
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        Ok(match look(cx).await? {
            Clock::Set(text) => {
                cx.progress.seen(text, None);
                State::Satisfied
            }
            Clock::Sourceless(why) | Clock::Ill(why) => State::Needed(why),
        })
    }

    /// Waits for a source. Where there is none yet, chrony is told to ask now: by itself it does so a minute or more after a
    /// server did not answer.
    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || async {
            Ok(match look(cx).await? {
                Clock::Set(_) => State::Satisfied,
                Clock::Ill(why) => State::Needed(why),
                Clock::Sourceless(why) => {
                    ask(cx, Command::new(["chronyc", "burst", "1/2"])).await?;
                    State::Needed(why)
                }
            })
        };
        let patience = self.patience.total();
        match cx.wait_until(patience, ASK_EVERY, look).await? {
            State::Satisfied => Ok(()),
            State::Needed(lacking) => Err(StepError::new(lacking).with_hint(HINT)),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// How a host's clock is.
enum Clock {
    /// By this source.
    Set(String),
    Sourceless(String),
    Ill(String),
}

async fn look(cx: &Cx) -> Result<Clock, StepError> {
    let output = ask(cx, Command::new(["chronyc", "-c", "tracking"])).await?;
    let text = output.text();
    let Some(tracking) = tracking(&text).filter(|_| output.ok()) else {
        let words = output.last_words();
        return Ok(Clock::Ill(format!("chrony does not answer: {words}")));
    };
    if tracking.source.is_empty() || tracking.leap == "Not synchronised" {
        let why = "chrony has found no source of time yet";
        return Ok(Clock::Sourceless(why.to_owned()));
    }
    let Tracking {
        source,
        stratum,
        offset,
        ..
    } = tracking;
    if offset.abs() > LIMIT_SECONDS {
        let off = offset.abs();
        return Ok(Clock::Ill(format!("the clock is {off:.1} s off {source}")));
    }
    Ok(Clock::Set(format!(
        "{source}, stratum {stratum}, {:.3} ms off",
        offset.abs() * 1000.0
    )))
}
