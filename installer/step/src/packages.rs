//! Packages of a host's own system: which of them are there, and the scripts that install and remove them.

mod install;
mod remove;

use std::sync::Arc;
use std::time::Duration;

use artifact::{BasePackage, PackageFormat, PackageSet};
use camino::Utf8PathBuf;
use engine::{Cx, StepError};
use host::{Command, Facts, FileAttrs, Output, Source};

use crate::shell::{ask, refused};

pub use install::InstallPackages;
pub use remove::RemovePackages;

const COMMON: &str = include_str!("packages/common.sh");
const DEB: &str = include_str!("packages/deb.sh");
const RPM: &str = include_str!("packages/rpm.sh");

/// Where the repository lies on the host while it is installed from.
const REPOSITORY: &str = "/var/lib/kubexm/packages";
/// Of which form the packages are that came.
const NOTED_FORMAT: &str = "/var/lib/kubexm/before/packages/format";

/// Maintainers' scripts on a slow disk, behind others who are at work with packages.
const PATIENCE: Duration = Duration::from_mins(30);

/// For others who are at work with packages. A step that may be tried again waits as often.
pub(crate) const PATIENCE_WITH_OTHERS: Duration = Duration::from_mins(2);

/// The script's status where others are at work with packages and do not come to an end.
const BUSY: u32 = 75;

/// The packages of one system that a host is to have, and what they rely on.
#[derive(Clone, Debug)]
pub struct SystemPackages {
    /// What the bundle has for the system.
    pub set: Arc<PackageSet>,
    /// Those for the host, with all that they require.
    pub packages: Vec<LocalPackage>,
    /// What makes a repository of them.
    pub index: Vec<RepositoryFile>,
    /// What the system itself must have.
    pub base: Vec<BasePackage>,
}

/// A package that lies ready on the operator's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPackage {
    pub name: String,
    pub version: String,
    pub file: RepositoryFile,
}

/// A file of the tree, and its place in the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryFile {
    pub local: Utf8PathBuf,
    pub path: Utf8PathBuf,
    pub size: u64,
}

/// What a host says of packages that it was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PackageProblems {
    /// An installation was cut short.
    pub interrupted: bool,
    pub absent: Vec<String>,
    /// With the version that is there.
    pub older: Vec<(String, String)>,
}

impl SystemPackages {
    /// Whether they are for this machine.
    pub(crate) fn are_for(&self, facts: &Facts) -> bool {
        self.set.os.is(&facts.os, &facts.os_version)
    }

    pub(crate) fn format(&self) -> PackageFormat {
        self.set.format
    }

    /// How the packages are named and versioned, as the script takes it.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&str, &str)> {
        let packages = self.packages.iter();
        packages.map(|package| (&*package.name, &*package.version))
    }

    /// The same of what the system must have; a dash is any version.
    pub(crate) fn base_versions(&self) -> impl Iterator<Item = (&str, &str)> {
        let base = self.base.iter();
        base.map(|base| (&*base.name, base.at_least.as_deref().unwrap_or("-")))
    }
}

/// Asks which of these packages are not there, or in an older version.
pub(crate) async fn look<'a>(
    cx: &Cx,
    format: PackageFormat,
    wanted: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<PackageProblems, StepError> {
    let words: Vec<&str> = wanted.flat_map(|(name, version)| [name, version]).collect();
    let trying = "ask which packages are installed";
    let answer = run(cx, trying, format, "look", &words).await?;
    let mut unusable = PackageProblems::default();
    for line in answer.lines() {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["interrupted"] => unusable.interrupted = true,
            ["absent", name] => unusable.absent.push((*name).to_owned()),
            ["older", name, found] => unusable
                .older
                .push(((*name).to_owned(), (*found).to_owned())),
            _ => {}
        }
    }
    Ok(unusable)
}

/// Has the script of this form do something; what it says.
pub(crate) async fn run(
    cx: &Cx,
    trying: &str,
    format: PackageFormat,
    verb: &str,
    words: &[&str],
) -> Result<String, StepError> {
    run_patiently(cx, trying, format, PATIENCE_WITH_OTHERS, verb, words).await
}

/// The same, waiting for others who are at work with packages just as long.
pub(crate) async fn run_patiently(
    cx: &Cx,
    trying: &str,
    format: PackageFormat,
    patience: Duration,
    verb: &str,
    words: &[&str],
) -> Result<String, StepError> {
    let (half, manager) = match format {
        PackageFormat::Deb => (DEB, "apt"),
        PackageFormat::Rpm => (RPM, "dnf"),
    };
    let sh = ["sh", "-s", "--", verb];
    let command = Command::new(sh.iter().chain(words).copied())
        .stdin(format!("patience={}\n{COMMON}{half}", patience.as_secs()))
        .timeout(PATIENCE);
    let output = ask(cx, command).await?;
    match output.status {
        0 => Ok(output.text()),
        BUSY => Err(StepError::passing(format!(
            "cannot {trying}: somebody else is at work with packages here\n{}",
            output.last_words()
        ))
        .with_hint("wait for it to end, e.g. unattended-upgrades, and run again")),
        _ => Err(failed(trying, format, manager, &output)),
    }
}

/// What the script says of it, with its own hint or a way to find out more.
fn failed(trying: &str, format: PackageFormat, manager: &str, output: &Output) -> StepError {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    if let Some((said, hint)) = said.rsplit_once("\nhint: ") {
        return StepError::new(format!("cannot {trying}: {said}")).with_hint(hint);
    }
    let log = match format {
        PackageFormat::Deb => "/var/log/apt/term.log",
        PackageFormat::Rpm => "/var/log/dnf.log",
    };
    let hint = format!("{manager} has said why; more is on the host, in {log}");
    let error = if said.is_empty() {
        refused(trying, output)
    } else {
        StepError::new(format!("cannot {trying}: {said}"))
    };
    error.with_hint(hint)
}

/// Puts files of the repository onto the host.
pub(crate) async fn upload(cx: &Cx, file: &RepositoryFile) -> Result<(), StepError> {
    let source = Source::File(file.local.clone());
    let to = Utf8PathBuf::from(REPOSITORY).join(&file.path);
    let attrs = FileAttrs::root(0o644);
    Ok(cx.host.upload(&source, &to, &attrs, &cx.progress).await?)
}

/// Of which form the packages are that kubexm has installed here.
pub(crate) async fn noted_format(cx: &Cx) -> Result<Option<PackageFormat>, StepError> {
    let Some(noted) = cx.host.read(NOTED_FORMAT.into()).await? else {
        return Ok(None);
    };
    Ok(Some(match String::from_utf8_lossy(&noted).trim() {
        "rpm" => PackageFormat::Rpm,
        _ => PackageFormat::Deb,
    }))
}
