//! The signers file: `allowed_signers` of OpenSSH, as `ssh-keygen(1)` describes it.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use russh::keys::ssh_key::PublicKey;
use russh::keys::ssh_key::public::KeyData;

use super::{Principal, Purpose, SignatureError, fingerprint};

/// A line of the signers file that cannot be honoured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct SignersError {
    pub line: usize,
    pub why: String,
}

/// Why a known key does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Namespace { allowed: String },
    NotYet(Timestamp),
    Expired(Timestamp),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace { allowed } => {
                write!(f, "the signers file allows that key only for '{allowed}'")
            }
            Self::NotYet(from) => write!(f, "that key is valid only after {from}"),
            Self::Expired(until) => write!(f, "that key was valid only before {until}"),
        }
    }
}

pub(super) struct Signers(Vec<Signer>);

struct Signer {
    principals: String,
    key: KeyData,
    namespaces: Option<String>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Signers {
    /// Times without a zone are meant in that of `now`.
    pub(super) fn parse(text: &str, now: &Zoned) -> Result<Self, SignersError> {
        text.lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(line, text)| {
                Signer::parse(text, now.time_zone()).map_err(|why| SignersError { line, why })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The first line for this key that holds; if none holds, why not.
    pub(super) fn find(
        &self,
        key: &KeyData,
        of: Purpose,
        now: &Zoned,
    ) -> Result<Principal, SignatureError> {
        let fingerprint = fingerprint(key);
        let mut refused = None;
        for signer in self.0.iter().filter(|signer| signer.key == *key) {
            let name = signer.principals.clone();
            match signer.refusal(of.namespace(), now.timestamp()) {
                None => {
                    return Ok(Principal {
                        name,
                        fingerprint,
                        until: signer.before,
                    });
                }
                Some(why) => {
                    refused = refused.or(Some(SignatureError::NotAllowed { of, name, why }));
                }
            }
        }
        Err(refused.unwrap_or(SignatureError::UnknownSigner { of, fingerprint }))
    }
}

impl Signer {
    fn parse(line: &str, zone: &TimeZone) -> Result<Self, String> {
        let (principals, rest) = word(line).ok_or("principals expected")?;
        let principals = principals.trim_matches('"').to_owned();
        let (options, key) = if let Ok(key) = PublicKey::from_openssh(rest) {
            ("", key)
        } else {
            let (options, rest) = word(rest).ok_or("a public key expected")?;
            let key = PublicKey::from_openssh(rest)
                .map_err(|error| format!("no public key that can be read: {error}"))?;
            (options, key)
        };
        let mut signer = Self {
            principals,
            key: key.key_data().clone(),
            namespaces: None,
            after: None,
            before: None,
        };
        for option in split(options, ',') {
            signer.option(option, zone)?;
        }
        Ok(signer)
    }

    fn option(&mut self, option: &str, zone: &TimeZone) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => self.namespaces = Some(value.to_owned()),
            "valid-after" => self.after = Some(time(value, zone)?),
            "valid-before" => self.before = Some(time(value, zone)?),
            "cert-authority" => {
                return Err(
                    "certificates (cert-authority) are not supported: list the signing key itself"
                        .into(),
                );
            }
            _ => return Err(format!("unknown option '{name}'")),
        }
        Ok(())
    }

    fn refusal(&self, namespace: &str, now: Timestamp) -> Option<Refusal> {
        if let Some(allowed) = &self.namespaces
            && !matches_list(allowed, namespace)
        {
            return Some(Refusal::Namespace {
                allowed: allowed.clone(),
            });
        }
        if let Some(after) = self.after
            && now < after
        {
            return Some(Refusal::NotYet(after));
        }
        if let Some(before) = self.before
            && now > before
        {
            return Some(Refusal::Expired(before));
        }
        None
    }
}

/// The first word and the rest; blanks within quotes do not part words.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let mut quoted = false;
    let end = text
        .find(|c: char| {
            quoted ^= c == '"';
            c.is_ascii_whitespace() && !quoted
        })
        .unwrap_or(text.len());
    (end > 0).then(|| (&text[..end], text[end..].trim_start()))
}

/// Split outside of quotes.
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '"';
        c == at && !quoted
    })
    .filter(|part| !part.is_empty())
}

/// `YYYYMMDD[HHMM[SS]][Z]`
fn time(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let wrong = || format!("'{text}' is no time: YYYYMMDD[HHMM[SS]][Z] expected");
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, &TimeZone::UTC),
        None => (text, zone),
    };
    let padded = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        14 => digits.to_owned(),
        _ => return Err(wrong()),
    };
    let time = DateTime::strptime("%Y%m%d%H%M%S", &padded).map_err(|_| wrong())?;
    Ok(time
        .to_zoned(zone.clone())
        .map_err(|_| wrong())?
        .timestamp())
}

/// A pattern list of OpenSSH: one must match, and none of those with `!`.
fn matches_list(patterns: &str, text: &str) -> bool {
    let mut matched = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(denied) if matches(denied.as_bytes(), text.as_bytes()) => return false,
            Some(_) => {}
            None => matched |= matches(pattern.as_bytes(), text.as_bytes()),
        }
    }
    matched
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, text)
                || text
                    .split_first()
                    .is_some_and(|(_, text)| matches(pattern, text))
        }
        (Some((b'?', pattern)), Some((_, text))) => matches(pattern, text),
        (Some((a, pattern)), Some((b, text))) => a == b && matches(pattern, text),
        _ => false,
    }
}
