use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use artifact::{Members, Sha256};
use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, State, Step, StepError};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256 as Hasher};

use crate::RemoveLocal;
use crate::local_file::{self, FileError, blocking};

/// A program inside an archive of the tree, and where it is unpacked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedProgram {
    pub member: String,
    /// Named after the digest, so that a file which is there is the right one.
    pub to: Utf8PathBuf,
    pub size: u64,
    pub sha256: Sha256,
}

/// Takes the programs out of an archive of the tree, once, on the operator's machine, so that every upload streams
/// what the host will run. Each is compared with the digest in `bundle.json` before it gets its name.
pub struct UnpackPrograms {
    pub what: String,
    pub archive: Utf8PathBuf,
    pub programs: Vec<PackedProgram>,
}

#[async_trait]
impl Step for UnpackPrograms {
    fn id(&self) -> String {
        // Archives of two architectures may have one name; their directories have not.
        let dir = self.archive.parent().and_then(Utf8Path::file_name);
        let name = self.archive.file_name().unwrap_or_default();
        format!("unpack {}/{name}", dir.unwrap_or_default())
    }

    fn describe(&self) -> String {
        format!("unpack {}", self.what)
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.programs)
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.programs.iter().map(|program| program.size).sum())
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let is_there = |program: &PackedProgram| {
            std::fs::metadata(&program.to).is_ok_and(|found| found.len() == program.size)
        };
        Ok(if self.programs.iter().all(is_there) {
            State::Satisfied
        } else {
            State::needed("is not unpacked yet")
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let (archive, programs, progress) = (
            self.archive.clone(),
            self.programs.clone(),
            cx.progress.clone(),
        );
        blocking(move || unpack(&archive, &programs, |bytes| progress.add(bytes))).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        let directories = self
            .programs
            .iter()
            .filter_map(|program| program.to.parent());
        Some(RemoveLocal::step(
            format!("remove what was unpacked of {}", self.what),
            directories.map(Utf8Path::to_owned),
        ))
    }
}

fn unpack(
    archive: &Utf8Path,
    programs: &[PackedProgram],
    moved: impl Fn(u64),
) -> Result<(), StepError> {
    let unreadable = |why: io::Error| StepError::new(format!("cannot unpack {archive}: {why}"));
    let mut wanted: BTreeMap<&str, &PackedProgram> = BTreeMap::new();
    for program in programs {
        if wanted.insert(plain(&program.member), program).is_some() {
            return Err(StepError::new(format!(
                "cannot unpack {archive}: bundle.json takes two programs from its member {:?}",
                program.member
            )));
        }
    }
    let file = File::open(archive).map_err(unreadable)?;
    let mut tar = tar::Archive::new(MultiGzDecoder::new(file));
    for member in Members::of(&mut tar).map_err(unreadable)? {
        let mut member = member.map_err(unreadable)?;
        let Some(program) = wanted.remove(plain(&member.name)) else {
            continue;
        };
        if let Some(kind) = member.irregular() {
            let why = format!("its member {:?} is {kind} and no program", program.member);
            return Err(unreadable(io::Error::other(why)));
        }
        place(&mut member.entry, program, &moved)?;
        if wanted.is_empty() {
            // What else it holds is nobody's.
            return Ok(());
        }
    }
    match wanted.keys().next() {
        Some(member) => Err(unreadable(io::Error::other(format!(
            "it holds no member {member:?}"
        )))),
        None => Ok(()),
    }
}

/// A member's path as it is meant; tar may write `./` before it.
fn plain(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path)
}

fn place(
    from: &mut impl Read,
    program: &PackedProgram,
    moved: &impl Fn(u64),
) -> Result<(), FileError> {
    local_file::write_with(&program.to, 0o600, |file| {
        let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 1 << 16]);
        let mut size = 0;
        // One byte more shows that there is more.
        let mut from = from.take(program.size.saturating_add(1));
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            file.write_all(&buffer[..read])?;
            size += read as u64;
            moved(read as u64);
        }
        if size != program.size {
            let more = if size > program.size { " or more" } else { "" };
            return Err(io::Error::other(format!(
                "{} has {size} bytes{more}, bundle.json says {}",
                program.member, program.size
            )));
        }
        let found = Sha256::from(hasher);
        if found == program.sha256 {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{} has SHA-256 {found}, bundle.json says {}",
            program.member, program.sha256
        )))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    struct Archive {
        dir: tempfile::TempDir,
    }

    impl Archive {
        fn with(members: &[(&str, &str)]) -> Self {
            let archive = Self {
                dir: tempfile::tempdir().unwrap(),
            };
            let file = File::create(archive.path("a.tar.gz")).unwrap();
            let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
            for (path, content) in members {
                let mut header = tar::Header::new_gnu();
                header.set_size(content.len() as u64);
                tar.append_data(&mut header, path, content.as_bytes())
                    .unwrap();
            }
            tar.into_inner().unwrap().finish().unwrap();
            archive
        }

        fn path(&self, name: &str) -> Utf8PathBuf {
            Utf8Path::from_path(self.dir.path()).unwrap().join(name)
        }

        fn program(&self, member: &str, content: &str) -> PackedProgram {
            PackedProgram {
                member: member.to_owned(),
                to: self.path("out").join(content).join("program"),
                size: content.len() as u64,
                sha256: Sha256::of(content.as_bytes()),
            }
        }

        fn unpack(&self, programs: &[PackedProgram]) -> Result<(), String> {
            unpack(&self.path("a.tar.gz"), programs, |_| ()).map_err(|error| {
                let said = error.to_string();
                said.replace(self.path("").as_str().trim_end_matches('/'), "DIR")
            })
        }
    }

    #[test]
    fn programs_come_out_of_their_archive() {
        let archive = Archive::with(&[("./etcd/etcd", "server"), ("etcd/README", "text")]);
        let program = archive.program("etcd/etcd", "server");
        archive.unpack(std::slice::from_ref(&program)).unwrap();
        assert_eq!(fs::read_to_string(&program.to).unwrap(), "server");
    }

    #[test]
    fn what_is_not_as_the_manifest_says_gets_no_name() {
        let archive = Archive::with(&[("etcd", "server and a lot more")]);
        for (content, why) in [
            ("server", "etcd has 7 bytes or more, bundle.json says 6"),
            (
                "another server, and longer",
                "etcd has 21 bytes, bundle.json says 26",
            ),
            ("server and a lot less", "etcd has SHA-256 "),
        ] {
            let program = archive.program("etcd", content);
            let said = archive.unpack(std::slice::from_ref(&program)).unwrap_err();
            assert!(said.starts_with("cannot write DIR/out/"), "{said}");
            assert!(said.contains(&format!("program: {why}")), "{said}");
            assert!(!program.to.exists());
            assert_eq!(
                fs::read_dir(program.to.parent().unwrap()).unwrap().count(),
                0
            );
        }
        let absent = archive.program("etcdctl", "client");
        assert_eq!(
            archive.unpack(&[absent]).unwrap_err(),
            "cannot unpack DIR/a.tar.gz: it holds no member \"etcdctl\""
        );
        fs::write(archive.path("a.tar.gz"), "no archive").unwrap();
        let said = archive.unpack(&[archive.program("etcd", "")]).unwrap_err();
        assert!(said.starts_with("cannot unpack DIR/a.tar.gz: "), "{said}");
    }

    #[test]
    fn a_member_is_a_program_of_one_name_and_a_regular_file() {
        let archive = Archive::with(&[("etcd", "server")]);
        let twice = ["one", "other"].map(|dir| PackedProgram {
            to: archive.path("out").join(dir).join("program"),
            ..archive.program("etcd", "server")
        });
        assert_eq!(
            archive.unpack(&twice).unwrap_err(),
            "cannot unpack DIR/a.tar.gz: bundle.json takes two programs from its member \"etcd\""
        );
        let file = File::create(archive.path("a.tar.gz")).unwrap();
        let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "etcd", "/etc/passwd").unwrap();
        tar.into_inner().unwrap().finish().unwrap();
        assert_eq!(
            archive.unpack(&[archive.program("etcd", "")]).unwrap_err(),
            "cannot unpack DIR/a.tar.gz: its member \"etcd\" is a symbolic link and no program"
        );
    }

    #[test]
    fn a_name_that_claims_gigabytes_is_not_held() {
        for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader] {
            let archive = Archive::with(&[]);
            let file = File::create(archive.path("a.tar.gz")).unwrap();
            let mut gzip = GzEncoder::new(file, Compression::fast());
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(2 << 30);
            header.set_cksum();
            gzip.write_all(header.as_bytes()).unwrap();
            gzip.finish().unwrap();
            let said = archive.unpack(&[archive.program("etcd", "")]).unwrap_err();
            assert!(said.ends_with("at most 64 KiB are read"), "{said}");
        }
    }
}
