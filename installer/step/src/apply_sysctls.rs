use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::TakeBack;
use crate::before::{self, Former};
use crate::shell::{ask, must};

/// Sets kernel parameters now; a file under `/etc/sysctl.d` does it at boot.
pub struct ApplySysctls {
    pub settings: Vec<(String, String)>,
}

fn path(key: &str) -> String {
    format!("/proc/sys/{}", key.replace('.', "/"))
}

impl ApplySysctls {
    fn former(&self) -> Vec<Former> {
        let keys = self.settings.iter().map(|(key, _)| key.clone());
        keys.map(Former::Sysctl).collect()
    }
}

#[async_trait]
impl Step for ApplySysctls {
    fn id(&self) -> String {
        "sysctls".to_owned()
    }

    fn describe(&self) -> String {
        format!("set {} kernel parameters", self.settings.len())
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.settings)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let reads: Vec<String> = self
            .settings
            .iter()
            .map(|(key, _)| format!("cat {} 2>/dev/null || echo", host::quote(&path(key))))
            .collect();
        let found = ask(cx, Command::script(reads.join("; "))).await?;
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        let differing: Vec<&str> = self
            .settings
            .iter()
            .zip(found.lines().map(str::trim).chain(std::iter::repeat("")))
            .filter(|((_, wanted), found)| wanted != found)
            .map(|((key, _), _)| key.as_str())
            .collect();
        Ok(if differing.is_empty() {
            State::Satisfied
        } else {
            State::needed(format!("{} differ", differing.join(", ")))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &self.former()).await?;
        let writes: Vec<String> = self
            .settings
            .iter()
            .map(|(key, value)| {
                format!(
                    "printf '%s\\n' {} > {}",
                    host::quote(value),
                    host::quote(&path(key))
                )
            })
            .collect();
        must(
            cx,
            "set kernel parameters",
            Command::script(writes.join(" && ")),
        )
        .await?;
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        let title = format!("restore {} kernel parameters", self.settings.len());
        Some(TakeBack::step(title, self.former()))
    }
}
