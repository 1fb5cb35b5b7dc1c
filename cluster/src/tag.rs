use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::Version;

/// The version of a component in the form its project has: a full version of a program, or the tag of an image, such as
/// `3.9`. A leading `v` makes no difference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

impl Tag {
    /// `1.7.6`, `3.9`
    #[must_use]
    pub fn without_v(&self) -> &str {
        &self.0
    }

    /// As a full version, where it is one.
    #[must_use]
    pub fn as_version(&self) -> Option<Version> {
        self.0.parse().ok()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_version() {
            Some(version) => version.fmt(f),
            None => f.write_str(&self.0),
        }
    }
}

/// The text is no version, and no tag of an image either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither a version nor the tag of an image")]
pub struct InvalidTag(String);

impl InvalidTag {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some("write it as v1.32.4 or 3.9: letters, digits, '.', '_' and '-'".to_owned())
    }
}

impl FromStr for Tag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        const LONGEST: usize = 128;
        // A version of a program may have a part behind '+', which no tag has.
        let version = text.parse::<Version>().is_ok();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let tag = text.starts_with(word)
            && text.chars().all(|c| word(c) || ".-".contains(c))
            && text.len() <= LONGEST;
        if !version && !tag {
            return Err(InvalidTag(text.to_owned()));
        }
        let plain = text
            .strip_prefix('v')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        Ok(Self(plain.unwrap_or(text).to_owned()))
    }
}

impl TryFrom<String> for Tag {
    type Error = InvalidTag;

    fn try_from(text: String) -> Result<Self, InvalidTag> {
        text.parse()
    }
}

impl From<&Version> for Tag {
    fn from(version: &Version) -> Self {
        Self(version.without_v())
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.to_string()
    }
}

impl JsonSchema for Tag {
    fn schema_name() -> Cow<'static, str> {
        "Tag".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "tag",
            "description": "A full version of a program, or the tag of an image, with or without the leading v.",
            "examples": ["v1.3.3", "3.9"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_tags_are_taken_with_and_without_the_v() {
        for (text, plain, shown) in [
            ("v1.3.3", "1.3.3", "v1.3.3"),
            ("1.3.3", "1.3.3", "v1.3.3"),
            ("1.3.3+up1", "1.3.3+up1", "v1.3.3+up1"),
            ("3.9", "3.9", "3.9"),
            ("v3.9", "3.9", "3.9"),
            ("version-1.29.3", "version-1.29.3", "version-1.29.3"),
        ] {
            let tag: Tag = text.parse().unwrap();
            assert_eq!((tag.without_v(), tag.to_string().as_str()), (plain, shown));
        }
        assert_eq!("3.9".parse::<Tag>().unwrap().as_version(), None);
        for wrong in ["", "a b", "-1", "registry.k8s.io/pause:3.9", "3.9@sha256"] {
            assert!(wrong.parse::<Tag>().is_err(), "{wrong}");
        }
    }
}
