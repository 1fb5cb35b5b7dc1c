use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::{REPLACE, ask, must};

/// Sets the host's time zone, now and for all boots to come.
pub struct SetTimezone {
    /// `Asia/Shanghai`
    pub zone: String,
}

const ZONES: &str = "/usr/share/zoneinfo";
const LINK: &str = "/etc/localtime";
/// The name, where the system keeps it beside the link.
const NAME: &str = "/etc/timezone";

fn resources() -> [Resource; 2] {
    [Resource::File(LINK.into()), Resource::File(NAME.into())]
}

impl SetTimezone {
    fn file(&self) -> String {
        host::quote(&format!("{ZONES}/{}", self.zone))
    }
}

#[async_trait]
impl Step for SetTimezone {
    fn id(&self) -> String {
        "time zone".to_owned()
    }

    fn describe(&self) -> String {
        format!("set the time zone to {}", self.zone)
    }

    fn inputs(&self) -> String {
        self.zone.clone()
    }

    /// By what the link says: zones have several names, and behind each is the same file.
    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let script = format!(
            "readlink -m {LINK}; readlink -m {}; cat {NAME} 2>/dev/null; true",
            self.file()
        );
        let text = ask(cx, Command::script(script)).await?.text();
        let mut lines = text.lines();
        let (is, wanted) = (lines.next().unwrap_or("unset"), lines.next());
        let named = lines.next().is_none_or(|name| name == self.zone);
        Ok(if Some(is) == wanted && named {
            State::Satisfied
        } else {
            let is = is.strip_prefix(&format!("{ZONES}/")).unwrap_or(is);
            State::needed(format!("is {is}"))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &resources()).await?;
        let (file, zone) = (self.file(), host::quote(&self.zone));
        let script = format!(
            "{REPLACE}[ -f {file} ] || {{ echo 'there is no such zone' >&2; exit 1; }}\n\
             ln -sfn {file} {LINK}.kubexm-new && mv -fT {LINK}.kubexm-new {LINK} || exit\n\
             [ ! -e {NAME} ] || replace {NAME} printf '%s\\n' {zone}"
        );
        let trying = format!("set the time zone to {}", self.zone);
        must(cx, &trying, Command::script(script))
            .await
            .map(drop)
            .map_err(|error| error.with_hint("is tzdata installed? ls /usr/share/zoneinfo"))
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(TakeBack::step(
            "give the host its former time zone",
            resources().into(),
        ))
    }
}
