use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, Retry, State, Step, StepError};

use crate::RemovePackages;
use crate::packages::{self, PackageProblems, RepositoryFile, SystemPackages};

/// Installs the packages that a host lacks, those for its own system, in one call of its package manager, which sees no
/// repository but the bundle's.
///
/// What is installed already stays as it is, unless a package that is new requires a newer one. No service starts. The
/// host's own sources, lists, caches and keys are not touched. A run that was killed is mended by the next.
pub struct InstallPackages {
    /// For each system that the host may run.
    pub by_system: Vec<SystemPackages>,
    /// Packages of the system that may go where a new one cannot be beside them. They come back.
    pub replaceable: &'static [&'static str],
    /// How long one attempt waits for others who are at work with packages.
    pub patience: Duration,
}

impl InstallPackages {
    /// With the attempts it is ten minutes.
    pub const PATIENCE: Duration = packages::PATIENCE_WITH_OTHERS;

    async fn system(&self, cx: &Cx) -> Result<Option<&SystemPackages>, StepError> {
        let facts = cx.host.facts().await?;
        Ok(self.by_system.iter().find(|system| system.are_for(&facts)))
    }

    /// Only the packages that will be installed, and the index.
    async fn upload(
        &self,
        cx: &Cx,
        system: &SystemPackages,
        unusable: &PackageProblems,
    ) -> Result<(), StepError> {
        let is_amiss = |name: &String| {
            unusable.absent.contains(name) || unusable.older.iter().any(|(older, _)| older == name)
        };
        let packages = system.packages.iter();
        let packages = packages.filter(|package| is_amiss(&package.name));
        let files: Vec<&RepositoryFile> = packages
            .map(|package| &package.file)
            .chain(&system.index)
            .collect();
        let ahead: u64 = files.iter().map(|file| file.size).sum();
        let all = self.bytes().unwrap_or_default();
        cx.progress.add(all.saturating_sub(ahead));
        for file in files {
            packages::upload(cx, file).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Step for InstallPackages {
    fn id(&self) -> String {
        "packages".to_owned()
    }

    fn describe(&self) -> String {
        "install the system's packages that are missing".to_owned()
    }

    fn inputs(&self) -> String {
        let system = |system: &SystemPackages| {
            let versions = system.versions();
            let versions: Vec<String> = versions.map(|(name, at)| format!("{name} {at}")).collect();
            format!("{}: {}", system.set.os, versions.join(", "))
        };
        let systems: Vec<String> = self.by_system.iter().map(system).collect();
        systems.join("\n")
    }

    fn bytes(&self) -> Option<u64> {
        let size = |system: &SystemPackages| {
            let packages = system.packages.iter().map(|package| &package.file);
            packages.chain(&system.index).map(|file| file.size).sum()
        };
        self.by_system.iter().map(size).max()
    }

    /// Others may be at work with packages for a while.
    fn retry(&self) -> Retry {
        Retry {
            attempts: 5,
            ..Retry::NETWORK
        }
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let Some(system) = self.system(cx).await? else {
            // Preflight has found that it lacks nothing.
            return Ok(State::Satisfied);
        };
        let unusable = packages::look(cx, system.format(), system.versions()).await?;
        Ok(match unusable.absent.as_slice() {
            [] if unusable.interrupted => State::needed("an installation was cut short"),
            [] => State::Satisfied,
            [one] => State::needed(format!("{one} is not installed")),
            [one, more @ ..] => {
                State::needed(format!("{one} and {} more are not installed", more.len()))
            }
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let Some(system) = self.system(cx).await? else {
            return Ok(());
        };
        let format = system.format();
        let unusable = packages::look(cx, format, system.versions()).await?;
        self.upload(cx, system, &unusable).await?;
        let names: Vec<&str> = unusable.absent.iter().map(String::as_str).collect();
        let patience = self.patience;
        let trying = "note what will be installed";
        packages::run_patiently(cx, trying, format, patience, "begin", &names).await?;
        let replaceable = format!(",{}", self.replaceable.join(","));
        let words: Vec<&str> = [&*replaceable].into_iter().chain(names).collect();
        let trying = "install packages";
        packages::run_patiently(cx, trying, format, patience, "install", &words).await?;
        let trying = "turn off the services of new packages";
        packages::run(cx, trying, format, "end", &[])
            .await
            .map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(Arc::new(RemovePackages))
    }
}
