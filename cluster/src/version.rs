use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The version of a component. Written with or without the leading `v`; the same either way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(semver::Version);

impl Version {
    #[must_use]
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    /// `v1.7.6`
    #[must_use]
    pub fn with_v(&self) -> String {
        format!("v{}", self.0)
    }

    /// `1.7.6`
    #[must_use]
    pub fn without_v(&self) -> String {
        self.0.to_string()
    }

    #[must_use]
    pub const fn semver(&self) -> &semver::Version {
        &self.0
    }

    /// Major and minor, by which Kubernetes chooses what goes with it.
    #[must_use]
    pub const fn minor(&self) -> (u64, u64) {
        (self.0.major, self.0.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// The text is no full version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a full version")]
pub struct InvalidVersion(String);

impl InvalidVersion {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let digits = self.0.strip_prefix('v').unwrap_or(&self.0);
        let short = digits.split('.').all(|part| part.parse::<u64>().is_ok());
        (short && digits.matches('.').count() == 1)
            .then(|| format!("give the patch as well, e.g. v{digits}.0"))
            .or_else(|| Some("write it as MAJOR.MINOR.PATCH, e.g. v1.32.4".to_owned()))
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        semver::Version::parse(text.strip_prefix('v').unwrap_or(text))
            .map(Self)
            .map_err(|_| InvalidVersion(text.to_owned()))
    }
}

impl TryFrom<String> for Version {
    type Error = InvalidVersion;

    fn try_from(text: String) -> Result<Self, InvalidVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.with_v()
    }
}

impl JsonSchema for Version {
    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "version",
            "description": "A full version, with or without the leading v.",
            "examples": ["v1.32.4", "1.7.6"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_v_makes_no_difference() {
        let (with, without): (Version, Version) =
            ("v1.7.6".parse().unwrap(), "1.7.6".parse().unwrap());
        assert_eq!(with, without);
        assert_eq!(
            (with.with_v(), with.without_v()),
            ("v1.7.6".to_owned(), "1.7.6".to_owned())
        );
        assert!("v1.36.0-rc.1".parse::<Version>().unwrap() < "v1.36.0".parse().unwrap());
        assert!("1.34".parse::<Version>().is_err());
    }
}
