//! Images of the tree as archives that a container runtime imports.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::sync::{Arc, Weak};

use artifact::Sha256;
use camino::{Utf8Path, Utf8PathBuf};
use engine::StepError;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::image::layout::{Image, blob_path, read_image};
use crate::local_file::{self, blocking};

/// An image as a node of one architecture needs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeImage {
    /// As the world names it: `registry.k8s.io/pause:3.10`.
    pub reference: String,
    /// The manifest for that architecture, not the index.
    pub manifest: Sha256,
    /// Its layers and config.
    pub size: u64,
}

/// Archives of single images, made when the first node asks for one and gone when the last has it: nodes that are
/// served side by side share them, and the operator's disk holds but a few at a time.
#[derive(Debug)]
pub struct ImageArchives {
    layout: Utf8PathBuf,
    dir: Utf8PathBuf,
    open: Mutex<HashMap<NodeImage, Weak<Archive>>>,
}

/// A file that is removed with its last user.
#[derive(Debug)]
pub(crate) struct Archive {
    path: Utf8PathBuf,
}

impl Archive {
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        // What cannot be removed is taken up by the next run.
        let _ = fs::remove_file(&self.path);
    }
}

impl ImageArchives {
    /// `layout` is `images/` of the tree, `dir` a place for the archives.
    #[must_use]
    pub fn new(layout: impl Into<Utf8PathBuf>, dir: impl Into<Utf8PathBuf>) -> Arc<Self> {
        let (layout, dir) = (layout.into(), dir.into());
        Arc::new(Self {
            layout,
            dir,
            open: Mutex::default(),
        })
    }

    /// The archive of an image. One is made at a time: two would only compete for the same disk.
    pub(crate) async fn of(&self, image: &NodeImage) -> Result<Arc<Archive>, StepError> {
        let mut open = self.open.lock().await;
        if let Some(archive) = open.get(image).and_then(Weak::upgrade) {
            return Ok(archive);
        }
        let path = self.dir.join(file_name(image));
        let archive = Arc::new(Archive { path: path.clone() });
        let (layout, wanted) = (self.layout.clone(), image.clone());
        blocking(move || write(&layout, &wanted, &path)).await?;
        open.insert(image.clone(), Arc::downgrade(&archive));
        Ok(archive)
    }
}

/// The same for the same image under the same name.
pub(crate) fn file_name(image: &NodeImage) -> String {
    let key = format!("{} {}", image.reference, image.manifest);
    format!("{}.tar", Sha256::of(key.as_bytes()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: [Entry<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    media_type: &'a str,
    digest: String,
    size: usize,
    annotations: Annotations<'a>,
}

/// containerd names the image after this.
#[derive(Serialize)]
struct Annotations<'a> {
    #[serde(rename = "io.containerd.image.name")]
    name: &'a str,
}

fn write(layout: &Utf8Path, wanted: &NodeImage, to: &Utf8Path) -> Result<(), StepError> {
    let image = read_image(layout, &wanted.reference, wanted.manifest)?;
    let Some(manifest) = image
        .manifests
        .last()
        .filter(|_| image.manifests.len() == 1)
    else {
        return Err(StepError::new(format!(
            "{}: {} is an index, not the manifest for one architecture",
            wanted.reference, wanted.manifest
        )));
    };
    let index = Index {
        schema_version: 2,
        media_type: "application/vnd.oci.image.index.v1+json",
        manifests: [Entry {
            media_type: &manifest.media_type,
            digest: manifest.digest.oci(),
            size: manifest.bytes.len(),
            annotations: Annotations {
                name: &wanted.reference,
            },
        }],
    };
    let index = serde_json::to_vec(&index).expect("strings and numbers are JSON");
    local_file::write_with(to, 0o600, |file| pack(layout, &image, &index, file))?;
    Ok(())
}

fn pack(layout: &Utf8Path, image: &Image, index: &[u8], file: &mut File) -> io::Result<()> {
    let mut tar = tar::Builder::new(file);
    let mut add = |path: &str, size: u64, data: &mut dyn io::Read| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(size);
        tar.append_data(&mut header, path, data)
    };
    let version = br#"{"imageLayoutVersion":"1.0.0"}"#;
    add("oci-layout", version.len() as u64, &mut version.as_slice())?;
    add("index.json", index.len() as u64, &mut &*index)?;
    for manifest in &image.manifests {
        let path = format!("blobs/sha256/{}", manifest.digest);
        add(&path, manifest.bytes.len() as u64, &mut &*manifest.bytes)?;
    }
    let mut blobs = image.blobs.clone();
    blobs.sort_by_key(|blob| blob.digest);
    blobs.dedup();
    for blob in blobs {
        let mut data = File::open(blob_path(layout, blob.digest))?;
        add(
            &format!("blobs/sha256/{}", blob.digest),
            blob.size,
            &mut data,
        )?;
    }
    tar.finish()
}
