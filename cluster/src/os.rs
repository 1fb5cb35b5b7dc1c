use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{Cluster, Host};

/// A release of an operating system, as `/etc/os-release` names it: `debian-13`, `ubuntu-24.04`, `rocky-9`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Os {
    name: String,
    version: String,
}

impl Os {
    /// `debian`
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `13`, `24.04`
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether `ID` and `VERSION_ID` of an `/etc/os-release` are of this release: rocky 9.4 is rocky-9, openEuler is
    /// written with a capital, and Kylin's version has a letter in front.
    #[must_use]
    pub fn is(&self, id: &str, version_id: &str) -> bool {
        let version = version_id.trim_start_matches(['v', 'V']);
        let own = self.version.trim_start_matches('v');
        let minor = version.strip_prefix(own);
        id.eq_ignore_ascii_case(&self.name)
            && minor.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name, self.version)
    }
}

/// The text does not name a release of an operating system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an operating system with its version")]
pub struct InvalidOs(String);

impl InvalidOs {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(
            "write ID and VERSION_ID of its /etc/os-release: debian-13, ubuntu-24.04, rocky-9"
                .to_owned(),
        )
    }
}

impl FromStr for Os {
    type Err = InvalidOs;

    fn from_str(text: &str) -> Result<Self, InvalidOs> {
        let invalid = || InvalidOs(text.to_owned());
        let written = text.trim().to_ascii_lowercase();
        let (name, version) = written.rsplit_once('-').ok_or_else(invalid)?;
        let word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let number = version.strip_prefix('v').unwrap_or(version);
        let parts = || number.split('.');
        let numeric =
            parts().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        if !name.starts_with(|c: char| c.is_ascii_alphabetic())
            || !name.chars().all(word)
            || !numeric
        {
            return Err(invalid());
        }
        Ok(Self {
            name: name.to_owned(),
            version: version.to_owned(),
        })
    }
}

impl TryFrom<String> for Os {
    type Error = InvalidOs;

    fn try_from(text: String) -> Result<Self, InvalidOs> {
        text.parse()
    }
}

impl From<Os> for String {
    fn from(os: Os) -> Self {
        os.to_string()
    }
}

impl JsonSchema for Os {
    fn schema_name() -> Cow<'static, str> {
        "Os".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "os",
            "description": "An operating system with its version, as /etc/os-release names them.",
            "examples": ["debian-13", "ubuntu-24.04", "rocky-9"],
        })
    }
}

impl Cluster {
    /// Every system that the bundle must carry packages for: those of `spec.system.os` and those that hosts name. None:
    /// the bundle carries no packages.
    #[must_use]
    pub fn systems(&self) -> Vec<Os> {
        let own = self.spec.hosts.iter().filter_map(|host| host.os.as_ref());
        let mut all: Vec<Os> = self.spec.system.os.iter().chain(own).cloned().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The systems that this host may run: the one it names, or any of `spec.system.os`.
    #[must_use]
    pub fn systems_of<'a>(&'a self, host: &'a Host) -> &'a [Os] {
        match &host.os {
            Some(own) => std::slice::from_ref(own),
            None => &self.spec.system.os,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(text: &str) -> Os {
        text.parse().unwrap()
    }

    #[test]
    fn a_system_is_its_id_and_version() {
        for (text, name, version) in [
            ("debian-13", "debian", "13"),
            ("ubuntu-24.04", "ubuntu", "24.04"),
            ("openEuler-24.03", "openeuler", "24.03"),
            ("kylin-v10", "kylin", "v10"),
            ("opensuse-leap-15.6", "opensuse-leap", "15.6"),
        ] {
            assert_eq!((os(text).name(), os(text).version()), (name, version));
        }
        for wrong in [
            "",
            "debian",
            "debian-",
            "-13",
            "debian-trixie",
            "debian 13",
            "a/b-1",
            "rocky-9.",
        ] {
            let error = wrong.parse::<Os>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("'{wrong}' is not an operating system with its version")
            );
        }
    }

    #[test]
    fn os_release_decides_what_a_machine_runs() {
        for (text, id, version_id, is) in [
            ("debian-13", "debian", "13", true),
            ("debian-13", "debian", "12", false),
            ("debian-1", "debian", "13", false),
            ("rocky-9", "rocky", "9.4", true),
            ("rocky-9", "almalinux", "9.4", false),
            ("openeuler-24.03", "openEuler", "24.03", true),
            ("ubuntu-22.04", "ubuntu", "22.04", true),
            ("kylin-v10", "kylin", "V10", true),
            ("kylin-10", "kylin", "V10", true),
            ("debian-13", "debian", "", false),
        ] {
            assert_eq!(os(text).is(id, version_id), is, "{text} {id} {version_id}");
        }
    }

    #[test]
    fn a_host_runs_its_own_system_or_one_of_all() {
        let text = "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: c}
spec:
  hosts:
    - {name: a, address: 10.0.0.1, os: rocky-9}
    - {name: b, address: 10.0.0.2}
  roleGroups: {etcd: [a], master: [a], worker: [b]}
  system: {os: [ubuntu-24.04, debian-13]}
";
        let cluster = crate::parse("config.yaml", text).unwrap().cluster;
        let names = |systems: &[Os]| systems.iter().map(Os::to_string).collect::<Vec<_>>();
        let of = |host| names(cluster.systems_of(cluster.host(host).unwrap()));
        assert_eq!(of("a"), ["rocky-9"]);
        assert_eq!(of("b"), ["ubuntu-24.04", "debian-13"]);
        assert_eq!(
            names(&cluster.systems()),
            ["debian-13", "rocky-9", "ubuntu-24.04"]
        );
    }
}
