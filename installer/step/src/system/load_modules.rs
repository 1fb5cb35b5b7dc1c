use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::ask;

/// A kernel module, and where its feature shows when the kernel has it, loaded or built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelModule {
    pub name: &'static str,
    pub shows: Feature,
}

/// Where a kernel's feature shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    Path(&'static str),
    Filesystem(&'static str),
    /// Nowhere but in the lists of modules that are loaded, and of those that are built in.
    Module,
}

/// Loads kernel modules now; a file under `/etc/modules-load.d` does it at boot. A feature that is built in has no
/// module to load, and that is no error.
pub struct LoadModules {
    pub modules: Vec<KernelModule>,
}

impl KernelModule {
    /// A shell's test for the feature.
    pub(crate) fn test(self) -> String {
        match self.shows {
            Feature::Path(path) => format!("[ -e {} ]", host::quote(path)),
            Feature::Filesystem(name) => {
                format!("grep -qw {} /proc/filesystems", host::quote(name))
            }
            Feature::Module => {
                let name = self.name;
                format!(
                    "{{ [ -e /sys/module/{name} ] || \
                     grep -qs '/{name}\\.ko' \"/lib/modules/$(uname -r)/modules.builtin\"; }}"
                )
            }
        }
    }
}

impl LoadModules {
    async fn missing(&self, cx: &Cx) -> Result<Vec<&str>, StepError> {
        let tests: Vec<String> = self
            .modules
            .iter()
            .map(|module| format!("{} || echo {}", module.test(), module.name))
            .collect();
        let missing = ask(cx, Command::script(tests.join("; ") + "; true"))
            .await?
            .text();
        Ok(self
            .modules
            .iter()
            .map(|module| module.name)
            .filter(|name| missing.lines().any(|line| line == *name))
            .collect())
    }
}

#[async_trait]
impl Step for LoadModules {
    fn id(&self) -> String {
        "kernel modules".to_owned()
    }

    fn describe(&self) -> String {
        let names: Vec<&str> = self.modules.iter().map(|module| module.name).collect();
        format!("load kernel modules {}", names.join(", "))
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let missing = self.missing(cx).await?;
        Ok(if missing.is_empty() {
            State::Satisfied
        } else {
            State::needed(format!("the kernel lacks {}", missing.join(", ")))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let missing = self.missing(cx).await?;
        let resources: Vec<Resource> = missing
            .iter()
            .map(|name| Resource::Module((*name).to_owned()))
            .collect();
        before::note(cx, &resources).await?;
        for name in missing {
            let load = Command::script(format!("PATH=$PATH:/usr/sbin:/sbin modprobe {name}"));
            let output = ask(cx, load).await?;
            if !output.ok() {
                return Err(crate::shell::refused(
                    &format!("load the kernel module {name}"),
                    &output,
                )
                .with_hint(
                    "install the modules of the kernel that runs (RHEL 10: kernel-modules-extra), or reboot where the kernel was updated",
                ));
            }
        }
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        let names: Vec<&str> = self.modules.iter().map(|module| module.name).collect();
        // Those that need others were loaded after them.
        let what = names.iter().rev();
        let what = what
            .map(|name| Resource::Module((*name).to_owned()))
            .collect();
        let title = format!("unload kernel modules {}", names.join(", "));
        Some(TakeBack::step(title, what))
    }
}
