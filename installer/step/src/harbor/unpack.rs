use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use artifact::Sha256;
use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use host::{Command, FileAttrs, Source, quote};

use super::{HARBOR_HOME, LOGS, PATH};
use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::{ask, must};

/// The installer of Harbor for one kind of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HarborArchive {
    pub local: Utf8PathBuf,
    pub size: u64,
    pub sha256: Sha256,
}

/// Brings Harbor's offline installer to its host and has docker load its images. The version is noted when all is there, with
/// the names of the images; so one that was killed is done again, and an image that somebody has removed is loaded again.
///
/// Before another version comes, Harbor is stopped and its database is copied beside itself: a newer one changes it, and there is
/// no way back but the copy.
pub struct UnpackHarbor {
    /// `v2.14.0`
    pub version: String,
    /// By `uname -m`.
    pub archives: BTreeMap<String, HarborArchive>,
    pub unit: &'static str,
    pub data_dir: Utf8PathBuf,
}

/// Several hundred megabytes go through docker.
const PATIENCE: Duration = Duration::from_mins(30);
/// An upgrade leads so many minors further.
const MINORS: u64 = 3;

/// What the host has.
#[derive(Debug, PartialEq, Eq)]
enum Had {
    Nothing,
    Version(String),
    /// Some of its images are gone.
    WithoutImages(String),
}

impl Had {
    fn of(told: &str) -> Self {
        let mut lines = told.lines();
        match (lines.next(), lines.next()) {
            (None | Some(""), _) => Self::Nothing,
            (Some(version), Some("whole")) => Self::Version(version.to_owned()),
            (Some(version), _) => Self::WithoutImages(version.to_owned()),
        }
    }

    fn version(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Version(version) | Self::WithoutImages(version) => Some(version),
        }
    }
}

impl UnpackHarbor {
    async fn had(&self, cx: &Cx) -> Result<Had, StepError> {
        let script = format!(
            "cat {HARBOR_HOME}/version 2>/dev/null || exit 0
[ -s {HARBOR_HOME}/images ] && xargs /usr/local/bin/docker image inspect < {HARBOR_HOME}/images > /dev/null 2>&1 && echo whole
exit 0"
        );
        let told = ask(cx, Command::script(script)).await?.text();
        Ok(Had::of(&told))
    }

    async fn archive(&self, cx: &Cx) -> Result<&HarborArchive, StepError> {
        let machine = &cx.host.facts().await?.machine;
        self.archives.get(machine).ok_or_else(|| {
            StepError::new(format!(
                "the bundle holds no Harbor {} for {machine}",
                self.version
            ))
            .with_hint("Harbor is published for amd64 alone before 2.16; take type: registry")
        })
    }

    /// Whether this version can take over the data of that one.
    fn may_follow(&self, had: &str) -> Result<(), StepError> {
        let (from, to) = (numbers(had), numbers(&self.version));
        if to < from {
            return Err(StepError::new(format!(
                "Harbor {had} is set up here, and its data can be used by no older version such as {}",
                self.version
            ))
            .with_hint("make a bundle with that version or a later one (spec.registry.version)"));
        }
        let far = from[0] != to[0] || to[1] - from[1] > MINORS;
        if far {
            return Err(StepError::new(format!(
                "Harbor {had} cannot become {} at once",
                self.version
            ))
            .with_hint(format!(
                "an upgrade leads {MINORS} minors further at most: install a bundle with {}.{} first",
                from[0],
                from[1] + MINORS
            )));
        }
        Ok(())
    }

    fn script(&self, had: Option<&str>) -> String {
        let replace = had
            .filter(|had| *had != self.version)
            .map_or_else(String::new, |had| self.keep_database(had));
        format!(
            "set -eu
umask 022
{PATH}
cd {HARBOR_HOME}
{replace}rm -rf unpacked version
mkdir unpacked
tar -xzf installer.tgz -C unpacked --strip-components=1
rm installer.tgz
docker load --input unpacked/harbor.*.tar.gz > unpacked/loaded
sed -n 's/^Loaded image: //p' unpacked/loaded > images
[ -s images ] || {{ echo the installer holds no images >&2; exit 1; }}
mv unpacked/prepare prepare
rm -rf unpacked
printf '%s\\n' {version} > version.part
mv version.part version",
            version = quote(&self.version)
        )
    }

    fn keep_database(&self, had: &str) -> String {
        let database = quote(self.data_dir.join("database").as_str());
        let copy = self.data_dir.join(format!("database.of-{had}"));
        let copy = quote(copy.as_str());
        format!(
            "systemctl stop {unit}
if [ -d {database} ] && [ ! -e {copy} ]; then
  rm -rf {copy}.part
  cp -a {database} {copy}.part
  mv {copy}.part {copy}
fi
",
            unit = quote(self.unit)
        )
    }

    fn resources() -> Vec<Resource> {
        [HARBOR_HOME, LOGS]
            .map(|path| Resource::Tree(path.into()))
            .into()
    }
}

/// `v2.14.0`
fn numbers(version: &str) -> [u64; 3] {
    let text = version.trim_start_matches('v');
    let mut parts = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

#[async_trait]
impl Step for UnpackHarbor {
    fn id(&self) -> String {
        "unpack harbor".to_owned()
    }

    fn describe(&self) -> String {
        format!(
            "bring Harbor {} and have docker load its images",
            self.version
        )
    }

    fn inputs(&self) -> String {
        format!("{} {:?}", self.version, self.archives)
    }

    fn bytes(&self) -> Option<u64> {
        self.archives.values().map(|archive| archive.size).max()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let had = self.had(cx).await?;
        if let Some(version) = had.version() {
            self.may_follow(version)?;
        }
        Ok(match had {
            Had::Nothing => State::needed("is not there"),
            Had::Version(had) | Had::WithoutImages(had) if had != self.version => {
                State::needed(format!("is {had}"))
            }
            Had::Version(_) => State::Satisfied,
            Had::WithoutImages(_) => State::needed("docker lacks images of it"),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let archive = self.archive(cx).await?;
        let had = self.had(cx).await?;
        before::note(cx, &Self::resources()).await?;
        let home = format!("umask 022; mkdir -p {HARBOR_HOME}");
        must(cx, "make Harbor's directory", Command::script(home)).await?;
        let source = Source::File(archive.local.clone());
        let to = format!("{HARBOR_HOME}/installer.tgz");
        let attrs = FileAttrs::root(0o600);
        cx.host
            .upload(&source, to.as_str().into(), &attrs, &cx.progress)
            .await?;
        let unpack = Command::script(self.script(had.version())).timeout(PATIENCE);
        let trying = format!("unpack Harbor {}", self.version);
        must(cx, &trying, unpack).await.map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(TakeBack::step(
            "remove Harbor's installer and logs",
            Self::resources(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::reads;

    fn step(version: &str) -> UnpackHarbor {
        UnpackHarbor {
            version: version.to_owned(),
            archives: BTreeMap::new(),
            unit: "kubexm-harbor.service",
            data_dir: "/mnt/registry".into(),
        }
    }

    #[test]
    fn a_shell_reads_the_script() {
        reads(&step("v2.14.0").script(None));
        reads(&step("v2.14.0").script(Some("v2.12.1")));
    }

    #[test]
    fn a_database_is_copied_once_before_another_version_comes() {
        let kept = step("v2.15.2").script(Some("v2.14.0"));
        assert!(
            kept.contains("cp -a /mnt/registry/database /mnt/registry/database.of-v2.14.0.part"),
            "{kept}"
        );
        assert!(!step("v2.14.0").script(Some("v2.14.0")).contains("cp -a"));
    }

    #[test]
    fn data_goes_to_later_versions_and_three_minors_at_most() {
        let told = |from: &str, to: &str| match step(to).may_follow(from) {
            Ok(()) => "goes".to_owned(),
            Err(error) => format!("{error}\nhint: {}", error.hint().unwrap_or_default()),
        };
        assert_eq!(told("v2.14.0", "v2.14.4"), "goes");
        assert_eq!(told("v2.12.3", "v2.15.2"), "goes");
        insta::assert_snapshot!(told("v2.15.2", "v2.15.1"), @r"
        Harbor v2.15.2 is set up here, and its data can be used by no older version such as v2.15.1
        hint: make a bundle with that version or a later one (spec.registry.version)
        ");
        insta::assert_snapshot!(told("v2.11.0", "v2.15.2"), @r"
        Harbor v2.11.0 cannot become v2.15.2 at once
        hint: an upgrade leads 3 minors further at most: install a bundle with 2.14 first
        ");
    }

    #[test]
    fn what_a_host_has_is_told_in_two_lines() {
        assert_eq!(Had::of(""), Had::Nothing);
        assert_eq!(Had::of("v2.14.0\nwhole"), Had::Version("v2.14.0".into()));
        assert_eq!(Had::of("v2.14.0"), Had::WithoutImages("v2.14.0".into()));
    }
}
