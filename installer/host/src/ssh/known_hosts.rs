//! OpenSSH's `known_hosts`. russh reads it too, but its check takes another kind of key for an unknown host, and knows
//! neither markers nor patterns.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

use camino::{Utf8Path, Utf8PathBuf};
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::PublicKey;
use russh::keys::ssh_key::known_hosts::{HostPatterns, Marker};
use sha1::Sha1;

use super::host_key::{describe, kind};
use crate::blocking::blocking;
use crate::{HostError, words};

/// The name under which a host's keys are kept.
pub(super) fn name(address: &str, port: u16) -> String {
    let address = address.to_lowercase();
    if port == 22 {
        address
    } else {
        format!("[{address}]:{port}")
    }
}

/// What the files say about one host.
#[derive(Clone, Debug)]
pub(super) struct Known {
    name: String,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    marker: Option<Marker>,
    /// The kind of its key, which may be one that is not supported.
    kind: String,
    key: Option<PublicKey>,
    /// File and line.
    at: String,
}

/// What a shown key is to a host's known ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Same,
    /// The host is known by these other keys.
    Other(String),
    Revoked(String),
    /// The host is known through a certificate authority alone.
    Authority(String),
    Nothing,
}

impl Known {
    /// Reads the files, each once.
    pub(super) async fn load(
        mut files: Vec<Utf8PathBuf>,
        accepted: Option<Utf8PathBuf>,
        name: String,
    ) -> Result<Self, HostError> {
        files.extend(
            accepted
                .filter(|file| !files.contains(file))
                .into_iter()
                .collect::<Vec<_>>(),
        );
        blocking(move || {
            let mut known = Self {
                name,
                entries: Vec::new(),
            };
            for file in files {
                known.add(&file).map_err(|e| unusable(&file, &e))?;
            }
            Ok(known)
        })
        .await
    }

    fn add(&mut self, file: &Utf8Path) -> io::Result<()> {
        match fs::read_to_string(file) {
            Ok(text) => self.add_text(&text, file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str, file: &Utf8Path) {
        let found = text.lines().enumerate().filter_map(|(index, line)| {
            let entry = Entry::parse(line, &self.name)?;
            Some(Entry {
                at: format!("{file}:{}", index + 1),
                ..entry
            })
        });
        self.entries.extend(found.collect::<Vec<_>>());
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The kinds of keys that are known of the host.
    pub(super) fn kinds(&self) -> Vec<String> {
        self.plain().map(|entry| entry.kind.clone()).collect()
    }

    pub(super) fn find(&self, shown: &PublicKey) -> Finding {
        let same = |entry: &&Entry| {
            entry
                .key
                .as_ref()
                .is_some_and(|key| key.key_data() == shown.key_data())
        };
        let marked = |marker| {
            self.entries
                .iter()
                .filter(move |entry| entry.marker == Some(marker))
        };
        if let Some(entry) = marked(Marker::Revoked).find(same) {
            return Finding::Revoked(entry.at.clone());
        }
        if self.plain().any(|entry| same(&entry)) {
            return Finding::Same;
        }
        let others: Vec<String> = self.plain().map(Entry::describe).collect();
        match marked(Marker::CertAuthority).next() {
            _ if !others.is_empty() => Finding::Other(others.join(" or ")),
            Some(authority) => Finding::Authority(authority.at.clone()),
            None => Finding::Nothing,
        }
    }

    fn plain(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.marker.is_none())
    }
}

impl Entry {
    /// An entry for this host; none if the line is for another one or says nothing.
    fn parse(line: &str, name: &str) -> Option<Self> {
        let mut words = line.split_whitespace().peekable();
        let marker = match words.peek()? {
            word if word.starts_with('#') => return None,
            word if word.starts_with('@') => Some(words.next()?.parse().ok()?),
            _ => None,
        };
        let patterns: HostPatterns = words.next()?.parse().ok()?;
        if !applies(&patterns, name) {
            return None;
        }
        let (kind_word, base64) = (words.next()?, words.next()?);
        let key = PublicKey::from_openssh(&format!("{kind_word} {base64}")).ok();
        let kind = key
            .as_ref()
            .map_or_else(|| kind_word.to_owned(), |key| kind(&key.algorithm()));
        Some(Self {
            marker,
            kind,
            key,
            at: String::new(),
        })
    }

    fn describe(&self) -> String {
        let key = self
            .key
            .as_ref()
            .map_or_else(|| self.kind.clone(), describe);
        format!("{key} ({})", self.at)
    }
}

fn applies(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
            .is_ok_and(|hmac| hmac.chain_update(name).verify_slice(hash).is_ok()),
        HostPatterns::Patterns(patterns) => {
            let matches =
                |pattern: &str| matches(pattern.to_lowercase().as_bytes(), name.as_bytes());
            let forbidden = |pattern: &String| pattern.strip_prefix('!').is_some_and(matches);
            !patterns.iter().any(forbidden) && patterns.iter().any(|pattern| matches(pattern))
        }
    }
}

/// Shell patterns of `*` and `?` alone.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, name)
                || name
                    .split_first()
                    .is_some_and(|(_, name)| matches(pattern, name))
        }
        (Some((b'?', pattern)), Some((_, name))) => matches(pattern, name),
        (Some((p, pattern)), Some((n, name))) => p == n && matches(pattern, name),
        _ => false,
    }
}

/// Writes down a key that was accepted; gives the other key where meanwhile one has been written for this host.
pub(super) async fn record(
    file: Utf8PathBuf,
    name: String,
    key: PublicKey,
) -> Result<Option<String>, HostError> {
    blocking(move || append(&file, name, &key).map_err(|e| unusable(&file, &e))).await
}

fn append(file: &Utf8Path, name: String, key: &PublicKey) -> io::Result<Option<String>> {
    if let Some(dir) = file.parent().filter(|dir| !dir.as_str().is_empty()) {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
    }
    let mut open = OpenOptions::new();
    let mut handle: File = open
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)?;
    // Many hosts are met at once, and other programs may be told the same.
    handle.lock()?;
    let mut text = String::new();
    handle.read_to_string(&mut text)?;
    let mut known = Known {
        name,
        entries: Vec::new(),
    };
    known.add_text(&text, file);
    match known.find(key) {
        Finding::Same => return Ok(None),
        Finding::Nothing => {}
        Finding::Other(at) | Finding::Revoked(at) | Finding::Authority(at) => return Ok(Some(at)),
    }
    let line_break = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let plain = PublicKey::new(key.key_data().clone(), "");
    let key = plain.to_openssh().map_err(io::Error::other)?;
    handle.write_all(format!("{line_break}{} {key}\n", known.name).as_bytes())?;
    handle.sync_all()?;
    Ok(None)
}

fn unusable(file: &Utf8Path, error: &io::Error) -> HostError {
    HostError::KnownHosts {
        path: file.to_owned(),
        why: words::io(error),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const B: &str = "AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn key(base64: &str) -> PublicKey {
        PublicKey::from_openssh(&format!("ssh-ed25519 {base64}")).unwrap()
    }

    fn known(text: &str, name: &str) -> Known {
        let mut known = Known {
            name: name.to_owned(),
            entries: Vec::new(),
        };
        known.add_text(text, "hosts".into());
        known
    }

    #[test]
    fn names_are_those_of_openssh() {
        assert_eq!(name("Node1.Example", 22), "node1.example");
        assert_eq!(name("10.0.0.5", 2022), "[10.0.0.5]:2022");
        assert_eq!(name("FD00::5", 22), "fd00::5");
    }

    #[test]
    fn patterns_are_read_as_openssh_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hosts");
        let cases = [
            ("node1", "node1"),
            ("node1,10.0.0.5", "10.0.0.5"),
            ("*.example", "node1.example"),
            ("*.example,!node1.example", "node1.example"),
            ("!node2,node?", "node1"),
            ("NODE1", "node1"),
            ("node1", "node11"),
            ("[node1]:2022", "[node1]:2022"),
            ("node1", "[node1]:2022"),
            ("[node1]:2022", "node1"),
            ("*", "[node1]:2022"),
            ("fd00::*", "fd00::5"),
        ];
        for (patterns, name) in cases {
            let text = format!("{patterns} ssh-ed25519 {A}\n");
            fs::write(&file, &text).unwrap();
            let openssh = std::process::Command::new("ssh-keygen")
                .args(["-F", name, "-f"])
                .arg(&file)
                .output();
            let found = known(&text, name).find(&key(A)) == Finding::Same;
            assert_eq!(
                found,
                openssh.unwrap().status.success(),
                "{patterns} {name}"
            );
        }
    }

    #[test]
    fn lines_are_read_with_all_that_may_stand_in_them() {
        let text = format!(
            "# a remark\n\n   \nnode1 broken\nnode1\tssh-ed25519\t{A}  a remark # here\n@unknown node1 ssh-ed25519 {B}\n"
        );
        assert_eq!(known(&text, "node1").find(&key(A)), Finding::Same);
        let Finding::Other(others) = known(&text, "node1").find(&key(B)) else {
            panic!()
        };
        insta::assert_snapshot!(others, @"ssh-ed25519 SHA256:T7SvZ2cslqpPj6nKzitCBHHlpVF3r3MvLwmFL0fk0IE (hosts:5)");
    }

    #[test]
    fn a_kind_that_is_not_supported_still_makes_a_host_known() {
        let text = "node1 ssh-dss AAAAB3NzaC1kc3MAAAAB";
        assert_eq!(
            known(text, "node1").find(&key(A)),
            Finding::Other("ssh-dss (hosts:1)".to_owned())
        );
    }

    #[test]
    fn a_key_beats_an_authority_and_a_revocation_beats_both() {
        let (plain, ca) = (
            format!("node1 ssh-ed25519 {A}\n"),
            format!("@cert-authority * ssh-ed25519 {B}\n"),
        );
        assert_eq!(
            known(&ca, "node1").find(&key(A)),
            Finding::Authority("hosts:1".to_owned())
        );
        let both = format!("{ca}{plain}");
        assert_eq!(known(&both, "node1").find(&key(A)), Finding::Same);
        let all = format!("{both}@revoked * ssh-ed25519 {A}\n");
        assert_eq!(
            known(&all, "node1").find(&key(A)),
            Finding::Revoked("hosts:3".to_owned())
        );
    }

    proptest! {
        #[test]
        fn no_file_makes_it_stumble(text in "(@[a-z-]{0,12} )?[a-z1*?!|=,\\[\\]:]{0,24} [a-z0-9-]{0,12} [A-Za-z0-9+/=]{0,40}") {
            let _ = known(&text, "node1").find(&key(A));
        }
    }
}
