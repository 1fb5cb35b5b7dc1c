//! Which files a delta leaves out, and where the receiver finds them. Both sides go by one rule: a file may be had from
//! another place of the tree only if the new bundle leaves that place as it is, so that a run that is killed finds it
//! there again.

use std::collections::{HashMap, HashSet};

use camino::{Utf8Path, Utf8PathBuf};

use crate::bundle::carriage::{Carriage, Carried, Carry};
use crate::bundle::stream::{IMAGE_BLOBS, IMAGE_DOCUMENTS};
use crate::{Base, Contents, Sha256};

/// The places of a tree that a bundle takes.
pub(super) struct Places<'a> {
    files: HashMap<&'a Utf8Path, Sha256>,
    folders: HashSet<&'a Utf8Path>,
}

impl<'a> Places<'a> {
    pub(super) fn of(contents: &'a Contents) -> Self {
        let files = contents.files.iter();
        let paths = contents.files.iter().map(|file| file.path.as_path());
        Self {
            files: files
                .map(|file| (file.path.as_path(), file.sha256))
                .collect(),
            folders: paths.flat_map(|path| path.ancestors().skip(1)).collect(),
        }
    }

    /// Whether what lies there with this digest still does while the bundle is unpacked, and until it is complete.
    pub(super) fn leave(&self, path: &Utf8Path, sha256: Sha256) -> bool {
        match self.files.get(path) {
            Some(listed) => *listed == sha256,
            None => {
                !self.folders.contains(path)
                    && !path.ancestors().any(|above| self.files.contains_key(above))
            }
        }
    }
}

/// What a delta carries for whoever has this.
pub(super) fn carry(contents: &Contents, digest: Sha256, base: &Base) -> Carry {
    let places = Places::of(contents);
    let held: HashSet<Sha256> = base
        .held()
        .iter()
        .filter(|held| places.leave(&held.path, held.sha256))
        .map(|held| held.sha256)
        .collect();
    let always = describing(contents);
    let files = contents.files.iter().enumerate();
    let wanted = files
        .filter(|(_, file)| always.contains(file.path.as_path()) || !held.contains(&file.sha256));
    Carry {
        contents: digest,
        carriage: Carriage::Delta {
            base: vec![base.digest()],
        },
        members: wanted
            .map(|(index, _)| Carried { index, patch: None })
            .collect(),
    }
}

/// What is read of a bundle before it is unpacked: configs, and the documents of images. Every delta carries them.
fn describing(contents: &Contents) -> HashSet<&Utf8Path> {
    let configs = contents.configs.iter().map(|config| &config.path);
    let of_releases = contents.releases.iter();
    let of_releases = of_releases.filter_map(|release| release.config.as_ref());
    let named = configs.chain(of_releases).map(Utf8PathBuf::as_path);
    let digests: HashSet<Sha256> = contents
        .images
        .iter()
        .flat_map(|image| {
            let platforms = image.platforms.iter().map(|platform| platform.digest);
            platforms.chain([image.digest, image.upstream])
        })
        .collect();
    let files = contents.files.iter().map(|file| file.path.as_path());
    let documents = files.filter(|path| {
        let blob = path.as_str().strip_prefix(IMAGE_BLOBS);
        let digest = blob.and_then(|name| name.parse().ok());
        IMAGE_DOCUMENTS.contains(&path.as_str())
            || digest.is_some_and(|digest| digests.contains(&digest))
    });
    named.chain(documents).collect()
}
