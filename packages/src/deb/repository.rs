//! The index of a directory of `.deb` files, made from these alone: the same files give the same text.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::control::Deb;
use super::version;

/// A package file of the repository.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name in the directory.
    pub file: String,
    pub deb: Deb,
}

/// Apt wants a date; the content says all that counts.
const DATE: &str = "Thu, 01 Jan 1970 00:00:00 UTC";

/// Fields that an index adds, and a control file therefore must not.
const ADDED: [&str; 3] = ["Filename", "Size", "SHA256"];

/// The text of `Packages`.
#[must_use]
pub fn packages(members: &[Member]) -> String {
    let mut sorted: Vec<&Member> = members.iter().collect();
    sorted.sort_by(|one, other| {
        let key = |member: &Member| member.deb.field("Package").to_owned();
        key(one)
            .cmp(&key(other))
            .then_with(|| version::compare(one.deb.field("Version"), other.deb.field("Version")))
            .then_with(|| one.file.cmp(&other.file))
    });
    sorted
        .into_iter()
        .map(stanza)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The text of `Release` beside it.
#[must_use]
pub fn release(packages: &str) -> String {
    let hash = hex::encode(Sha256::digest(packages));
    format!(
        "Origin: kubexm\nLabel: kubexm\nDate: {DATE}\nSHA256:\n {hash} {} Packages\n",
        packages.len()
    )
}

fn stanza(member: &Member) -> String {
    let mut text = String::new();
    let added = |name: &str| ADDED.iter().any(|one| one.eq_ignore_ascii_case(name));
    for (name, value) in member.deb.control.iter().filter(|(name, _)| !added(name)) {
        field(&mut text, name, value);
    }
    field(&mut text, "Filename", &format!("./{}", member.file));
    field(&mut text, "Size", &member.deb.checksum.size.to_string());
    field(&mut text, "SHA256", &member.deb.checksum.sha256);
    text
}

fn field(text: &mut String, name: &str, value: &str) {
    let value = value.replace('\n', "\n ");
    let gap = if value.starts_with('\n') || value.is_empty() {
        ""
    } else {
        " "
    };
    writeln!(text, "{name}:{gap}{value}").expect("a String takes all text");
}

#[cfg(test)]
mod tests;
