use std::str::FromStr;

use serde::Deserialize;

/// A version of glibc: which programs start on a system depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Glibc {
    major: u16,
    minor: u16,
}

impl FromStr for Glibc {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('.');
        let numbers =
            parts.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let (major, minor) =
            numbers.ok_or_else(|| format!("'{text}' is no version of glibc, like 2.35"))?;
        Ok(Self { major, minor })
    }
}

impl TryFrom<String> for Glibc {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let version = |text: &str| text.parse::<Glibc>().unwrap();
        assert!(version("2.9") < version("2.28") && version("2.28") < version("2.35"));
        assert_eq!(
            "2".parse::<Glibc>().unwrap_err(),
            "'2' is no version of glibc, like 2.35"
        );
    }
}
