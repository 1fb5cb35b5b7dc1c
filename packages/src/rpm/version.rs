//! Versions of rpm packages: `epoch:version-release`, and ranges of them.
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Epoch, version and release. In a relation the release may be left out, which then stands for every release.
#[derive(Debug, Clone)]
pub struct Evr {
    epoch: u32,
    version: String,
    release: String,
}

/// A number of an EVR that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no epoch")]
pub struct EpochError(String);

impl Evr {
    /// An EVR out of its parts as metadata spell them; an empty epoch is 0, an empty release is none.
    pub fn new(epoch: &str, version: &str, release: &str) -> Result<Self, EpochError> {
        Ok(Self {
            epoch: if epoch.is_empty() {
                0
            } else {
                epoch.parse().map_err(|_| EpochError(epoch.to_owned()))?
            },
            version: version.to_owned(),
            release: release.to_owned(),
        })
    }

    /// The epoch, 0 where none was given.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The upstream version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The distribution's release of it, empty where none was given.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// How two stand to each other in a relation, where a release counts only if both have one.
    #[must_use]
    pub fn relate(&self, other: &Self) -> Ordering {
        let whole = self
            .epoch
            .cmp(&other.epoch)
            .then_with(|| vercmp(&self.version, &other.version));
        if self.release.is_empty() || other.release.is_empty() {
            whole
        } else {
            whole.then_with(|| vercmp(&self.release, &other.release))
        }
    }
}

/// How rpm orders two versions, or two releases.
#[must_use]
pub fn vercmp(left: &str, right: &str) -> Ordering {
    rpm_version::Evr::new("", left, "").cmp(&rpm_version::Evr::new("", right, ""))
}

impl FromStr for Evr {
    type Err = EpochError;

    fn from_str(text: &str) -> Result<Self, EpochError> {
        let (epoch, version, release) = rpm_version::Evr::parse_values(text);
        Self::new(epoch, version, release)
    }
}

impl Ord for Evr {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| vercmp(&self.version, &other.version))
            .then_with(|| vercmp(&self.release, &other.release))
    }
}

impl PartialOrd for Evr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As rpm compares: `1.0` and `1.00` are one version.
impl PartialEq for Evr {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Evr {}

impl fmt::Display for Evr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch > 0 {
            write!(f, "{}:", self.epoch)?;
        }
        f.write_str(&self.version)?;
        if !self.release.is_empty() {
            write!(f, "-{}", self.release)?;
        }
        Ok(())
    }
}

/// How a range lies to the version that bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Operator {
    fn below(self) -> bool {
        matches!(self, Self::Less | Self::LessOrEqual)
    }

    fn above(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }

    fn includes_bound(self) -> bool {
        matches!(self, Self::LessOrEqual | Self::Equal | Self::GreaterOrEqual)
    }

    /// As a relation is written: `>=`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        }
    }

    /// As metadata write it: `GE`.
    #[must_use]
    pub fn flags(self) -> &'static str {
        match self {
            Self::Less => "LT",
            Self::LessOrEqual => "LE",
            Self::Equal => "EQ",
            Self::GreaterOrEqual => "GE",
            Self::Greater => "GT",
        }
    }

    pub(super) fn from_flags(flags: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operator| operator.flags() == flags)
    }

    pub(super) fn from_symbol(symbol: &str) -> Option<Self> {
        match symbol {
            "==" => Some(Self::Equal),
            "=<" => Some(Self::LessOrEqual),
            "=>" => Some(Self::GreaterOrEqual),
            _ => Self::ALL
                .into_iter()
                .find(|operator| operator.as_str() == symbol),
        }
    }

    const ALL: [Self; 5] = [
        Self::Less,
        Self::LessOrEqual,
        Self::Equal,
        Self::GreaterOrEqual,
        Self::Greater,
    ];
}

/// The versions on one side of a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub operator: Operator,
    pub bound: Evr,
}

impl Range {
    /// Whether some version lies in both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        if (self.operator.below() && other.operator.below())
            || (self.operator.above() && other.operator.above())
        {
            return true;
        }
        match self.bound.relate(&other.bound) {
            Ordering::Less => self.operator.above() || other.operator.below(),
            Ordering::Equal => self.operator.includes_bound() && other.operator.includes_bound(),
            Ordering::Greater => self.operator.below() || other.operator.above(),
        }
    }

    /// Whether a package of this version is in the range.
    #[must_use]
    pub fn contains(&self, version: &Evr) -> bool {
        match version.relate(&self.bound) {
            Ordering::Less => self.operator.below(),
            Ordering::Equal => self.operator.includes_bound(),
            Ordering::Greater => self.operator.above(),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operator.as_str(), self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evr(text: &str) -> Evr {
        text.parse().unwrap()
    }

    fn range(text: &str) -> Range {
        let (operator, bound) = text.split_once(' ').unwrap();
        Range {
            operator: Operator::from_symbol(operator).unwrap(),
            bound: evr(bound),
        }
    }

    #[test]
    fn versions_order_as_rpm_has_them() {
        let rising = [
            "1.0~rc1-1",
            "1.0-1",
            "1.0^git2-1",
            "1.0.1-1",
            "1.0a-1",
            "1.2-1.el9",
            "1.2-2.el9",
            "1.10-1",
            "1:0.1-1",
        ];
        // A letter is older than a number, so that 1.0a stands before 1.0.1.
        let mut sorted: Vec<Evr> = rising.iter().map(|text| evr(text)).collect();
        sorted.sort();
        let sorted: Vec<String> = sorted.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(sorted.join(" "), @"1.0~rc1-1 1.0-1 1.0^git2-1 1.0a-1 1.0.1-1 1.2-1.el9 1.2-2.el9 1.10-1 1:0.1-1");
        assert_eq!(evr("1.0-1"), evr("0:1.00-01"));
    }

    #[test]
    fn a_relation_without_a_release_means_each_of_them() {
        assert!(range("= 1.0").contains(&evr("1.0-7.el9")));
        assert!(!range("= 1.0-6").contains(&evr("1.0-7.el9")));
        assert!(!range("> 1.0").contains(&evr("1.0-7.el9")));
        assert!(range(">= 1.0").contains(&evr("1:0.1-1")));
        assert!(!range("< 1.0").contains(&evr("1:0.1-1")));
    }

    #[test]
    fn ranges_meet_where_a_version_lies_in_both() {
        assert!(range(">= 2").meets(&range("> 5")));
        assert!(range(">= 2").meets(&range("= 2-1")));
        assert!(range("<= 2").meets(&range(">= 2")));
        assert!(!range("< 2").meets(&range(">= 2")));
        assert!(!range("= 1").meets(&range(">= 2")));
        assert!(range("= 3").meets(&range(">= 2")));
        assert!(!range("> 3").meets(&range("= 2")));
    }

    #[test]
    fn an_epoch_is_a_number() {
        assert_eq!(
            "x:1-1".parse::<Evr>().unwrap_err().to_string(),
            "'x' is no epoch"
        );
    }
}
