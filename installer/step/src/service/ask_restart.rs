use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::service::run::NOTES;
use crate::shell::{ask, must};

/// Notes that a service is to be started anew, whatever its files are. It is `RunService` that does, in its turn, in this run or
/// in the next: so no gate is another one here, and a run that was killed is taken up.
pub struct AskRestart {
    pub unit: &'static str,
}

/// No digest of any files.
const ASKED: &str = "a restart was asked for";

/// The same for steps that change what a service reads, and that `RunService` does not compare: of one that was never set up
/// nothing is noted.
pub(crate) async fn mark_for_restart(cx: &Cx, unit: &str) -> Result<(), StepError> {
    let note = host::quote(&format!("{NOTES}/{unit}"));
    let script = format!("[ ! -e {note} ] || echo {} > {note}", host::quote(ASKED));
    let trying = format!("note that {unit} is to be started anew");
    must(cx, &trying, Command::script(script)).await.map(drop)
}

#[async_trait]
impl Step for AskRestart {
    fn id(&self) -> String {
        format!("ask for a restart of {}", self.unit)
    }

    fn describe(&self) -> String {
        format!("note that {} is to be started anew", self.unit)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let note = host::quote(&format!("{NOTES}/{}", self.unit));
        let script = format!("[ ! -e {note} ] || cat {note}");
        let noted = ask(cx, Command::script(script)).await?.text();
        Ok(match noted.trim() {
            // It was never set up.
            "" | ASKED => State::Satisfied,
            _ => State::needed("is at work"),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        mark_for_restart(cx, self.unit).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
