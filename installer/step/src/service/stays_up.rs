use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::service::run::{note_unwell, with_last_lines};
use crate::shell::ask;

/// Waits, when a service was started anew, until it has stayed up for a while and answers. One that dies of its configuration
/// is up for a moment each time it is started.
///
/// Where it does not, it is noted that the service is not well: the next run starts it anew and asks again.
pub struct StaysUp {
    pub unit: &'static str,
    /// A command of the host that ends well when the service answers; none where it answers to nobody.
    pub answers: Option<&'static str>,
}

/// How long it must be up.
const STEADY_SECONDS: u32 = 10;
const PATIENCE: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_secs(2);

impl StaysUp {
    fn script(&self) -> String {
        let unit = host::quote(self.unit);
        let up = format!(
            "[ \"$(systemctl is-active {unit})\" = active ] || {{ echo it is not running; exit; }}
since=$(systemctl show --property ActiveEnterTimestampMonotonic --value {unit})
now=$(cut -d. -f1 /proc/uptime)
[ $((now - since / 1000000)) -ge {STEADY_SECONDS} ] || {{ echo it has only just been started; exit; }}"
        );
        match self.answers {
            Some(ask) => format!("{up}\n{ask} > /dev/null 2>&1 || echo it does not answer"),
            None => up,
        }
    }
}

#[async_trait]
impl Step for StaysUp {
    fn id(&self) -> String {
        format!("stays up {}", self.unit)
    }

    fn describe(&self) -> String {
        format!("see that {} stays up", self.unit)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let lacking = ask(cx, Command::script(self.script())).await?.text();
        Ok(if lacking.is_empty() {
            State::Satisfied
        } else {
            State::Needed(lacking)
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || self.check(cx);
        let State::Needed(reason) = cx.wait_until(PATIENCE, ASK_EVERY, look).await? else {
            return Ok(());
        };
        let error = format!("{} does not stay up: {reason}", self.unit);
        note_unwell(cx, self.unit).await?;
        Err(with_last_lines(cx, self.unit, error).await)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_scripts() {
        for answers in [None, Some("crictl info")] {
            let unit = "containerd.service";
            crate::shell::reads(&StaysUp { unit, answers }.script());
        }
    }
}
