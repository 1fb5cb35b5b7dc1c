//! Taking single things out of a bundle: a file, or an image as a layout of its own. What is not asked for is not decoded.

mod image;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;

use crate::bundle::shown;
use crate::{Bundle, BundleError, Cancel, Carriage, Contents, FileEntry, full_reference};

/// What is taken out of the files of one bundle, and where each piece of it goes below the place that is written.
#[derive(Debug)]
pub struct Extract<'a> {
    bundles: &'a [Bundle],
    /// Where it is, and is written to.
    files: Vec<(&'a FileEntry, Utf8PathBuf)>,
    /// What is in no bundle in this form.
    documents: Vec<(&'static str, Vec<u8>)>,
    shape: Shape,
}

/// What comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    File { name: String },
    Folder { name: String },
}

/// Why something cannot be taken out. Nothing is at its place then.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("{path} holds neither a file nor an image {}", shown(.name))]
    Unknown {
        path: Utf8PathBuf,
        name: String,
        near: Vec<String>,
    },
    #[error("{} is not in {path}: {why}", shown(.file))]
    Elsewhere {
        path: Utf8PathBuf,
        file: String,
        why: String,
        segment: Option<usize>,
    },
    #[error("image {} cannot be taken out of {path}: {why}", shown(.reference))]
    Image {
        path: Utf8PathBuf,
        reference: String,
        why: String,
    },
    #[error("{0} is there already")]
    There(Utf8PathBuf),
    #[error("cannot write {path}: {source}")]
    Write {
        path: Utf8PathBuf,
        source: io::Error,
    },
}

impl ExtractError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Bundle(error) => error.hint(),
            Self::Unknown { near, path, .. } if near.is_empty() => {
                Some(format!("kubexm inspect {path} --tree tells what there is"))
            }
            Self::Unknown { near, .. } => Some(format!("there is {}", near.join(", "))),
            Self::Elsewhere {
                segment: Some(n), ..
            } => Some(format!(
                "give segment {n} of the set, or the directory that holds all of them"
            )),
            Self::Elsewhere { .. } => {
                Some("take it out of the whole bundle, or unpack the delta in the site".to_owned())
            }
            Self::Image { .. } => Some("kubexm verify tells what else is wrong".to_owned()),
            Self::There(_) => Some("nothing is replaced: name another place with -o".to_owned()),
            Self::Write { .. } => None,
        }
    }
}

impl<'a> Extract<'a> {
    /// Finds a file by its path, or an image by its reference, in the files of one bundle. Only the documents of an image are
    /// read for it.
    pub fn find(bundles: &'a [Bundle], name: &str, cancel: &Cancel) -> Result<Self, ExtractError> {
        let Some(first) = bundles.first() else {
            return Err(unknown("".into(), None, name));
        };
        let contents = first.contents();
        if let Some(file) = contents.file(name.into()) {
            let shape = Shape::File {
                name: file.path.file_name().unwrap_or_default().to_owned(),
            };
            let found = Self {
                bundles,
                files: vec![(file, Utf8PathBuf::new())],
                documents: Vec::new(),
                shape,
            };
            return found.here();
        }
        let reference = full_reference(name);
        let mut images = contents.images.iter();
        let image = images.find(|image| image.reference == name || image.reference == reference);
        let image = image.ok_or_else(|| unknown(first.path(), Some(contents), name))?;
        image::find(bundles, image, cancel)?.here()
    }

    /// The bytes that will be written.
    #[must_use]
    pub fn size(&self) -> u64 {
        let files = self.files.iter().map(|(file, _)| file.size);
        files.fold(0, u64::saturating_add)
    }

    /// The largest file of it.
    #[must_use]
    pub fn largest(&self) -> u64 {
        let files = self.files.iter().map(|(file, _)| file.size);
        files.max().unwrap_or_default()
    }

    /// What it is called where nobody says otherwise.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.shape {
            Shape::File { name } | Shape::Folder { name } => name,
        }
    }

    /// Writes it to a place where nothing is; each file of it has its name when its digest is right, and a folder when all of
    /// it is there.
    pub fn write(
        &self,
        to: &Utf8Path,
        jobs: NonZeroUsize,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<(), ExtractError> {
        match &self.shape {
            Shape::File { .. } if to.symlink_metadata().is_ok() => {
                Err(ExtractError::There(to.to_owned()))
            }
            Shape::File { .. } => self.put(|_| to.to_owned(), jobs, progress, cancel),
            Shape::Folder { .. } => self.folder(to, jobs, progress, cancel),
        }
    }

    fn folder(
        &self,
        to: &Utf8Path,
        jobs: NonZeroUsize,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<(), ExtractError> {
        let write = |source| ExtractError::Write {
            path: to.to_owned(),
            source,
        };
        if to.symlink_metadata().is_ok() {
            return Err(ExtractError::There(to.to_owned()));
        }
        let above = to.parent().filter(|dir| !dir.as_str().is_empty());
        let above = above.unwrap_or(Utf8Path::new("."));
        let made = tempfile::Builder::new()
            .prefix(&format!(".{}.", to.file_name().unwrap_or_default()))
            .suffix(".part")
            .tempdir_in(above)
            .map_err(write)?;
        let dir = Utf8PathBuf::try_from(made.path().to_owned())
            .map_err(|error| write(error.into_io_error()))?;
        let folders: BTreeSet<_> = self
            .files
            .iter()
            .filter_map(|(_, at)| at.parent())
            .collect();
        for folder in folders {
            std::fs::create_dir_all(dir.join(folder)).map_err(write)?;
        }
        self.put(|at| dir.join(at), jobs, progress, cancel)?;
        for (name, bytes) in &self.documents {
            std::fs::write(dir.join(name), bytes).map_err(write)?;
        }
        // Its maker alone could read it; FAT and its kin keep no modes.
        let _ = std::fs::set_permissions(&dir, Permissions::from_mode(0o755));
        // An empty folder that somebody has made meanwhile would be replaced: it held nothing.
        std::fs::rename(&dir, to).map_err(write)?;
        let _ = made.keep();
        Ok(())
    }

    /// Each bundle is read once, whatever of it is wanted.
    fn put(
        &self,
        to: impl Fn(&Utf8Path) -> Utf8PathBuf,
        jobs: NonZeroUsize,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<(), ExtractError> {
        let mut left = self.files.clone();
        for bundle in self.bundles {
            let (here, others) = left
                .into_iter()
                .partition(|(file, _)| bundle.carries(&file.path));
            left = others;
            let wanted: BTreeMap<&Utf8Path, Utf8PathBuf> = Vec::into_iter(here)
                .map(|(file, at): (&FileEntry, Utf8PathBuf)| (file.path.as_path(), to(&at)))
                .collect();
            bundle.put(&wanted, jobs, progress, cancel)?;
        }
        Ok(())
    }

    /// Fails where a file is in none of the bundles.
    fn here(self) -> Result<Self, ExtractError> {
        for (file, _) in &self.files {
            if !self.bundles.iter().any(|bundle| bundle.carries(&file.path)) {
                return Err(elsewhere(self.bundles, file));
            }
        }
        Ok(self)
    }
}

fn elsewhere(bundles: &[Bundle], file: &FileEntry) -> ExtractError {
    let bundle = &bundles[0];
    let patch = bundle
        .carried()
        .any(|carried| carried.is_patch && carried.file.path == file.path);
    let files = &bundle.contents().files;
    let place = files.iter().position(|known| known.path == file.path);
    let segment = bundle.carriage().and_then(|carriage| {
        let mut segments = carriage.segments(files.len()).into_iter();
        let at = segments.position(|range| place.is_some_and(|place| range.contains(&place)))?;
        Some(at + 1)
    });
    let why = match bundle.carriage() {
        _ if patch => "it travels as a patch of a file that the receiver has".to_owned(),
        Some(Carriage::Segment { first, .. }) => match segment {
            Some(n) => format!("it is in segment {n} of {}", first.len()),
            None => "it is in another segment".to_owned(),
        },
        _ => "the receiver has it already".to_owned(),
    };
    ExtractError::Elsewhere {
        path: bundle.path().to_owned(),
        file: file.path.to_string(),
        why,
        segment,
    }
}

/// So many names are offered.
const NEAR: usize = 5;

fn unknown(path: &Utf8Path, contents: Option<&Contents>, name: &str) -> ExtractError {
    let files = contents.into_iter().flat_map(|contents| &contents.files);
    let images = contents.into_iter().flat_map(|contents| &contents.images);
    let files = files.map(|file| file.path.as_str());
    let images = images.map(|image| image.reference.as_str());
    // The start or the end of what somebody remembers of it.
    let last = name
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(name);
    let last = last.split([':', '@']).next().unwrap_or(last);
    let near = files
        .filter(|path| !path.starts_with("images/"))
        .chain(images);
    let near = near.filter(|known| !last.is_empty() && known.contains(last));
    ExtractError::Unknown {
        path: path.to_owned(),
        name: name.to_owned(),
        near: near.take(NEAR).map(str::to_owned).collect(),
    }
}
