use cluster::Version;
use semver::VersionReq;
use serde::Deserialize;

use crate::kubernetes::VersionName;
use crate::minor::within;
use crate::pattern::Pattern;

/// One image of a set, for all versions or for some.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Written")]
pub(crate) struct Image {
    pub(crate) reference: Pattern<VersionName>,
    when: Option<When>,
}

/// Where an image is only for some versions.
#[derive(Clone, Debug)]
struct When {
    of: String,
    versions: VersionReq,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Always(Pattern<VersionName>),
    Sometimes(Sometimes),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sometimes {
    image: Pattern<VersionName>,
    of: String,
    versions: VersionReq,
}

impl From<Written> for Image {
    fn from(written: Written) -> Self {
        match written {
            Written::Always(reference) => Self {
                reference,
                when: None,
            },
            Written::Sometimes(Sometimes {
                image,
                of,
                versions,
            }) => Self {
                reference: image,
                when: Some(When { of, versions }),
            },
        }
    }
}

impl Image {
    /// Whether it is there with the versions that were chosen.
    pub(crate) fn applies<'v>(&self, version_of: impl Fn(&str) -> Option<&'v str>) -> bool {
        let Some(When { of, versions }) = &self.when else {
            return true;
        };
        let chosen: Option<Version> = version_of(of).and_then(|version| version.parse().ok());
        chosen.is_some_and(|version| within(&version, versions))
    }
}
