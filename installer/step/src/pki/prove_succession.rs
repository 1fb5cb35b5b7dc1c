use async_trait::async_trait;
use engine::{Asks, Cx, Question, State, StepError};

use super::{Succession, certificates_of};

/// Nothing on a host is signed any more by an authority that is about to go, or has gone: whoever still shows such a
/// certificate would be shut out.
pub struct ProveSuccession {
    pub of: Vec<Succession>,
}

#[async_trait]
impl Question for ProveSuccession {
    fn id(&self) -> String {
        "prove successors".to_owned()
    }

    fn describe(&self) -> String {
        "nothing is signed by an authority of before".to_owned()
    }

    fn asks(&self) -> Asks {
        Asks::Anybody
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let mut gone = Vec::new();
        for of in &self.of {
            gone.extend(of.predecessor()?);
        }
        let seen = certificates_of(cx).await?;
        let left = seen
            .iter()
            .filter(|seen| !seen.is_authority && gone.contains(&seen.authority));
        let left: Vec<String> = left
            .map(|seen| format!("{} is signed by {}", seen.path, seen.authority))
            .collect();
        if left.is_empty() {
            return Ok(State::Satisfied);
        }
        Err(StepError::new(left.join("\n"))
            .with_hint("run the same command again: it is signed anew and brought there"))
    }
}
