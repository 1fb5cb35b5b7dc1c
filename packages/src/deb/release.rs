//! `Release`: what a signed archive says of its indexes, and how long it is good for.

use std::collections::BTreeMap;

use deb822_fast::Paragraph;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::checked::Checksum;

/// How far its date may lie ahead of the given time: clocks differ.
const SKEW: SignedDuration = SignedDuration::from_mins(10);

/// A release's own account, verified before it was read.
#[derive(Clone, Debug)]
pub struct Release {
    /// `trixie-updates`, for messages.
    pub name: String,
    codename: Option<String>,
    suite: Option<String>,
    pub date: Timestamp,
    pub valid_until: Option<Timestamp>,
    by_hash: ByHash,
    files: BTreeMap<String, Checksum>,
}

/// Whether files are also found by their checksum, where they stay when the archive moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByHash {
    Offered,
    Absent,
}

/// An index of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFile {
    /// Below the release's directory, as it should be fetched.
    pub path: String,
    pub checksum: Checksum,
    pub compression: Compression,
    /// Its size without the compression.
    pub unpacked: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Xz,
    Gzip,
}

/// Why a release cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    #[error("the Release file cannot be read: {why}")]
    Malformed { why: String },
    #[error("the index of {release}, of {date}, was good until {until}")]
    Expired {
        release: String,
        date: Timestamp,
        until: Timestamp,
    },
    #[error("the index of {release} is of {date}, and it is {now}")]
    NotYet {
        release: String,
        date: Timestamp,
        now: Timestamp,
    },
    #[error("it is the index of {found}, and not of {asked}")]
    OtherSuite { found: String, asked: String },
    #[error("{release} has no packages of component {component:?} for {arch}")]
    NoIndex {
        release: String,
        component: String,
        arch: String,
    },
}

impl ReleaseError {
    /// What a person can do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Expired { .. } => {
                Some("the mirror is behind, or keeps an old index back: use another one")
            }
            Self::NotYet { .. } => Some("check this machine's clock"),
            Self::OtherSuite { .. } => Some(
                "the mirror serves another release under this address, though a signed one: use another mirror, and find out why",
            ),
            _ => None,
        }
    }
}

impl Release {
    /// Reads the text of `Release`, whose signature was verified.
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        let malformed = |why: String| ReleaseError::Malformed { why };
        let paragraph: Paragraph = text
            .parse()
            .map_err(|error: deb822_fast::Error| malformed(error.to_string()))?;
        let date = |field: &str| {
            paragraph
                .get(field)
                .map(|value| {
                    parse_date(value)
                        .ok_or_else(|| malformed(format!("{field}: {value} is no date")))
                })
                .transpose()
        };
        let named = |field: &str| paragraph.get(field).map(str::to_owned);
        let (codename, suite) = (named("Codename"), named("Suite"));
        let name = codename.clone().or_else(|| suite.clone());
        Ok(Self {
            name: name.unwrap_or_else(|| "a release without a name".to_owned()),
            codename,
            suite,
            date: date("Date")?.ok_or_else(|| malformed("it has no Date".to_owned()))?,
            valid_until: date("Valid-Until")?,
            by_hash: match paragraph.get("Acquire-By-Hash") {
                Some("yes") => ByHash::Offered,
                _ => ByHash::Absent,
            },
            files: files(paragraph.get("SHA256").unwrap_or_default())
                .ok_or_else(|| malformed("its list of SHA256 is broken".to_owned()))?,
        })
    }

    /// Whether it is of the suite that was asked for: one key signs many, and all of them are to be had by everybody.
    pub fn is_of(&self, asked: &str) -> Result<(), ReleaseError> {
        let (codename, suite) = (self.codename.as_deref(), self.suite.as_deref());
        // Debian's codename names the part as well, as in `trixie-updates`, and its suite changes with the years. Ubuntu's
        // codename is that of the whole release, and only the suite tells the part.
        let part = suite
            .zip(codename)
            .and_then(|(suite, codename)| suite.strip_prefix(codename)?.strip_prefix('-'));
        if suite == Some(asked) || (codename == Some(asked) && part.is_none()) {
            return Ok(());
        }
        let found = match (suite, codename) {
            (Some(suite), Some(codename)) if suite != codename => format!("{codename} ({suite})"),
            _ => self.name.clone(),
        };
        Err(ReleaseError::OtherSuite {
            found,
            asked: asked.to_owned(),
        })
    }

    /// Whether it still counts at the given time.
    pub fn fresh(&self, now: Timestamp) -> Result<(), ReleaseError> {
        let release = || self.name.clone();
        if self.date > now + SKEW {
            return Err(ReleaseError::NotYet {
                release: release(),
                date: self.date,
                now,
            });
        }
        match self.valid_until.filter(|until| *until < now) {
            Some(until) => Err(ReleaseError::Expired {
                release: release(),
                date: self.date,
                until,
            }),
            None => Ok(()),
        }
    }

    /// The list of packages of a component.
    pub fn index(&self, component: &str, arch: &str) -> Result<IndexFile, ReleaseError> {
        let directory = format!("{component}/binary-{arch}");
        let forms = [(Compression::Xz, "xz"), (Compression::Gzip, "gz")];
        let found = forms.into_iter().find_map(|(compression, suffix)| {
            let path = format!("{directory}/Packages.{suffix}");
            let checksum = self.files.get(&path)?.clone();
            let path = match self.by_hash {
                ByHash::Offered => format!("{directory}/by-hash/SHA256/{}", checksum.sha256),
                ByHash::Absent => path,
            };
            // Text of packages shrinks to a fifth; without a word on it, a wide limit stands against bombs.
            let plain = self.files.get(&format!("{directory}/Packages"));
            let unpacked = plain.map_or(checksum.size * 64, |plain| plain.size);
            Some(IndexFile {
                path,
                checksum,
                compression,
                unpacked,
            })
        });
        found.ok_or_else(|| ReleaseError::NoIndex {
            release: self.name.clone(),
            component: component.to_owned(),
            arch: arch.to_owned(),
        })
    }
}

fn files(list: &str) -> Option<BTreeMap<String, Checksum>> {
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let (sha256, size, path) = (words.next()?, words.next()?, words.next()?);
            let hash: [u8; 32] = hex::decode(sha256).ok()?.try_into().ok()?;
            let checksum = Checksum {
                size: size.parse().ok()?,
                sha256: hex::encode(hash),
            };
            Some((path.to_owned(), checksum))
        })
        .collect()
}

/// `Sat, 15 Nov 2025 09:31:14 UTC`; archives have no other zone.
fn parse_date(text: &str) -> Option<Timestamp> {
    let zones = ["UTC", "GMT", "+0000"];
    let text = zones.iter().find_map(|zone| text.strip_suffix(zone))?;
    let civil = DateTime::strptime("%a, %d %b %Y %H:%M:%S", text.trim_end()).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use insta::{assert_debug_snapshot, assert_snapshot};

    use super::*;

    fn release(fields: &str) -> Result<Release, ReleaseError> {
        let (xz, gz) = ("a".repeat(64), "b".repeat(64));
        Release::parse(&format!(
            "Origin: Debian\nCodename: trixie\nDate: Sat, 15 Nov 2025 09:31:14 UTC\n{fields}SHA256:\n {xz} 100 main/binary-amd64/Packages.xz\n {xz} 500 main/binary-amd64/Packages\n {gz} 90 contrib/binary-amd64/Packages.gz\n"
        ))
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn an_index_is_found_with_its_checksum() {
        let by_hash = release("Acquire-By-Hash: yes\n").unwrap();
        assert_debug_snapshot!(by_hash.index("main", "amd64").unwrap(), @r#"
        IndexFile {
            path: "main/binary-amd64/by-hash/SHA256/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            checksum: Checksum {
                size: 100,
                sha256: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            },
            compression: Xz,
            unpacked: 500,
        }
        "#);
        let by_name = release("").unwrap().index("contrib", "amd64").unwrap();
        assert_eq!(
            (by_name.path.as_str(), by_name.unpacked),
            ("contrib/binary-amd64/Packages.gz", 90 * 64)
        );
        assert_snapshot!(release("").unwrap().index("main", "s390x").unwrap_err(), @r#"trixie has no packages of component "main" for s390x"#);
    }

    #[test]
    fn an_expired_index_says_of_when_it_is() {
        let release = release("Valid-Until: Sat, 22 Nov 2025 09:31:14 UTC\n").unwrap();
        release.fresh(at("2025-11-20T00:00:00Z")).unwrap();
        let expired = release.fresh(at("2025-11-23T00:00:00Z")).unwrap_err();
        assert_snapshot!(expired, @r"the index of trixie, of 2025-11-15T09:31:14Z, was good until 2025-11-22T09:31:14Z");
        assert!(expired.hint().is_some());
        let early = release.fresh(at("2025-11-14T00:00:00Z")).unwrap_err();
        assert_snapshot!(early, @r"the index of trixie is of 2025-11-15T09:31:14Z, and it is 2025-11-14T00:00:00Z");
        assert!(early.hint().is_some());
    }

    #[test]
    fn a_release_is_of_the_suite_that_was_asked_for() {
        let of = |names: &str, asked: &str| {
            let text = format!("{names}Date: Sat, 15 Nov 2025 09:31:14 UTC\n");
            let judged = Release::parse(&text).unwrap().is_of(asked);
            judged.map_err(|error| error.to_string())
        };
        for (names, asked) in [
            ("Suite: stable\nCodename: trixie\n", "trixie"),
            (
                "Suite: oldstable-updates\nCodename: bookworm-updates\n",
                "bookworm-updates",
            ),
            (
                "Suite: oldstable-security\nCodename: bookworm-security\n",
                "bookworm-security",
            ),
            ("Suite: jammy\nCodename: jammy\n", "jammy"),
            ("Suite: jammy-updates\nCodename: jammy\n", "jammy-updates"),
            ("Codename: trixie\n", "trixie"),
        ] {
            assert_eq!(of(names, asked), Ok(()), "{names}");
        }
        let refused = [
            of("Suite: oldstable\nCodename: bookworm\n", "trixie"),
            of("Suite: jammy-proposed\nCodename: jammy\n", "jammy"),
            of(
                "Suite: proposed-updates\nCodename: trixie-proposed-updates\n",
                "trixie",
            ),
            of("", "trixie"),
        ];
        assert_snapshot!(refused.map(Result::unwrap_err).join("\n"), @r"
        it is the index of bookworm (oldstable), and not of trixie
        it is the index of jammy (jammy-proposed), and not of jammy
        it is the index of trixie-proposed-updates (proposed-updates), and not of trixie
        it is the index of a release without a name, and not of trixie
        ");
    }

    #[test]
    fn a_release_without_an_end_stays_good() {
        release("")
            .unwrap()
            .fresh(at("2035-01-01T00:00:00Z"))
            .unwrap();
    }

    #[test]
    fn a_broken_release_says_what_is_wrong() {
        let refused = |text: &str| Release::parse(text).unwrap_err().to_string();
        assert_snapshot!(refused("Codename: trixie\n"), @r"the Release file cannot be read: it has no Date");
        assert_snapshot!(refused("Date: yesterday\n"), @r"the Release file cannot be read: Date: yesterday is no date");
        assert_snapshot!(refused("Date: Sat, 15 Nov 2025 09:31:14 UTC\nSHA256:\n abc 1 main\n"), @r"the Release file cannot be read: its list of SHA256 is broken");
    }
}
