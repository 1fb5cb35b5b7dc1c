use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use artifact::Sha256;
use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::{Command, FileAttrs, Source};

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::ask;

/// An executable that lies ready on the operator's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalProgram {
    /// The name it is installed under.
    pub name: String,
    pub local: Utf8PathBuf,
    pub size: u64,
    pub sha256: Sha256,
}

/// Puts the programs of a component into a directory of the host, those for the host's machine type. Each is compared
/// with the bundle's digest where it lies; a running program is replaced by rename.
pub struct InstallPrograms {
    /// "etcd v3.5.24"
    pub what: String,
    pub directory: Utf8PathBuf,
    /// By `uname -m`.
    pub by_machine: BTreeMap<String, Vec<LocalProgram>>,
}

impl InstallPrograms {
    fn resources<'a>(&self, programs: impl IntoIterator<Item = &'a LocalProgram>) -> Vec<Resource> {
        let paths: BTreeSet<Utf8PathBuf> = programs
            .into_iter()
            .map(|program| self.directory.join(&program.name))
            .collect();
        paths.into_iter().map(Resource::File).collect()
    }

    /// "etcd"
    fn component(&self) -> &str {
        self.what.split(' ').next().unwrap_or_default()
    }

    async fn programs(&self, cx: &Cx) -> Result<&[LocalProgram], StepError> {
        let machine = &cx.host.facts().await?.machine;
        self.by_machine
            .get(machine)
            .map(Vec::as_slice)
            .ok_or_else(|| {
                StepError::new(format!("the bundle holds no {} for {machine}", self.what))
                    .with_hint("bundle again with --arch naming this machine's architecture")
            })
    }

    async fn differing(&self, cx: &Cx) -> Result<Vec<&LocalProgram>, StepError> {
        let programs = self.programs(cx).await?;
        let paths: Vec<String> = programs
            .iter()
            .map(|program| host::quote(self.directory.join(&program.name).as_str()))
            .collect();
        let script = format!(
            "for f in {}; do if [ -f \"$f\" ] && [ ! -L \"$f\" ]; then \
             echo \"$(stat -c %a \"$f\") $(sha256sum < \"$f\" | cut -d' ' -f1)\"; else echo -; fi; done",
            paths.join(" ")
        );
        let found = ask(cx, Command::script(script)).await?.text();
        let found: Vec<&str> = found.lines().collect();
        if found.len() != programs.len() {
            return Err(StepError::new(format!(
                "asked for {} digests in {}, the host gave {}",
                programs.len(),
                self.directory,
                found.len()
            )));
        }
        let wanted = |program: &LocalProgram| format!("755 {}", program.sha256);
        Ok(programs
            .iter()
            .zip(found)
            .filter(|(program, found)| wanted(program) != *found)
            .map(|(program, _)| program)
            .collect())
    }
}

#[async_trait]
impl Step for InstallPrograms {
    fn id(&self) -> String {
        format!("programs {} in {}", self.component(), self.directory)
    }

    fn describe(&self) -> String {
        format!("install {} into {}", self.what, self.directory)
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.by_machine)
    }

    fn bytes(&self) -> Option<u64> {
        let sizes =
            |programs: &Vec<LocalProgram>| programs.iter().map(|program| program.size).sum();
        self.by_machine.values().map(sizes).max()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let differing = self.differing(cx).await?;
        Ok(if differing.is_empty() {
            State::Satisfied
        } else {
            let names: Vec<&str> = differing.iter().map(|program| &*program.name).collect();
            State::needed(format!("{} missing or different", names.join(", ")))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let differing = self.differing(cx).await?;
        before::note(cx, &self.resources(differing.iter().copied())).await?;
        for program in differing {
            let source = Source::File(program.local.clone());
            let to = self.directory.join(&program.name);
            cx.host
                .upload(&source, &to, &FileAttrs::root(0o755), &cx.progress)
                .await?;
        }
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        let title = format!("remove {} from {}", self.component(), self.directory);
        let programs = self.by_machine.values().flatten();
        Some(TakeBack::step(title, self.resources(programs)))
    }
}
