//! Images that are in no bundle: an OCI layout, or a tar of one or of `docker save`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Digest;
use tar::Archive;

use crate::{ImageEntry, Members, Sha256, full_reference, open_regular};

/// No document of a layout is larger.
const DOCUMENT_MAX: u64 = 4 << 20;
const PIECE: usize = 256 << 10;
const NAMES: [&str; 2] = [
    "io.containerd.image.name",
    "org.opencontainers.image.ref.name",
];
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// Images, and the OCI layout that they are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSource {
    pub layout: Utf8PathBuf,
    /// By their full names.
    pub images: Vec<ImageEntry>,
}

#[derive(Debug, thiserror::Error)]
pub enum ImageSourceError {
    #[error("cannot read {path}: {why}")]
    Read { path: Utf8PathBuf, why: io::Error },
    #[error("cannot write {path}: {why}")]
    Write { path: Utf8PathBuf, why: io::Error },
    #[error("{0} is neither an OCI layout nor an archive of images")]
    Strange(Utf8PathBuf),
    #[error("{path} is damaged: {why}")]
    Damaged { path: Utf8PathBuf, why: String },
    #[error("{path} has {count} without a full name")]
    Nameless { path: Utf8PathBuf, count: usize },
    #[error("{path} has no image {reference}")]
    Absent {
        path: Utf8PathBuf,
        reference: String,
        there: Vec<String>,
    },
}

impl ImageSourceError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Strange(_) => Some(
                "give a folder with index.json, or a tar as docker save, podman save, skopeo or ctr write it".to_owned(),
            ),
            Self::Nameless { .. } => Some(
                "a source of one image takes its name as REF: kubexm images push SOURCE HOST/NAME:TAG -f config.yaml"
                    .to_owned(),
            ),
            Self::Absent { there, .. } => Some(format!("it has {}", there.join(", "))),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// An image of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl ImageSource {
    /// `scratch` is an empty folder for what an archive holds.
    pub fn open(path: &Utf8Path, scratch: &Utf8Path) -> Result<Self, ImageSourceError> {
        if path.is_dir() {
            return Self::of_layout(path, path);
        }
        unpack(path, scratch)?;
        if scratch.join("index.json").exists() {
            Self::of_layout(path, scratch)
        } else if scratch.join("manifest.json").exists() {
            of_docker(path, scratch)
        } else {
            Err(ImageSourceError::Strange(path.to_owned()))
        }
    }

    fn of_layout(named: &Utf8Path, layout: &Utf8Path) -> Result<Self, ImageSourceError> {
        let path = layout.join("index.json");
        if !path.exists() {
            return Err(ImageSourceError::Strange(named.to_owned()));
        }
        let index: Index = document(named, &path)?;
        let mut images = Vec::new();
        for Descriptor {
            digest,
            annotations,
        } in index.manifests
        {
            let digest = sha256(named, &digest)?;
            let name = NAMES.iter().find_map(|key| annotations.get(*key));
            let name = name.filter(|name| name.contains(['/', ':']));
            let name = name.map(|name| full_reference(name));
            images.push(ImageEntry::new(name.unwrap_or_default(), digest));
        }
        Ok(Self {
            layout: layout.to_owned(),
            images,
        })
    }

    /// Those that are asked for; all where none is. One image without a name takes the one that is given.
    pub fn choose(
        mut self,
        path: &Utf8Path,
        references: &[String],
    ) -> Result<Self, ImageSourceError> {
        let wanted: Vec<String> = references.iter().map(|name| full_reference(name)).collect();
        if let ([image], [name]) = (self.images.as_mut_slice(), wanted.as_slice())
            && image.reference.is_empty()
        {
            image.reference.clone_from(name);
        }
        if wanted.is_empty() {
            let count = self.images.iter();
            let count = count.filter(|image| image.reference.is_empty()).count();
            if count > 0 {
                let path = path.to_owned();
                return Err(ImageSourceError::Nameless { path, count });
            }
            return Ok(self);
        }
        let there: Vec<String> = self
            .images
            .iter()
            .map(|image| image.reference.clone())
            .filter(|name| !name.is_empty())
            .collect();
        if let Some(reference) = wanted.iter().find(|name| !there.contains(name)) {
            return Err(ImageSourceError::Absent {
                path: path.to_owned(),
                reference: reference.clone(),
                there,
            });
        }
        self.images
            .retain(|image| wanted.contains(&image.reference));
        Ok(self)
    }
}

fn unreadable(path: &Utf8Path) -> impl Fn(io::Error) -> ImageSourceError + '_ {
    move |why| ImageSourceError::Read {
        path: path.to_owned(),
        why,
    }
}

fn damaged(path: &Utf8Path, why: impl Into<String>) -> ImageSourceError {
    ImageSourceError::Damaged {
        path: path.to_owned(),
        why: why.into(),
    }
}

fn document<T: for<'de> Deserialize<'de>>(
    named: &Utf8Path,
    path: &Utf8Path,
) -> Result<T, ImageSourceError> {
    let mut bytes = Vec::new();
    open_regular(path)
        .and_then(|file| file.take(DOCUMENT_MAX).read_to_end(&mut bytes))
        .map_err(unreadable(path))?;
    let name = path.file_name().unwrap_or_default();
    serde_json::from_slice(&bytes).map_err(|error| damaged(named, format!("{name}: {error}")))
}

fn sha256(named: &Utf8Path, digest: &str) -> Result<Sha256, ImageSourceError> {
    let no_sum = |_| damaged(named, format!("it names {digest}, no SHA-256"));
    digest.parse().map_err(no_sum)
}

/// Regular files by names that stay below the folder; links of older `docker save` are the files that they lead to.
fn unpack(path: &Utf8Path, scratch: &Utf8Path) -> Result<(), ImageSourceError> {
    let file = open_regular(path).map_err(unreadable(path))?;
    let mut archive = Archive::new(file);
    let members = Members::of(&mut archive).map_err(unreadable(path))?;
    for member in members {
        let mut member = member.map_err(|_| ImageSourceError::Strange(path.to_owned()))?;
        let name = member.name.trim_start_matches("./").to_owned();
        let Some(to) = below(scratch, &name) else {
            return Err(damaged(path, format!("it has a member '{name}'")));
        };
        let written = |why| ImageSourceError::Write {
            path: to.clone(),
            why,
        };
        if member.irregular() == Some("a directory") {
            continue;
        }
        if let Some(dir) = to.parent() {
            fs::create_dir_all(dir).map_err(written)?;
        }
        if member.irregular() == Some("a symbolic link") {
            let target = member.entry.link_name_bytes();
            let target = String::from_utf8_lossy(&target.unwrap_or_default()).into_owned();
            let from = name.rsplit_once('/').map_or("", |(dir, _)| dir);
            let target = target.strip_prefix("../").unwrap_or(&target);
            let from = from.rsplit_once('/').map_or("", |(dir, _)| dir);
            let at = below(scratch, &format!("{from}/{target}"));
            let at = at.filter(|at| at.is_file());
            let at = at.ok_or_else(|| damaged(path, format!("'{name}' leads nowhere")))?;
            fs::hard_link(at, &to).map_err(written)?;
            continue;
        }
        if let Some(kind) = member.irregular() {
            return Err(damaged(path, format!("'{name}' is {kind}")));
        }
        let mut out = File::create_new(&to).map_err(written)?;
        io::copy(&mut member.entry, &mut out).map_err(written)?;
    }
    Ok(())
}

fn below(folder: &Utf8Path, name: &str) -> Option<Utf8PathBuf> {
    let parts = name.split('/').filter(|part| !part.is_empty());
    let mut path = folder.to_owned();
    for part in parts {
        if matches!(part, "." | "..") {
            return None;
        }
        path.push(part);
    }
    (path != *folder).then_some(path)
}

/// What `docker save` writes has no manifest: one is made, and its parts are put where a layout has them.
fn of_docker(named: &Utf8Path, scratch: &Utf8Path) -> Result<ImageSource, ImageSourceError> {
    let saved: Vec<Saved> = document(named, &scratch.join("manifest.json"))?;
    let blobs = scratch.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(|why| ImageSourceError::Write {
        path: blobs.clone(),
        why,
    })?;
    let part = |name: &str, media_type: &str| -> Result<Value, ImageSourceError> {
        let from = below(scratch, name).ok_or_else(|| damaged(named, format!("'{name}'")))?;
        let (digest, size) = sum(&from)?;
        put(&blobs, digest, |to| match fs::hard_link(&from, to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        })?;
        Ok(json!({"mediaType": media_type, "digest": digest.oci(), "size": size}))
    };
    let mut images = Vec::new();
    for image in saved {
        let layers = image.layers.iter().map(|layer| part(layer, DOCKER_LAYER));
        let layers: Vec<Value> = layers.collect::<Result<_, _>>()?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": part(&image.config, DOCKER_CONFIG)?,
            "layers": layers,
        });
        let bytes = manifest.to_string();
        let digest = Sha256::of(bytes.as_bytes());
        put(&blobs, digest, |to| fs::write(to, &bytes))?;
        let tags = image.repo_tags.unwrap_or_default();
        if tags.is_empty() {
            images.push(ImageEntry::new("", digest));
        }
        let entry = |tag: &String| ImageEntry::new(full_reference(tag), digest);
        images.extend(tags.iter().map(entry));
    }
    Ok(ImageSource {
        layout: scratch.to_owned(),
        images,
    })
}

fn put(
    blobs: &Utf8Path,
    digest: Sha256,
    write: impl FnOnce(&Utf8Path) -> io::Result<()>,
) -> Result<(), ImageSourceError> {
    let path = blobs.join(digest.to_string());
    write(&path).map_err(|why| ImageSourceError::Write { path, why })
}

fn sum(path: &Utf8Path) -> Result<(Sha256, u64), ImageSourceError> {
    let mut file = open_regular(path).map_err(unreadable(path))?;
    let size = file.metadata().map_err(unreadable(path))?.len();
    let mut hasher = sha2::Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece).map_err(unreadable(path))? {
            0 => return Ok((hasher.into(), size)),
            read => hasher.update(&piece[..read]),
        }
    }
}
