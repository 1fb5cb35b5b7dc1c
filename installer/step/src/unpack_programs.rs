use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use artifact::Sha256;
use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, State, Step, StepError};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256 as Hasher};

use crate::RemoveLocal;

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
        tokio::task::spawn_blocking(move || {
            unpack(&archive, &programs, |bytes| progress.add(bytes))
                .map_err(|error| StepError::new(format!("cannot unpack {archive}: {error}")))
        })
        .await
        .map_err(|error| StepError::new(format!("unpacking was cut off: {error}")))?
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

fn unpack(archive: &Utf8Path, programs: &[PackedProgram], moved: impl Fn(u64)) -> io::Result<()> {
    let mut wanted: BTreeMap<&str, &PackedProgram> = programs
        .iter()
        .map(|program| (plain(&program.member), program))
        .collect();
    let mut tar = tar::Archive::new(MultiGzDecoder::new(File::open(archive)?));
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let member = plain(&path);
        if let Some(program) = wanted.remove(member) {
            place(&mut entry, program, &moved)?;
        }
    }
    match wanted.keys().next() {
        Some(member) => Err(io::Error::other(format!("it holds no {member}"))),
        None => Ok(()),
    }
}

/// A member's path as it is meant; tar may write `./` before it.
fn plain(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path)
}

fn place(from: &mut impl Read, program: &PackedProgram, moved: &impl Fn(u64)) -> io::Result<()> {
    let parent = program
        .to
        .parent()
        .ok_or_else(|| io::Error::other("a program needs a directory"))?;
    std::fs::create_dir_all(parent)?;
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 1 << 16]);
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        file.write_all(&buffer[..read])?;
        moved(read as u64);
    }
    let found = Sha256::from(hasher);
    if found != program.sha256 {
        return Err(io::Error::other(format!(
            "{} has SHA-256 {found}, bundle.json says {}",
            program.member, program.sha256
        )));
    }
    file.as_file().sync_all()?;
    file.persist(&program.to)?;
    Ok(())
}
