use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, SlotId, State, Step, StepError};
use host::{Command, quote};

use super::push_images::{connect, way};
use super::{Keeper, RegistryLogin, SiteRegistry};
use crate::shell::{ask, must};

/// Says on a registry's host that it has forgotten images whose content is still on its disk.
pub(super) fn garbage_note(site: &SiteRegistry) -> Result<Utf8PathBuf, StepError> {
    match &site.keeper {
        Keeper::Kubexm { data_dir } => Ok(data_dir.join(".kubexm-garbage")),
        Keeper::Others => Err(StepError::new(format!(
            "kubexm is not the keeper of the registry {}",
            site.names.authority
        ))),
    }
}

/// Every manifest of the registry is read, and what none names is removed.
const PATIENCE: Duration = Duration::from_hours(2);

/// It serves within seconds.
const SERVES: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Frees the disk of what the registry has forgotten. It is stopped meanwhile: it would take an upload for garbage.
pub struct CollectGarbage {
    /// All that serve from its data; the first is the one that takes images.
    pub units: Vec<&'static str>,
    pub user: &'static str,
    pub config: String,
    pub site: SiteRegistry,
    pub login: RegistryLogin,
}

impl CollectGarbage {
    async fn serves(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || async {
            let way = way(&self.site, cx).await?;
            let registry = connect(&self.site, self.login.found().await?, &way).await?;
            Ok(match registry.log_in().await {
                Ok(_) => State::Satisfied,
                Err(error) => State::needed(error.to_string()),
            })
        };
        match cx.try_until(SERVES, ASK_EVERY, look).await? {
            State::Satisfied => Ok(()),
            State::Needed(why) => {
                let unit = self.units.first().copied().unwrap_or_default();
                Err(
                    StepError::new(format!("the registry does not serve again: {why}")).with_hint(
                        format!("on the host: systemctl status {unit}; journalctl -u {unit}"),
                    ),
                )
            }
        }
    }

    fn note(&self) -> Result<String, StepError> {
        garbage_note(&self.site).map(Utf8PathBuf::into_string)
    }

    fn script(&self) -> Result<String, StepError> {
        let units: Vec<String> = self.units.iter().map(|unit| quote(unit)).collect();
        let units = units.join(" ");
        Ok(format!(
            "set -eu
systemctl stop {units}
trap 'systemctl start {units}' EXIT
told=$(runuser -u {user} -- /usr/local/bin/registry garbage-collect {config} 2>&1) ||
  {{ printf '%s\\n' \"$told\" | tail -n 5 >&2; exit 1; }}
rm -f {note}",
            note = quote(&self.note()?),
            user = quote(self.user),
            config = quote(&self.config),
        ))
    }
}

#[async_trait]
impl Step for CollectGarbage {
    fn id(&self) -> String {
        "collect the registry's garbage".to_owned()
    }

    fn describe(&self) -> String {
        "free the disk of what the registry has forgotten".to_owned()
    }

    fn inputs(&self) -> String {
        format!("{:?} {} {}", self.units, self.user, self.config)
    }

    fn takes(&self) -> Vec<SlotId> {
        self.login.takes()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let noted = ask(cx, Command::new(["test", "-e", &self.note()?])).await?;
        Ok(if noted.ok() {
            State::needed("has forgotten images")
        } else {
            State::Satisfied
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let collect = Command::script(self.script()?).timeout(PATIENCE);
        must(cx, "collect the registry's garbage", collect).await?;
        self.serves(cx).await
    }

    /// What is gone comes with the next push.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SiteNames;
    use crate::registry::Trust;
    use crate::shell::reads;

    #[test]
    fn a_shell_reads_the_script() {
        let step = CollectGarbage {
            units: vec!["kubexm-registry.service", "kubexm-registry-nodes.service"],
            user: "kubexm-registry",
            config: "/etc/kubexm-registry/config.yml".to_owned(),
            site: SiteRegistry {
                url: "https://172.16.0.5:5000".to_owned(),
                at: Vec::new(),
                trust: Trust::System,
                names: SiteNames {
                    authority: "172.16.0.5:5000".to_owned(),
                    namespace: None,
                },
                keeper: Keeper::Kubexm {
                    data_dir: "/var/lib/registry".into(),
                },
            },
            login: RegistryLogin::Given(None),
        };
        reads(&step.script().unwrap());
    }
}
