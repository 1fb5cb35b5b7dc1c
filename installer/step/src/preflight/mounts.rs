//! Disks and shares that must be there before anything is put on them.

use camino::Utf8PathBuf;
use engine::{Cx, StepError};
use host::Command;

use super::{Finding, Requirements};
use crate::shell::ask;

/// A directory on which a disk or a share is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    pub path: Utf8PathBuf,
    /// What lies there.
    pub of: &'static str,
    /// The key of the config that names it.
    pub key: &'static str,
}

pub(super) async fn find_bare(cx: &Cx, wanted: &Requirements) -> Result<Vec<Finding>, StepError> {
    if wanted.mounts.is_empty() {
        return Ok(Vec::new());
    }
    let tests = wanted.mounts.iter().map(|Mounted { path, .. }| {
        let path = host::quote(path.as_str());
        format!(
            "if ! mountpoint -q {path}; then echo bare {path}\n\
             elif ! [ -w {path} ]; then echo closed {path}; fi"
        )
    });
    let tests: Vec<String> = tests.collect();
    let script = Command::script(format!("{}\ntrue", tests.join("\n")));
    let answer = ask(cx, script).await?.text();
    let is = |word: &str, path: &Utf8PathBuf| {
        let line = format!("{word} {path}");
        answer.lines().any(|told| told == line)
    };
    let findings = wanted.mounts.iter().filter_map(|Mounted { path, of, key }| {
        if is("bare", path) {
            return Some(Finding::new(
                format!("nothing is mounted at {path}, and {of} is to lie there"),
                format!("mount it, with a line in /etc/fstab so that it comes at boot, or correct {key}"),
            ));
        }
        is("closed", path).then(|| {
            Finding::new(
                format!("what is mounted at {path} cannot be written to, and {of} is to lie there"),
                "mount it without ro; a share of NFS must let root write (no_root_squash)",
            )
        })
    });
    Ok(findings.collect())
}
