use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Question, Slot, SlotId, State, StepError};

use super::millis;

/// How far a host's clock is ahead of this machine's.
pub struct LookAtClock {
    /// In milliseconds; negative where it is behind.
    pub ahead: Slot<i64>,
}

/// Judges the clocks of all hosts that have told theirs, before this machine signs anything.
pub struct JudgeClocks {
    pub clocks: Vec<(String, Slot<i64>)>,
    /// What certificates bear.
    pub off: Duration,
}

/// What is wrong with a clock. This machine's may be the one: its battery may be empty, and nobody tells it the time.
pub(super) fn far_from_here(ahead_ms: i64, off: Duration) -> Option<String> {
    if ahead_ms.unsigned_abs() <= millis(off) {
        return None;
    }
    let minutes = ahead_ms.unsigned_abs() / 60_000;
    let (side, certificates) = if ahead_ms < 0 {
        ("behind", "would not be valid there yet")
    } else {
        ("ahead of", "would end there too early, or have ended")
    };
    Some(format!(
        "its clock is {minutes} minutes {side} this machine's: certificates made here {certificates}"
    ))
}

#[async_trait]
impl Question for LookAtClock {
    fn id(&self) -> String {
        "look at the clock".to_owned()
    }

    fn describe(&self) -> String {
        "compare the clock with this machine's".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.ahead.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.ahead.fill(cx.host.facts().await?.clock_ahead_ms);
        Ok(State::Satisfied)
    }
}

#[async_trait]
impl Question for JudgeClocks {
    fn id(&self) -> String {
        "clocks".to_owned()
    }

    fn describe(&self) -> String {
        "see that certificates made here are valid on all hosts".to_owned()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let far = self.clocks.iter().filter_map(|(host, ahead)| {
            let what = far_from_here(*ahead.get()?, self.off)?;
            Some(format!("  {host}: {what}"))
        });
        let far: Vec<String> = far.collect();
        if far.is_empty() {
            return Ok(State::Satisfied);
        }
        Err(StepError::new(format!(
            "clocks differ; nothing was touched\n{}",
            far.join("\n")
        ))
        .with_hint("set their clocks, or this machine's (date -u tells it)"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::Step;
    use event::Progress;
    use host::fake::{FakeHost, facts};

    use super::*;

    fn cx(ahead_ms: i64) -> Cx {
        let mut facts = facts("m1");
        facts.clock_ahead_ms = ahead_ms;
        let host = FakeHost::new("m1").with_facts(facts);
        Cx::new(Arc::new(host), Progress::unseen())
    }

    async fn judged(ahead_ms: i64) -> Result<State, StepError> {
        let ahead = Slot::new("m1");
        let look = LookAtClock {
            ahead: ahead.clone(),
        };
        Step::check(&look, &cx(ahead_ms)).await.unwrap();
        let judge = JudgeClocks {
            clocks: vec![
                ("m1".to_owned(), ahead),
                ("down".to_owned(), Slot::new("down")),
            ],
            off: Duration::from_mins(30),
        };
        Step::check(&judge, &cx(0)).await
    }

    #[tokio::test]
    async fn nothing_is_signed_by_a_machine_whose_clock_is_far_from_the_hosts() {
        assert_eq!(judged(-1_800_000).await.unwrap(), State::Satisfied);
        let behind = judged(-10_800_000).await.unwrap_err();
        insta::assert_snapshot!(behind, @r"
        clocks differ; nothing was touched
          m1: its clock is 180 minutes behind this machine's: certificates made here would not be valid there yet
        ");
        assert_eq!(
            behind.hint(),
            Some("set their clocks, or this machine's (date -u tells it)")
        );
        assert!(judged(10_800_000).await.is_err());
    }
}
