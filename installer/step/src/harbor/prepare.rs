use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::{Command, quote};

use super::{HARBOR_HOME, PATH};
use crate::shell::{ask, must};

/// Has Harbor's installer make the configuration of its parts from `harbor.yml`, and the `docker-compose.yml`. Doing so twice
/// changes the passwords that the parts have among themselves, which is why they are started anew behind it. A digest of what it
/// was made from is noted when it is done: one that was killed is done again.
pub struct PrepareHarbor {
    /// Beside the version that is unpacked.
    pub reads: Vec<Utf8PathBuf>,
}

/// It starts a container.
const PATIENCE: Duration = Duration::from_mins(5);

impl PrepareHarbor {
    /// What is noted.
    #[must_use]
    pub fn note() -> Utf8PathBuf {
        format!("{HARBOR_HOME}/prepared").into()
    }

    fn digest(&self) -> String {
        let reads = self.reads.iter().map(|path| quote(path.as_str()));
        let reads: Vec<String> = reads.collect();
        format!(
            "cat {HARBOR_HOME}/version {} | sha256sum | cut -d' ' -f1",
            reads.join(" ")
        )
    }

    fn script(&self) -> String {
        format!(
            "set -eu
umask 022
{PATH}
cd {HARBOR_HOME}
rm -f prepared
digest=$({digest})
./prepare > prepare.log 2>&1 || {{ tail -n 3 prepare.log >&2; exit 1; }}
printf '%s\\n' \"$digest\" > prepared.part
mv prepared.part prepared",
            digest = self.digest()
        )
    }
}

#[async_trait]
impl Step for PrepareHarbor {
    fn id(&self) -> String {
        "prepare harbor".to_owned()
    }

    fn describe(&self) -> String {
        "have Harbor make its parts' configuration".to_owned()
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.reads)
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let script = format!(
            "[ -s {HARBOR_HOME}/docker-compose.yml ] || {{ echo is not made; exit; }}; \
             [ \"$({})\" = \"$(cat {HARBOR_HOME}/prepared 2>/dev/null)\" ] || echo is made from older files",
            self.digest()
        );
        let said = ask(cx, Command::script(script)).await?.text();
        Ok(if said.is_empty() {
            State::Satisfied
        } else {
            State::needed(said)
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let prepare = Command::script(self.script()).timeout(PATIENCE);
        let done = must(cx, "have Harbor make its configuration", prepare).await;
        done.map(drop).map_err(|error| {
            error.with_hint(format!("on the host: {HARBOR_HOME}/prepare.log; docker ps"))
        })
    }

    /// It goes with the installer.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::reads;

    #[test]
    fn a_shell_reads_the_script() {
        let step = PrepareHarbor {
            reads: vec![format!("{HARBOR_HOME}/harbor.yml").into()],
        };
        reads(&step.script());
    }
}
