use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use artifact::{Members, Sha256};
use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, State, Step, StepError};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256 as Hasher};

use crate::RemoveLocal;
use crate::image::layout::{blob_path, read_image};
use crate::local_file::{self, blocking};

/// Takes programs out of an image of the tree, on the operator's machine: for what has to be done where no container of
/// the image can run.
pub struct UnpackImagePrograms {
    /// The tree's layout.
    pub layout: Utf8PathBuf,
    pub reference: String,
    /// The manifest of one platform.
    pub digest: Sha256,
    /// By their names, wherever in the image they are.
    pub programs: Vec<&'static str>,
    /// Named after the digest.
    pub to: Utf8PathBuf,
}

/// Where images of upstreams have their programs.
const PLACES: [&str; 4] = ["usr/local/bin/", "usr/bin/", "bin/", ""];

impl UnpackImagePrograms {
    fn lacking(&self) -> Vec<&'static str> {
        let lacking = |name: &&&str| !self.to.join(**name).exists();
        self.programs.iter().filter(lacking).copied().collect()
    }
}

#[async_trait]
impl Step for UnpackImagePrograms {
    fn id(&self) -> String {
        format!("unpack {}", self.to.file_name().unwrap_or_default())
    }

    fn describe(&self) -> String {
        format!("unpack {} of {}", self.programs.join(", "), self.reference)
    }

    fn inputs(&self) -> String {
        format!("{} {:?}", self.digest, self.programs)
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let lacking = self.lacking();
        Ok(if lacking.is_empty() {
            State::Satisfied
        } else {
            State::needed(format!("{} not unpacked yet", lacking.join(", ")))
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let lacking = self.lacking();
        let (layout, reference, to) =
            (self.layout.clone(), self.reference.clone(), self.to.clone());
        let digest = self.digest;
        blocking(move || unpack(&layout, &reference, digest, &lacking, &to)).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        let title = format!("remove what was unpacked of {}", self.reference);
        Some(RemoveLocal::step(title, [self.to.clone()]))
    }
}

fn unpack(
    layout: &Utf8Path,
    reference: &str,
    digest: Sha256,
    programs: &[&str],
    to: &Utf8Path,
) -> Result<(), StepError> {
    let image = read_image(layout, reference, digest)?;
    let mut left: Vec<&str> = programs.to_vec();
    // The last layer has the last word.
    for blob in image.blobs.iter().rev() {
        if left.is_empty() {
            break;
        }
        let path = blob_path(layout, blob.digest);
        let unreadable =
            |why: io::Error| StepError::new(format!("{reference}: cannot read {path}: {why}"));
        insist(&path, blob.digest)?;
        let mut file = BufReader::new(File::open(&path).map_err(unreadable)?);
        let mut magic = [0; 4];
        if file.read(&mut magic).map_err(unreadable)? < magic.len() || magic[0] == b'{' {
            continue;
        }
        let file = BufReader::new(File::open(&path).map_err(unreadable)?);
        let layer: Box<dyn Read> = match magic {
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(file)),
            [0x28, 0xb5, 0x2f, 0xfd] => {
                return Err(StepError::new(format!(
                    "{reference}: {path} is packed with zstd, which is not read here"
                )));
            }
            _ => Box::new(file),
        };
        let mut tar = tar::Archive::new(layer);
        for member in Members::of(&mut tar).map_err(unreadable)? {
            let mut member = member.map_err(unreadable)?;
            let name = member.name.trim_start_matches("./").trim_start_matches('/');
            let found = left.iter().position(|program| {
                PLACES
                    .iter()
                    .any(|place| name.strip_prefix(place) == Some(program))
            });
            let Some(at) = found.filter(|_| member.irregular().is_none()) else {
                continue;
            };
            let program = left.remove(at);
            local_file::write_with(&to.join(program), 0o755, |file| {
                io::copy(&mut member.entry, file).map(drop)
            })?;
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(StepError::new(format!(
        "the image {reference} holds no {}",
        left.join(", ")
    )))
}

/// A layer's bytes are what its name says.
fn insist(path: &Utf8Path, digest: Sha256) -> Result<(), StepError> {
    let unreadable = |why: io::Error| StepError::new(format!("cannot read {path}: {why}"));
    let mut hasher = Hasher::new();
    let mut file = File::open(path).map_err(unreadable)?;
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).map_err(unreadable)? {
            0 => break,
            length => hasher.update(&piece[..length]),
        }
    }
    if Sha256::new(hasher.finalize().into()) == digest {
        return Ok(());
    }
    Err(StepError::new(format!(
        "{path} is damaged: its content has another SHA-256"
    ))
    .with_hint("remove that file and run kubexm install with the bundle again"))
}
