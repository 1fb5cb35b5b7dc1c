//! Which files `bundle.json` may list: what both halves hold it to before they touch a byte of it.

use std::collections::HashSet;
use std::fmt;

use crate::FileEntry;
use crate::bundle::fault::shown;
use crate::bundle::stream::{CARRIAGE, CONTENTS, SIGNATURE};
use crate::text::unprintable;

/// Names at the top of a tree that no file of a bundle has: the bundle's own, and what is made at the site. Keys are made
/// there, and never travel.
const RESERVED: [&str; 9] = [
    CONTENTS, CARRIAGE, SIGNATURE, "applied", "certs", "hosts", "receipts", "state", "store",
];
/// Modes of files: plain ones, and those that are run.
const MODES: [u32; 2] = [0o644, 0o755];
const PATH_MAX: usize = 1024;
/// Leaves room for [`temporary_name`] within the 255 bytes that file systems allow.
const NAME_MAX: usize = 255 - ".".len() - PART.len();
const PART: &str = ".part";

/// `bundle.json` lists a file that no bundle may hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bundle.json lists {}: {why}", shown(.path))]
pub struct ListingError {
    pub path: String,
    pub why: Unlistable,
}

/// Why a file cannot be in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlistable {
    NotPlain,
    Unprintable,
    TooLong,
    Reserved,
    Repeated,
    OutOfOrder,
    InsideFile {
        file: String,
    },
    /// As somebody sees it who unpacks the bundle where upper and lower case are one.
    SameInLowerCase,
    Program {
        name: String,
    },
    /// Two programs are one member of the archive: only one of them could be taken out.
    MemberTwice {
        member: String,
    },
    Mode(u32),
    TooLarge,
}

impl fmt::Display for Unlistable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPlain => {
                f.write_str("not a plain relative path (no '..', '.', '//' or leading '/')")
            }
            Self::Unprintable => f.write_str("the path has characters that are not to be seen"),
            Self::TooLong => write!(
                f,
                "the path is too long ({PATH_MAX} bytes at most, {NAME_MAX} for each name in it)"
            ),
            Self::Reserved => f.write_str("the name is reserved"),
            Self::Repeated => f.write_str("listed twice"),
            Self::OutOfOrder => f.write_str("the list is not sorted by path"),
            Self::InsideFile { file } => write!(f, "{} is a file and no directory", shown(file)),
            Self::SameInLowerCase => {
                f.write_str("another file has this name but for upper and lower case")
            }
            Self::Program { name } => write!(f, "{} is no name for a program of it", shown(name)),
            Self::MemberTwice { member } => {
                write!(f, "{} in it is two programs", shown(member))
            }
            Self::Mode(mode) => write!(f, "mode {mode:04o} is neither 0644 nor 0755"),
            Self::TooLarge => f.write_str("the sizes add up to more than a file can hold"),
        }
    }
}

/// The name under which a file is written until its content is known to be right.
pub(crate) fn temporary_name(name: &str) -> String {
    format!(".{name}{PART}")
}

pub(crate) fn check(files: &[FileEntry]) -> Result<(), ListingError> {
    let mut total: u64 = 0;
    for (index, file) in files.iter().enumerate() {
        let refuse = |why| {
            Err(ListingError {
                path: file.path.to_string(),
                why,
            })
        };
        // They become names of files as well, on every machine.
        let mut programs = file.programs.iter().map(|program| &program.name);
        if let Some(name) = programs.find(|name| name.contains('/') || unfit(name).is_some()) {
            return refuse(Unlistable::Program { name: name.clone() });
        }
        let members = file.programs.iter().filter_map(|it| it.member.as_ref());
        let mut seen = HashSet::new();
        if let Some(member) = members.into_iter().find(|member| !seen.insert(*member)) {
            return refuse(Unlistable::MemberTwice {
                member: member.clone(),
            });
        }
        let path = file.path.as_str();
        if let Some(why) = path_fault(path) {
            return refuse(why);
        }
        if !MODES.contains(&file.mode) {
            return refuse(Unlistable::Mode(file.mode));
        }
        if let Some(before) = index.checked_sub(1).map(|i| files[i].path.as_str()) {
            match before.split('/').cmp(path.split('/')) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return refuse(Unlistable::Repeated),
                std::cmp::Ordering::Greater => return refuse(Unlistable::OutOfOrder),
            }
            // Sorted by components, the contents of a "directory" follow right after the file of that name.
            if path
                .strip_prefix(before)
                .is_some_and(|rest| rest.starts_with('/'))
            {
                return refuse(Unlistable::InsideFile {
                    file: before.to_owned(),
                });
            }
        }
        total = match total.checked_add(file.size) {
            Some(sum) if sum < u64::MAX / 4 => sum,
            _ => return refuse(Unlistable::TooLarge),
        };
    }
    match same_in_lower_case(files) {
        Some(file) => Err(ListingError {
            path: file.path.to_string(),
            why: Unlistable::SameInLowerCase,
        }),
        None => Ok(()),
    }
}

/// A file whose path is that of another where upper and lower case are one, or lies below another file there.
fn same_in_lower_case(files: &[FileEntry]) -> Option<&FileEntry> {
    let mut folded: Vec<(String, &FileEntry)> = files
        .iter()
        .map(|file| (file.path.as_str().to_lowercase(), file))
        .collect();
    folded.sort_unstable_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
    let clash = folded.windows(2).find(|pair| {
        let below = pair[1].0.strip_prefix(pair[0].0.as_str());
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    clash.map(|pair| pair[1].1)
}

fn path_fault(path: &str) -> Option<Unlistable> {
    let top = path.split('/').next().unwrap_or(path);
    let reserved = RESERVED.contains(&top.to_lowercase().as_str()) || top.starts_with('.');
    unfit(path).or(reserved.then_some(Unlistable::Reserved))
}

/// Why this cannot be the path of a file, or its name, on any machine.
fn unfit(path: &str) -> Option<Unlistable> {
    if path.chars().any(unprintable) {
        return Some(Unlistable::Unprintable);
    }
    if path.split('/').any(|name| matches!(name, "" | "." | "..")) {
        return Some(Unlistable::NotPlain);
    }
    if path.len() > PATH_MAX || path.split('/').any(|name| name.len() > NAME_MAX) {
        return Some(Unlistable::TooLong);
    }
    let temporary = |name: &str| name.starts_with('.') && name.ends_with(PART);
    path.split('/')
        .any(temporary)
        .then_some(Unlistable::Reserved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Program, Sha256};

    fn files(paths: &[&str]) -> Vec<FileEntry> {
        paths
            .iter()
            .map(|path| FileEntry::new(*path, 1, 0o644, Sha256::of(b"")))
            .collect()
    }

    fn refusal(paths: &[&str]) -> String {
        check(&files(paths)).unwrap_err().to_string()
    }

    #[test]
    fn what_a_bundle_holds_is_listed_once_sorted_and_below_the_tree() {
        assert_eq!(check(&files(&["a", "b/c", "b/d", "b-e"])), Ok(()));
        insta::assert_snapshot!([
            refusal(&["/etc/passwd"]),
            refusal(&["a/../../b"]),
            refusal(&["a//b"]),
            refusal(&["./a"]),
            refusal(&[""]),
            refusal(&["a\u{1b}[2J"]),
            refusal(&["certs/etcd/ca.key"]),
            refusal(&["bundle.json"]),
            refusal(&[".bundle.json.before"]),
            refusal(&["carry.json"]),
            refusal(&["State/x"]),
            refusal(&["a\u{202e}b"]),
            refusal(&["A", "a"]),
            refusal(&["A", "a/b"]),
            refusal(&["A/b", "a"]),
            refusal(&["a/.b.part"]),
            refusal(&["a", "a"]),
            refusal(&["b", "a"]),
            refusal(&["a", "a/b"]),
            refusal(&[&"n".repeat(250)]).replace(&"n".repeat(250), "<250 letters>"),
        ].join("\n"), @r#"
        bundle.json lists "/etc/passwd": not a plain relative path (no '..', '.', '//' or leading '/')
        bundle.json lists "a/../../b": not a plain relative path (no '..', '.', '//' or leading '/')
        bundle.json lists "a//b": not a plain relative path (no '..', '.', '//' or leading '/')
        bundle.json lists "./a": not a plain relative path (no '..', '.', '//' or leading '/')
        bundle.json lists "": not a plain relative path (no '..', '.', '//' or leading '/')
        bundle.json lists "a\u{1b}[2J": the path has characters that are not to be seen
        bundle.json lists "certs/etcd/ca.key": the name is reserved
        bundle.json lists "bundle.json": the name is reserved
        bundle.json lists ".bundle.json.before": the name is reserved
        bundle.json lists "carry.json": the name is reserved
        bundle.json lists "State/x": the name is reserved
        bundle.json lists "a\u{202e}b": the path has characters that are not to be seen
        bundle.json lists "a": another file has this name but for upper and lower case
        bundle.json lists "a/b": another file has this name but for upper and lower case
        bundle.json lists "A/b": another file has this name but for upper and lower case
        bundle.json lists "a/.b.part": the name is reserved
        bundle.json lists "a": listed twice
        bundle.json lists "a": the list is not sorted by path
        bundle.json lists "a/b": "a" is a file and no directory
        bundle.json lists "<250 letters>": the path is too long (1024 bytes at most, 249 for each name in it)
        "#);
    }

    #[test]
    fn a_program_has_a_plain_name() {
        for name in ["../../ssh", "/root/.profile", "a/b", "", "..", ".x.part"] {
            let mut listed = files(&["etcd.tar.gz"]);
            listed[0].programs.push(Program {
                name: name.to_owned(),
                member: Some("etcd".to_owned()),
                size: 1,
                sha256: Sha256::of(b""),
            });
            let said = check(&listed).unwrap_err().to_string();
            assert_eq!(
                said,
                format!(
                    "bundle.json lists \"etcd.tar.gz\": {name:?} is no name for a program of it"
                )
            );
        }
    }

    #[test]
    fn a_member_of_an_archive_is_one_program() {
        let program = |name: &str| Program {
            name: name.to_owned(),
            member: Some("bin/etcd".to_owned()),
            size: 1,
            sha256: Sha256::of(b""),
        };
        let mut listed = files(&["etcd.tar.gz"]);
        listed[0].programs = vec![program("etcd"), program("etcdctl")];
        insta::assert_snapshot!(check(&listed).unwrap_err(), @r#"bundle.json lists "etcd.tar.gz": "bin/etcd" in it is two programs"#);
    }

    #[test]
    fn modes_are_two_and_sizes_stay_countable() {
        let mut listed = files(&["a", "b"]);
        for mode in [0o4755, 0o777, 0o666, 0o600, 0] {
            listed[1].mode = mode;
            let refused = check(&listed).unwrap_err().to_string();
            let said = format!("bundle.json lists \"b\": mode {mode:04o} is neither 0644 nor 0755");
            assert_eq!(refused, said);
        }
        listed[1].mode = 0o755;
        listed[1].size = u64::MAX;
        insta::assert_snapshot!(check(&listed).unwrap_err(), @r#"bundle.json lists "b": the sizes add up to more than a file can hold"#);
    }
}
