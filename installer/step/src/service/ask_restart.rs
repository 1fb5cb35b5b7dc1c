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
        let note = host::quote(&format!("{NOTES}/{}", self.unit));
        let script = Command::script(format!("echo {} > {note}", host::quote(ASKED)));
        must(cx, &self.describe(), script).await.map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
