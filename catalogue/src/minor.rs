use std::fmt;

use cluster::Version;
use serde::Deserialize;

/// A release line: `1.34`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Minor {
    pub major: u64,
    pub minor: u64,
}

impl Minor {
    #[must_use]
    pub const fn of(version: &Version) -> Self {
        let (major, minor) = version.minor();
        Self { major, minor }
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl TryFrom<String> for Minor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.split_once('.')
            .and_then(|(major, minor)| {
                Some(Self {
                    major: major.parse().ok()?,
                    minor: minor.parse().ok()?,
                })
            })
            .ok_or_else(|| format!("'{text}' is not a release line like 1.34"))
    }
}

/// Whether a version belongs to a range. A pre-release belongs where the release does that it leads to.
pub(crate) fn within(version: &Version, range: &semver::VersionReq) -> bool {
    let release = version.semver();
    range.matches(&semver::Version::new(
        release.major,
        release.minor,
        release.patch,
    ))
}
