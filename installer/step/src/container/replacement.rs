use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Retry, Slot, SlotId, State, Step, StepError};
use host::Command;

use super::RuntimeFacts;
use super::facts::ALL;
use crate::preflight::look_at_host::version;
use crate::service::run::NOTES;
use crate::shell::{ask, must};

/// The runtime that a node is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedRuntime {
    pub runtime: &'static RuntimeFacts,
    /// `v2.1.9`
    pub version: String,
    pub data_dir: Utf8PathBuf,
    pub change: RuntimeChange,
}

/// Whether another runtime may give way to this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuntimeChange {
    /// Not before somebody has said so.
    #[default]
    Refused,
    Wanted,
}

/// What becomes of the containers of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// They run on, whatever changes.
    None,
    /// They end: what comes does not know them, or not all that they are.
    Due,
}

/// One of kubexm's that runs on a node.
pub(super) struct AtWork {
    pub runtime: &'static RuntimeFacts,
    version: String,
    pub data_dir: Utf8PathBuf,
}

/// There as long as a replacement is not over.
pub(super) const BEGUN: &str = "/var/lib/kubexm/replacing-runtime";

impl WantedRuntime {
    /// What runs and cannot stay, and why.
    pub(super) async fn replaces(&self, cx: &Cx) -> Result<Vec<(AtWork, String)>, StepError> {
        let found = at_work(cx).await?;
        let other = found.iter().find(|it| it.runtime != self.runtime);
        if let (Some(other), RuntimeChange::Refused) = (other, self.change) {
            let (old, new) = (other.runtime.name, self.runtime.name);
            return Err(StepError::new(format!(
                "{old} runs the pods of this node, and the config asks for {new}"
            ))
            .with_hint(
                "kubexm install --replace-runtime changes it, node by node; or put the former type back into the config",
            ));
        }
        let found = found.into_iter();
        Ok(found
            .filter_map(|it| self.objection(&it).map(|why| (it, why)))
            .collect())
    }

    fn objection(&self, it: &AtWork) -> Option<String> {
        let (old, new) = (it.runtime.name, self.runtime.name);
        let (from, to) = (&it.version, self.version.trim_start_matches('v'));
        if old != new {
            return Some(format!("{old} {from} gives way to {new} {to}"));
        }
        if !self.runtime.takes_over(from, to) {
            return Some(format!(
                "{new} {to} does not take over the containers of {from}"
            ));
        }
        let moves = !it.data_dir.as_str().is_empty() && it.data_dir != self.data_dir;
        moves.then(|| {
            let (from, to) = (&it.data_dir, &self.data_dir);
            format!("the data of {new} moves from {from} to {to}")
        })
    }
}

/// The program is asked that runs, and not the one that lies there now.
fn script() -> String {
    let of = |runtime: &&RuntimeFacts| {
        let (file, key) = runtime.data_told;
        let unit = runtime.units.last().unwrap_or(&runtime.name);
        let name = runtime.name;
        format!(
            "if [ -e {NOTES}/{unit} ] && [ \"$(systemctl is-active {unit})\" = active ]; then
pid=$(systemctl show --property MainPID --value {unit})
data=$(sed -n 's|^ *{key}\"\\([^\"]*\\)\".*|\\1|p' {file} 2>/dev/null | head -n 1)
printf '%s\\t%s\\t%s\\n' {name} \"$data\" \"$(timeout 10 /proc/$pid/exe --version 2>/dev/null | head -n 1)\"
fi"
        )
    };
    let parts: Vec<String> = ALL.iter().map(of).collect();
    parts.join("\n")
}

async fn at_work(cx: &Cx) -> Result<Vec<AtWork>, StepError> {
    let told = must(
        cx,
        "look which runtime is at work",
        Command::script(script()),
    )
    .await?;
    Ok(told.text().lines().filter_map(line).collect())
}

fn line(line: &str) -> Option<AtWork> {
    let mut fields = line.split('\t');
    let (name, data, says) = (fields.next()?, fields.next()?, fields.next()?);
    let runtime = ALL.into_iter().find(|runtime| runtime.name == name)?;
    Some(AtWork {
        runtime,
        version: version(says)?,
        data_dir: data.into(),
    })
}

/// Whether any of kubexm's has been started on this host.
pub(super) async fn was_started(cx: &Cx) -> Result<bool, StepError> {
    let units = ALL.iter().flat_map(|runtime| runtime.units);
    let notes: Vec<String> = units.map(|unit| format!("[ -e {NOTES}/{unit} ]")).collect();
    Ok(ask(cx, Command::script(notes.join(" || "))).await?.ok())
}

/// Looks on a node what is to become of its containers, before anything is touched there.
pub struct LookAtRuntime {
    pub wanted: WantedRuntime,
    pub seen: Slot<Replacement>,
}

#[async_trait]
impl Step for LookAtRuntime {
    fn id(&self) -> String {
        "look at the runtime".to_owned()
    }

    fn describe(&self) -> String {
        "look whether containers run on".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.seen.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let goes = self.wanted.replaces(cx).await?;
        let begun = ask(cx, Command::new(["test", "-e", BEGUN])).await?.ok();
        self.seen.fill(if begun || !goes.is_empty() {
            Replacement::Due
        } else {
            Replacement::None
        });
        if let Some((_, why)) = goes.first() {
            cx.progress.seen(why.clone(), None);
        }
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// A step that has something to do only where containers end with their runtime.
pub struct IfReplaced {
    /// The same for all nodes: a plan tells of those together that are alike.
    pub title: &'static str,
    pub seen: Slot<Replacement>,
    pub step: Arc<dyn Step>,
}

impl IfReplaced {
    fn is_due(&self) -> bool {
        self.seen.get() == Some(&Replacement::Due)
    }
}

#[async_trait]
impl Step for IfReplaced {
    fn id(&self) -> String {
        format!("{} of a replacement", self.step.id())
    }

    fn describe(&self) -> String {
        format!("{}, where containers do not run on", self.title)
    }

    fn inputs(&self) -> String {
        self.step.inputs()
    }

    fn bytes(&self) -> Option<u64> {
        None
    }

    fn retry(&self) -> Retry {
        self.step.retry()
    }

    fn takes(&self) -> Vec<SlotId> {
        let mut takes = self.step.takes();
        takes.push(self.seen.id());
        takes
    }

    fn done_on(&self) -> Option<&'static str> {
        self.step.done_on()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        if self.is_due() {
            self.step.check(cx).await
        } else {
            Ok(State::Satisfied)
        }
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.step.apply(cx).await
    }

    /// What it sets up is what the step itself sets up elsewhere.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CONTAINERD, CRIO};

    const OLD: &str =
        "containerd\t/var/lib/containerd\tcontainerd github.com/containerd/containerd 1.7.24 abc";

    fn objection(runtime: &'static RuntimeFacts, version: &str, data: &str) -> String {
        let wanted = WantedRuntime {
            runtime,
            version: version.to_owned(),
            data_dir: data.into(),
            change: RuntimeChange::Wanted,
        };
        let it = line(OLD).unwrap();
        wanted.objection(&it).unwrap_or_default()
    }

    #[test]
    fn why_containers_do_not_run_on() {
        let same = "/var/lib/containerd";
        assert_eq!(objection(&CONTAINERD, "v1.7.34", same), "");
        let told = [
            objection(&CONTAINERD, "v2.1.9", same),
            objection(&CONTAINERD, "v1.7.34", "/data/containerd"),
            objection(&CRIO, "v1.36.3", "/var/lib/crio/storage"),
        ];
        insta::assert_snapshot!(told.join("\n"), @r"
        containerd 2.1.9 does not take over the containers of 1.7.24
        the data of containerd moves from /var/lib/containerd to /data/containerd
        containerd 1.7.24 gives way to cri-o 1.36.3
        ");
    }

    #[test]
    fn a_shell_reads_the_script() {
        crate::shell::reads(&script());
    }
}
