//! Whether an installation will find all of each image: what `bundle.json` cannot say of itself, but the manifests in the
//! layout do.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use crate::bundle::error::{BundleError, Fault};
use crate::bundle::open::Bundle;
use crate::{Cancel, FileEntry, ImageEntry, Sha256};

const BLOBS: &str = "images/blobs/sha256";
const INDEX: &str = "images/index.json";
/// An index or manifest is read whole; nobody's is near this size.
const DOCUMENT_MAX: u64 = 8 << 20;

/// An index, or the manifest of an image.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    size: u64,
    /// Where a layer may be had that no registry holds.
    #[serde(default)]
    urls: Vec<String>,
}

/// Fails with each image of which something is not there.
pub(super) fn prove(bundle: &Bundle, cancel: &Cancel) -> Result<(), BundleError> {
    let images = &bundle.manifest().images;
    if images.is_empty() {
        return Ok(());
    }
    let files = bundle.manifest().files.iter();
    let prover = Prover {
        bundle,
        cancel,
        files: files.map(|file| (file.path.as_str(), file)).collect(),
    };
    let mut faults = Vec::new();
    match prover.document(INDEX)? {
        Ok(index) => {
            let named: BTreeSet<&str> = index.manifests.iter().map(|m| m.digest.as_str()).collect();
            let unnamed = images
                .iter()
                .filter(|image| !named.contains(image.digest.oci().as_str()));
            faults.extend(unnamed.map(|image| fault(image, format!("{INDEX} does not name it"))));
        }
        Err(why) => faults.push(fault(&images[0], why)),
    }
    for image in images {
        if let Err(why) = prover.image(image)? {
            faults.push(fault(image, why));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(BundleError::Faulty {
        path: bundle.path.clone(),
        faults,
    })
}

fn fault(image: &ImageEntry, why: String) -> Fault {
    Fault::Image {
        reference: image.reference.clone(),
        why,
    }
}

struct Prover<'a> {
    bundle: &'a Bundle,
    cancel: &'a Cancel,
    files: HashMap<&'a str, &'a FileEntry>,
}

/// What was found out, or why the image cannot be used.
type Found<T> = Result<T, String>;

impl Prover<'_> {
    fn document(&self, path: &str) -> Result<Found<Document>, BundleError> {
        let file = self.files.get(path);
        if file.is_none_or(|file| file.size > DOCUMENT_MAX) {
            return Ok(Err(format!("{path} is not there, or is too large")));
        }
        let bytes = self.bundle.read(path.into(), self.cancel)?;
        let document = serde_json::from_slice(&bytes.unwrap_or_default());
        Ok(document.map_err(|error| format!("{path} cannot be understood: {error}")))
    }

    fn manifest(&self, digest: Sha256) -> Result<Found<Document>, BundleError> {
        self.document(&format!("{BLOBS}/{digest}"))
    }

    fn image(&self, image: &ImageEntry) -> Result<Found<()>, BundleError> {
        let root = match self.manifest(image.digest)? {
            Ok(root) => root,
            Err(why) => return Ok(Err(why)),
        };
        let below: Vec<&Descriptor> = root.manifests.iter().collect();
        let leads_to = |digest: Sha256| {
            digest == image.digest || below.iter().any(|m| m.digest == digest.oci())
        };
        if let Some(platform) = image.platforms.iter().find(|p| !leads_to(p.digest)) {
            let (arch, digest) = (platform.arch, platform.digest);
            return Ok(Err(format!(
                "it does not lead to {} of {arch}",
                digest.oci()
            )));
        }
        if let Err(why) = self.parts(&root) {
            return Ok(Err(why));
        }
        for manifest in below {
            // That it is there, and has such a name, is known by now.
            let Ok(digest) = manifest.digest.parse() else {
                continue;
            };
            let parts = self.manifest(digest)?.and_then(|one| {
                if one.manifests.is_empty() {
                    self.parts(&one)
                } else {
                    Err("an index inside an index".to_owned())
                }
            });
            if let Err(why) = parts {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    /// Whether everything is there that a document leads to.
    fn parts(&self, document: &Document) -> Found<()> {
        let layers = document.layers.iter().filter(|layer| layer.urls.is_empty());
        let parts = document.config.iter().chain(layers);
        for part in parts.chain(&document.manifests) {
            let digest: Sha256 = match part.digest.strip_prefix("sha256:").map(str::parse) {
                Some(Ok(digest)) => digest,
                _ => return Err(format!("{:?} is no SHA-256", part.digest)),
            };
            let file = self.files.get(format!("{BLOBS}/{digest}").as_str());
            match file {
                None => return Err(format!("blob {} is not there", digest.oci())),
                Some(file) if file.size != part.size => {
                    return Err(format!("blob {} has another size", digest.oci()));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}
