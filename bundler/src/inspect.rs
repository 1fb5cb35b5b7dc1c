//! Looks into fetched files for the programs that they carry.

use std::fs::File;
use std::io::{BufReader, Read};

use artifact::{Members, Program, Sha256};
use camino::{Utf8Path, Utf8PathBuf};
use catalogue::{Carries, Member};
use cluster::Arch;
use flate2::read::MultiGzDecoder;

use crate::hash;

/// A fetched file that is not what its name says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    #[error("{path}: has no program {}", .members.join(", "))]
    Missing {
        path: Utf8PathBuf,
        members: Vec<String>,
    },
    #[error("{path}: {program} is a program for {found}, not for {wanted}")]
    WrongArch {
        path: Utf8PathBuf,
        program: String,
        found: String,
        wanted: Arch,
    },
    #[error("{path}: is not a gzip'd tar archive: {cause}")]
    NotAnArchive { path: Utf8PathBuf, cause: String },
    #[error("{path}: is not a manifest of Kubernetes: {cause}")]
    NotAManifest { path: Utf8PathBuf, cause: String },
    #[error("cannot read {path}: {cause}")]
    Read { path: Utf8PathBuf, cause: String },
}

impl InspectError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing { .. } => {
                "the project may have packed this version differently; choose another version"
            }
            Self::WrongArch { .. } | Self::NotAnArchive { .. } | Self::NotAManifest { .. } => {
                "upstream or a mirror serves the wrong file; look at what its address gives"
            }
            Self::Read { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether the content is at fault, so that keeping the file would only repeat the error.
    #[must_use]
    pub(crate) const fn is_content(&self) -> bool {
        !matches!(self, Self::Read { .. })
    }
}

/// A fetched file.
#[derive(Clone, Debug)]
pub(crate) struct Inspected<'a> {
    /// Where it lies.
    pub path: &'a Utf8Path,
    /// What it is called in errors.
    pub shown: &'a Utf8Path,
    pub size: u64,
    pub sha256: Sha256,
    /// None where it is for all.
    pub arch: Option<Arch>,
}

/// The programs of a file, sorted by name. Reads an archive once, as a stream.
pub(crate) fn programs(
    file: &Inspected<'_>,
    carries: &Carries,
) -> Result<Vec<Program>, InspectError> {
    match carries {
        Carries::Manifest(kind) => manifest(file, kind),
        Carries::Nothing => Ok(Vec::new()),
        Carries::Program(name) => itself(file, name).map(|program| vec![program]),
        Carries::Members(members) => inside(file, members),
    }
}

fn itself(file: &Inspected<'_>, name: &str) -> Result<Program, InspectError> {
    let mut head = Vec::new();
    File::open(file.path)
        .and_then(|opened| opened.take(HEAD).read_to_end(&mut head))
        .map_err(|e| read_error(file, &e))?;
    fits(file, name, &head)?;
    Ok(Program {
        name: name.to_owned(),
        member: None,
        size: file.size,
        sha256: file.sha256,
    })
}

/// A manifest has no program, but must be one.
fn manifest(file: &Inspected<'_>, kind: &str) -> Result<Vec<Program>, InspectError> {
    let not_one = |cause: String| InspectError::NotAManifest {
        path: file.shown.to_owned(),
        cause,
    };
    let bytes = std::fs::read(file.path).map_err(|e| read_error(file, &e))?;
    let text = String::from_utf8(bytes).map_err(|_| not_one("it is not text".to_owned()))?;
    match crate::manifest::check(&text, kind) {
        Ok(()) => Ok(Vec::new()),
        Err(error) => Err(not_one(error.to_string())),
    }
}

fn inside(file: &Inspected<'_>, members: &[Member]) -> Result<Vec<Program>, InspectError> {
    let opened = File::open(file.path).map_err(|e| read_error(file, &e))?;
    let mut archive = tar::Archive::new(MultiGzDecoder::new(BufReader::with_capacity(
        1 << 17,
        opened,
    )));
    let broken = |e: std::io::Error| InspectError::NotAnArchive {
        path: file.shown.to_owned(),
        cause: e.to_string(),
    };
    let mut found = Vec::<Program>::new();
    for member in Members::of(&mut archive).map_err(broken)? {
        let member = member.map_err(broken)?;
        if member.irregular().is_some() {
            continue;
        }
        let artifact::Member {
            name: path,
            mut entry,
        } = member;
        let executable = entry.header().mode().map_err(broken)? & 0o111 != 0;
        let wanted = members.iter().any(|member| match member {
            Member::At(_) => member.matches(&path),
            Member::AllIn(_) => executable && member.matches(&path),
        });
        if !wanted
            || found
                .iter()
                .any(|program| program.member.as_deref() == Some(&path))
        {
            continue;
        }
        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        let (size, sha256, head) = digest(&mut entry).map_err(broken)?;
        fits(file, &name, &head)?;
        found.push(Program {
            name,
            member: Some(path),
            size,
            sha256,
        });
    }
    let missing: Vec<String> = members
        .iter()
        .filter_map(|member| match member {
            Member::At(path) => Some((member, path)),
            Member::AllIn(_) => None,
        })
        .filter(|(member, _)| {
            !found
                .iter()
                .any(|p| p.member.as_deref().is_some_and(|path| member.matches(path)))
        })
        .map(|(_, path)| path.clone())
        .collect();
    if !missing.is_empty() {
        return Err(InspectError::Missing {
            path: file.shown.to_owned(),
            members: missing,
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// As much of a file as an ELF header needs.
pub(crate) const HEAD: u64 = 20;

fn digest(reader: &mut impl Read) -> std::io::Result<(u64, Sha256, Vec<u8>)> {
    let mut head = Vec::new();
    reader.take(HEAD).read_to_end(&mut head)?;
    let (size, sha256) = hash::digest(&mut head.as_slice().chain(reader))?;
    Ok((size, sha256, head))
}

/// Whether a program is for the architecture it was fetched for. A script is for all.
fn fits(file: &Inspected<'_>, program: &str, head: &[u8]) -> Result<(), InspectError> {
    match (arch_of(head), file.arch) {
        (Some(found), Some(wanted)) if found != wanted.go() => Err(InspectError::WrongArch {
            path: file.shown.to_owned(),
            program: program.to_owned(),
            found,
            wanted,
        }),
        _ => Ok(()),
    }
}

/// The architecture that an ELF header names; none where it is no such header.
pub(crate) fn arch_of(head: &[u8]) -> Option<String> {
    let [0x7f, b'E', b'L', b'F', .., low, high] = head else {
        return None;
    };
    (head.len() == 20).then(|| match u16::from_le_bytes([*low, *high]) {
        62 => "amd64".to_owned(),
        183 => "arm64".to_owned(),
        other => format!("ELF machine {other}"),
    })
}

fn read_error(file: &Inspected<'_>, error: &std::io::Error) -> InspectError {
    InspectError::Read {
        path: file.shown.to_owned(),
        cause: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{archive, elf};

    fn look(bytes: &[u8], carries: &Carries) -> Result<Vec<Program>, InspectError> {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(dir.path().join("file")).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let file = Inspected {
            path: &path,
            shown: Utf8Path::new("example/v1.0.0/amd64/example.tgz"),
            size: bytes.len() as u64,
            sha256: Sha256::of(bytes),
            arch: Some(Arch::Amd64),
        };
        programs(&file, carries)
    }

    fn members(paths: &[&str]) -> Carries {
        let all_in = |path: &str| {
            path.strip_suffix('*')
                .map(|dir| dir.trim_end_matches('/').to_owned())
        };
        Carries::Members(
            paths
                .iter()
                .map(|path| {
                    all_in(path).map_or_else(|| Member::At((*path).to_owned()), Member::AllIn)
                })
                .collect(),
        )
    }

    #[test]
    fn programs_are_found_with_their_digests_and_documents_are_not_programs() {
        let amd64 = elf(Arch::Amd64);
        let bytes = archive(&[
            ("./bin/two", 0o755, &amd64),
            ("./bin/one", 0o755, b"#!/bin/sh\n"),
            ("./bin/README.md", 0o644, b"text"),
            ("./lib/three", 0o755, b"other"),
        ]);
        let found = look(&bytes, &members(&["bin/two", "bin/*"])).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|p| (p.name.as_str(), p.member.as_deref()))
            .collect();
        assert_eq!(
            names,
            [("one", Some("./bin/one")), ("two", Some("./bin/two"))]
        );
        assert_eq!(
            (found[1].size, found[1].sha256),
            (amd64.len() as u64, Sha256::of(&amd64))
        );
    }

    #[test]
    fn a_file_that_is_not_what_it_should_be_says_what() {
        let arm64 = elf(Arch::Arm64);
        let said = |bytes: &[u8], carries: &Carries| look(bytes, carries).unwrap_err().to_string();
        insta::assert_snapshot!(
            said(&archive(&[("bin/one", 0o755, b"x")]), &members(&["bin/one", "bin/two", "bin/three"])),
            @"example/v1.0.0/amd64/example.tgz: has no program bin/two, bin/three"
        );
        insta::assert_snapshot!(
            said(&archive(&[("bin/one", 0o755, &arm64)]), &members(&["bin/*"])),
            @"example/v1.0.0/amd64/example.tgz: one is a program for arm64, not for amd64"
        );
        insta::assert_snapshot!(
            said(&arm64, &Carries::Program("one".into())),
            @"example/v1.0.0/amd64/example.tgz: one is a program for arm64, not for amd64"
        );
        insta::assert_snapshot!(
            said(b"<html>not found</html>", &members(&["bin/*"])),
            @"example/v1.0.0/amd64/example.tgz: is not a gzip'd tar archive: invalid gzip header"
        );
        let whole = archive(&[("bin/one", 0o755, &[7; 9000])]);
        assert!(matches!(
            look(&whole[..whole.len() / 2], &members(&["bin/*"])),
            Err(InspectError::NotAnArchive { .. })
        ));
    }

    #[test]
    fn what_is_no_manifest_of_the_workload_is_refused() {
        let carries = Carries::Manifest("DaemonSet".into());
        let said = |bytes: &[u8]| look(bytes, &carries).unwrap_err().to_string();
        let wrong: [&[u8]; 8] = [
            b"",
            b"# nothing but a note\n---\n",
            br#"{"error": "quota exceeded", "status": 429}"#,
            br#"{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403}"#,
            b"not found",
            b"kind: Deployment\nspec: {containers: [{image: quay.io/a/main:1}]}\n",
            b"kind: DaemonSet\nspec: {}\n",
            b"\xff\xfe",
        ];
        insta::assert_snapshot!(wrong.map(said).join("\n"), @r"
        example/v1.0.0/amd64/example.tgz: is not a manifest of Kubernetes: there is no object in it
        example/v1.0.0/amd64/example.tgz: is not a manifest of Kubernetes: there is no object in it
        example/v1.0.0/amd64/example.tgz: is not a manifest of Kubernetes: something in it is no object with a kind
        example/v1.0.0/amd64/example.tgz: is not a manifest of Kubernetes: it has no DaemonSet with an image
        example/v1.0.0/amd64/example.tgz: is not a manifest of Kubernetes: something in it is no object with a kind
        example/v1.0.0/amd64/example.tgz: is not a manifest of Kubernetes: it has no DaemonSet with an image
        example/v1.0.0/amd64/example.tgz: is not a manifest of Kubernetes: it has no DaemonSet with an image
        example/v1.0.0/amd64/example.tgz: is not a manifest of Kubernetes: it is not text
        ");
        let right = b"kind: ConfigMap\n---\nkind: DaemonSet\nspec: {containers: [{image: quay.io/a/main:1}]}\n";
        assert!(look(right, &carries).unwrap().is_empty());
        let listed = b"kind: List\nitems:\n- kind: DaemonSet\n  spec: {containers: [{image: quay.io/a/main:1}]}\n";
        assert!(look(listed, &carries).unwrap().is_empty());
    }

    #[test]
    fn a_script_in_place_of_a_program_passes() {
        let found = look(b"#!/bin/sh\nexit 0\n", &Carries::Program("kubeadm".into())).unwrap();
        assert_eq!(
            (found[0].name.as_str(), &found[0].member),
            ("kubeadm", &None)
        );
    }
}
