use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::{ask, must};

/// Stops services of the host, now and at boot: they would do what another is to do. Units that are not there are none
/// of them.
pub struct StopServices {
    pub units: &'static [&'static str],
}

impl StopServices {
    fn resources(&self, units: &[&str]) -> Vec<Resource> {
        let own = self.units.iter().filter(|unit| units.contains(unit));
        own.map(|unit| Resource::Unit((*unit).to_owned())).collect()
    }

    /// Those that run, or will run.
    async fn at_work(&self, cx: &Cx) -> Result<Vec<String>, StepError> {
        let script = format!(
            "for unit in {}; do\n\
             case $(systemctl is-enabled $unit 2>/dev/null)/$(systemctl is-active $unit 2>/dev/null) in \
             enabled/* | */active | */activating | */deactivating) echo $unit ;; esac\ndone",
            self.units.join(" ")
        );
        let text = ask(cx, Command::script(script)).await?.text();
        Ok(text.lines().map(ToOwned::to_owned).collect())
    }
}

#[async_trait]
impl Step for StopServices {
    fn id(&self) -> String {
        format!("stop {}", self.units.join(" "))
    }

    fn describe(&self) -> String {
        format!("stop {}, where they run", self.units.join(", "))
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let at_work = self.at_work(cx).await?;
        Ok(if at_work.is_empty() {
            State::Satisfied
        } else {
            State::needed(format!("{} runs", at_work.join(", ")))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let at_work = self.at_work(cx).await?;
        let units: Vec<&str> = at_work.iter().map(String::as_str).collect();
        if units.is_empty() {
            return Ok(());
        }
        before::note(cx, &self.resources(&units)).await?;
        let disable = ["systemctl", "disable", "--now"];
        let command = Command::new(disable.iter().chain(&units).copied());
        let trying = format!("stop {}", units.join(", "));
        must(cx, &trying, command).await.map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        let title = format!("give back {}", self.units.join(", "));
        Some(TakeBack::step(title, self.resources(self.units)))
    }
}
