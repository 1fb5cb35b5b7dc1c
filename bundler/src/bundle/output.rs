//! Where a bundle goes, judged before anything is fetched: hours of work must not end at a name that cannot be written,
//! nor take away what lies there.

use std::fs;
use std::io::Read;

use artifact::Bundle;
use camino::{Utf8Path, Utf8PathBuf};
use cluster::Arch;
use rustix::fs::Access;

use super::Request;
use crate::inspect::{HEAD, arch_of};

/// Why nothing can be written where it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    #[error("{path} has no name for a file")]
    NoName { path: Utf8PathBuf },
    #[error("there is no directory {dir} for the bundle")]
    NoDirectory { dir: Utf8PathBuf },
    #[error("cannot write into {dir}: {cause}")]
    NotWritable { dir: Utf8PathBuf, cause: String },
    #[error("the bundle cannot be {path}: that is the lock file")]
    Lock { path: Utf8PathBuf },
    #[error("the bundle cannot be {path}: {dir} is kubexm's own")]
    InTree { path: Utf8PathBuf, dir: Utf8PathBuf },
    #[error("cannot make {path}: {cause}")]
    WorkDir { path: Utf8PathBuf, cause: String },
    #[error("the bundle cannot be {path}: kubexm itself is written there, beside the bundle")]
    Beside { path: Utf8PathBuf },
    #[error("the bundle cannot be {path}: that is what it shall be a delta against")]
    Since { path: Utf8PathBuf },
    #[error("{path} is there, and is no bundle")]
    NoBundle { path: Utf8PathBuf },
    #[error("{path} is there, and is no file")]
    NoFile { path: Utf8PathBuf },
    #[error("{path}, which travels along, is no program for {arch}")]
    Program { path: Utf8PathBuf, arch: Arch },
}

impl OutputError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoDirectory { dir } => return Some(format!("make it first: mkdir -p {dir}")),
            Self::NoBundle { path } => {
                return Some(format!("name another file with -o, or remove {path}"));
            }
            Self::WorkDir { .. } => "choose a place where you may write with --work-dir",
            Self::Program { .. } => "put the kubexm of that architecture there, or remove it",
            _ => "name another file with -o",
        };
        Some(hint.to_owned())
    }
}

/// Fails where the bundle, or what is written beside it, cannot go or would take something away.
pub(super) fn check(request: &Request) -> Result<(), OutputError> {
    let out = &request.out;
    let path = || out.clone();
    let Some(name) = out.file_name() else {
        return Err(OutputError::NoName { path: path() });
    };
    let dir = directory_of(out);
    if !dir.is_dir() {
        return Err(OutputError::NoDirectory {
            dir: dir.to_owned(),
        });
    }
    rustix::fs::access(dir.as_std_path(), Access::WRITE_OK | Access::EXEC_OK).map_err(|e| {
        OutputError::NotWritable {
            dir: dir.to_owned(),
            cause: std::io::Error::from(e).to_string(),
        }
    })?;
    let here = real(dir);
    if request.lock.file_name() == Some(name) && real(directory_of(&request.lock)) == here {
        return Err(OutputError::Lock { path: path() });
    }
    if let Some(since) = &request.since
        && since.path.file_name() == Some(name)
        && real(directory_of(&since.path)) == here
    {
        return Err(OutputError::Since { path: path() });
    }
    let tree = request.work_dir.tree(request.cluster.name());
    let own = directory_of(tree.root());
    if here.starts_with(real(own)) {
        return Err(OutputError::InTree {
            path: path(),
            dir: own.to_owned(),
        });
    }
    for beside in beside(request) {
        if beside.file_name() == Some(name) {
            return Err(OutputError::Beside { path: path() });
        }
        if beside.exists() && !beside.is_file() {
            return Err(OutputError::NoFile { path: beside });
        }
    }
    match fs::metadata(out) {
        Ok(meta) if !meta.is_file() => return Err(OutputError::NoFile { path: path() }),
        Ok(_) if Bundle::open(out).is_err() => return Err(OutputError::NoBundle { path: path() }),
        _ => {}
    }
    programs(request)
}

/// `kubexm` for this machine's architecture, which is first; `kubexm-<arch>` for others.
pub(super) fn beside(request: &Request) -> Vec<Utf8PathBuf> {
    let dir = directory_of(&request.out);
    let name = |(place, arch): (usize, Arch)| match place {
        0 => "kubexm".to_owned(),
        _ => format!("kubexm-{arch}"),
    };
    let arches = request.kubexm.iter().map(|kubexm| kubexm.arch).enumerate();
    arches.map(name).map(|name| dir.join(name)).collect()
}

pub(super) fn directory_of(file: &Utf8Path) -> &Utf8Path {
    file.parent()
        .filter(|dir| !dir.as_str().is_empty())
        .unwrap_or(Utf8Path::new("."))
}

/// Fails where a kubexm that travels along is no program for the machines that it is for.
pub(super) fn programs(request: &Request) -> Result<(), OutputError> {
    for kubexm in &request.kubexm {
        let mut head = Vec::new();
        let read = fs::File::open(&kubexm.path).and_then(|f| f.take(HEAD).read_to_end(&mut head));
        if read.is_err() || arch_of(&head).as_deref() != Some(kubexm.arch.go()) {
            return Err(OutputError::Program {
                path: kubexm.path.clone(),
                arch: kubexm.arch,
            });
        }
    }
    Ok(())
}

/// Without links, as far as it is there.
fn real(dir: &Utf8Path) -> Utf8PathBuf {
    dir.canonicalize_utf8().unwrap_or_else(|_| dir.to_owned())
}
