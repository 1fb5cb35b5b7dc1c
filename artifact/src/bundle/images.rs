//! Whether an installation will find all of each image: what `bundle.json` cannot say of itself, but the manifests in the
//! layout do.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Deserialize;

use crate::bundle::error::BundleError;
use crate::bundle::fault::Fault;
use crate::bundle::open::Bundle;
use crate::bundle::stream::IMAGE_BLOBS;
use crate::{Cancel, ImageEntry, Sha256};

const INDEX: &str = "images/index.json";
/// Indexes and manifests are read whole; nobody's are near this size, all of a bundle together.
const DOCUMENTS_MAX: u64 = 32 << 20;

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
    let images = &bundle.contents().images;
    if images.is_empty() {
        return Ok(());
    }
    let files = bundle.contents().files.iter().enumerate();
    let members = bundle.members.iter().enumerate();
    let here = members.filter(|(_, member)| member.patch.is_none());
    let mut layout = Layout {
        bundle,
        places: files
            .map(|(place, file)| (file.path.as_str(), place))
            .collect(),
        here: here.map(|(at, member)| (member.file, at)).collect(),
        documents: HashMap::new(),
        size: 0,
    };
    let roots = images.iter().map(|image| blob(image.digest));
    layout.read(roots.chain([INDEX.to_owned()]).collect(), cancel)?;
    layout.read(layout.named_by(images), cancel)?;
    let proofs = Proofs::of(&layout);
    let faults: Vec<Fault> = images
        .iter()
        .filter(|image| layout.has_documents_of(image))
        .filter_map(|image| {
            let why = proofs.of_image(image).err()?;
            Some(Fault::Image {
                reference: image.reference.clone(),
                why,
            })
        })
        .collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(BundleError::Faulty {
        path: bundle.path.clone(),
        faults,
    })
}

fn blob(digest: Sha256) -> String {
    format!("{IMAGE_BLOBS}{digest}")
}

fn digest_of(descriptor: &Descriptor) -> Option<Sha256> {
    descriptor.digest.strip_prefix("sha256:")?.parse().ok()
}

/// The image layout of a bundle, and what was read of it.
struct Layout<'a> {
    bundle: &'a Bundle,
    places: HashMap<&'a str, usize>,
    /// Where in this file those are that it carries.
    here: HashMap<usize, usize>,
    documents: HashMap<usize, Result<Document, String>>,
    size: u64,
}

impl Layout<'_> {
    /// Each frame of the bundle is decoded once for all of them, not once for each.
    fn read(&mut self, paths: BTreeSet<String>, cancel: &Cancel) -> Result<(), BundleError> {
        let mut wanted = BTreeSet::new();
        for path in paths {
            let Some(&place) = self.places.get(path.as_str()) else {
                continue;
            };
            if self.documents.contains_key(&place) || !self.here.contains_key(&place) {
                continue;
            }
            self.size = self
                .size
                .saturating_add(self.bundle.contents().files[place].size);
            if self.size > DOCUMENTS_MAX {
                let why = format!(
                    "the manifests of all images are larger than {} MiB",
                    DOCUMENTS_MAX >> 20
                );
                self.documents.insert(place, Err(why));
            } else {
                wanted.insert(place);
            }
        }
        let members = wanted.iter().map(|place| self.here[place]).collect();
        for (member, bytes) in self.bundle.read_all(&members, cancel)? {
            let place = self.bundle.members[member].file;
            let document = serde_json::from_slice(&bytes)
                .map_err(|error| format!("{} cannot be understood: {error}", self.path(place)));
            self.documents.insert(place, document);
        }
        Ok(())
    }

    /// The manifests that the indexes of images lead to.
    fn named_by(&self, images: &[ImageEntry]) -> BTreeSet<String> {
        images
            .iter()
            .filter_map(|image| self.document(&blob(image.digest)).ok())
            .flat_map(|root| &root.manifests)
            .filter_map(digest_of)
            .map(blob)
            .collect()
    }

    /// Whether this file can tell of an image. A part need not carry what others do.
    fn has_documents_of(&self, image: &ImageEntry) -> bool {
        let is_here = |path: &str| {
            let place = self.places.get(path);
            place.is_none_or(|place| self.here.contains_key(place))
        };
        let root = blob(image.digest);
        let mut leads_to = self
            .document(&root)
            .map_or(&[][..], |root| &root.manifests)
            .iter()
            .filter_map(digest_of);
        is_here(INDEX) && is_here(&root) && leads_to.all(|digest| is_here(&blob(digest)))
    }

    fn path(&self, place: usize) -> &str {
        self.bundle.contents().files[place].path.as_str()
    }

    fn document(&self, path: &str) -> Result<&Document, String> {
        let place = self
            .places
            .get(path)
            .ok_or_else(|| format!("{path} is not there"))?;
        match self.documents.get(place) {
            Some(Ok(document)) => Ok(document),
            Some(Err(why)) => Err(why.clone()),
            None => Err(format!("{path} was not read")),
        }
    }

    /// Whether everything is there that an image leads to.
    fn whole(
        &self,
        digest: Sha256,
        parts: &HashMap<usize, Result<(), String>>,
    ) -> Result<(), String> {
        let parts_of = |path: &str| {
            let known = self.places.get(path).and_then(|place| parts.get(place));
            known.cloned().unwrap_or(Ok(()))
        };
        let path = blob(digest);
        let root = self.document(&path)?;
        parts_of(&path)?;
        for path in root.manifests.iter().filter_map(digest_of).map(blob) {
            if !self.document(&path)?.manifests.is_empty() {
                return Err("an index inside an index".to_owned());
            }
            parts_of(&path)?;
        }
        Ok(())
    }

    /// Whether everything is there that a document leads to.
    fn parts(&self, document: &Document) -> Result<(), String> {
        let layers = document.layers.iter().filter(|layer| layer.urls.is_empty());
        let parts = document.config.iter().chain(layers);
        for part in parts.chain(&document.manifests) {
            let digest =
                digest_of(part).ok_or_else(|| format!("{:?} is no SHA-256", part.digest))?;
            let place = self.places.get(blob(digest).as_str());
            match place.map(|place| self.bundle.contents().files[*place].size) {
                None => return Err(format!("blob {} is not there", digest.oci())),
                Some(size) if size != part.size => {
                    return Err(format!("blob {} has another size", digest.oci()));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// What is right is found out once for each document, however many images lead to it.
struct Proofs<'a> {
    layout: &'a Layout<'a>,
    named: Result<HashSet<&'a str>, String>,
    /// Of what images lead to, by its digest.
    roots: HashMap<Sha256, Result<(), String>>,
}

impl<'a> Proofs<'a> {
    fn of(layout: &'a Layout<'a>) -> Self {
        let index = layout.document(INDEX);
        let parts: HashMap<usize, Result<(), String>> = layout
            .documents
            .iter()
            .map(|(place, document)| {
                let document = document.as_ref().map_err(Clone::clone);
                (*place, document.and_then(|document| layout.parts(document)))
            })
            .collect();
        let images = layout.bundle.contents().images.iter();
        let digests: BTreeSet<Sha256> = images.map(|image| image.digest).collect();
        Self {
            layout,
            named: index.map(|index| index.manifests.iter().map(|m| m.digest.as_str()).collect()),
            roots: digests
                .into_iter()
                .map(|digest| (digest, layout.whole(digest, &parts)))
                .collect(),
        }
    }

    /// Why an image cannot be used.
    fn of_image(&self, image: &ImageEntry) -> Result<(), String> {
        let digest = image.digest.oci();
        match &self.named {
            Ok(named) if named.contains(digest.as_str()) => {}
            Ok(_) => return Err(format!("{INDEX} does not name it")),
            Err(why) => return Err(why.clone()),
        }
        let root = self.layout.document(&blob(image.digest))?;
        for platform in &image.platforms {
            let child = platform.digest.oci();
            if child != digest && !root.manifests.iter().any(|one| one.digest == child) {
                let arch = platform.arch;
                return Err(format!("it does not lead to {child} of {arch}"));
            }
        }
        self.roots.get(&image.digest).cloned().unwrap_or(Ok(()))
    }
}
