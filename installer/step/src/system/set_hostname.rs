use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::{REPLACE, ask, must};

/// Gives the host its name from the config. Only where the config asks for it: a forced rename is a surprise.
pub struct SetHostname {
    pub name: String,
}

fn resources() -> [Resource; 2] {
    [Resource::Hostname, Resource::File("/etc/hostname".into())]
}

#[async_trait]
impl Step for SetHostname {
    fn id(&self) -> String {
        "hostname".to_owned()
    }

    fn describe(&self) -> String {
        format!("set the hostname to {}", self.name)
    }

    fn inputs(&self) -> String {
        self.name.clone()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let found = ask(
            cx,
            Command::script("cat /proc/sys/kernel/hostname; cat /etc/hostname"),
        )
        .await?;
        let text = found.text();
        Ok(if text.lines().eq([&*self.name, &*self.name]) {
            State::Satisfied
        } else {
            State::needed(format!("is {}", text.lines().next().unwrap_or("unset")))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &resources()).await?;
        let name = host::quote(&self.name);
        let script = format!(
            "{REPLACE}replace /etc/hostname printf '%s\\n' {name} && printf %s {name} > /proc/sys/kernel/hostname"
        );
        must(cx, "set the hostname", Command::script(script)).await?;
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(TakeBack::step(
            "give the host its former name",
            resources().into(),
        ))
    }
}
