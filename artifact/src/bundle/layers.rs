//! Which layer of an image was which in the bundle before: the one at the same place of the same repository and
//! architecture.

use std::collections::HashMap;
use std::fs;

use camino::Utf8Path;
use cluster::Arch;
use serde::Deserialize;

use crate::bundle::error::BundleError;
use crate::bundle::open::Bundle;
use crate::bundle::stream::IMAGE_BLOBS;
use crate::{Cancel, Contents, Sha256, Tree, repository};

/// Of a manifest.
const DOCUMENT_MAX: u64 = 4 << 20;

/// Where a layer stands: repository, architecture, place.
type Place = (String, Arch, usize);

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

/// Of each layer that the tree holds, the one that the bundle has in its place.
pub(super) fn earlier(
    contents: &Contents,
    tree: &Tree,
    bundle: &Bundle,
    cancel: &Cancel,
) -> Result<HashMap<Sha256, Sha256>, BundleError> {
    let before = places(bundle.contents(), |path| {
        bundle.read(path, DOCUMENT_MAX, cancel)
    })?;
    let now = places(contents, |path| Ok(fs::read(tree.path(path)).ok()))?;
    let pairs = now.into_iter().filter_map(|(place, layer)| {
        let earlier = before.get(&place)?;
        (*earlier != layer).then_some((layer, *earlier))
    });
    Ok(pairs.collect())
}

fn places(
    contents: &Contents,
    read: impl Fn(&Utf8Path) -> Result<Option<Vec<u8>>, BundleError>,
) -> Result<HashMap<Place, Sha256>, BundleError> {
    let mut places = HashMap::new();
    for image in &contents.images {
        for platform in &image.platforms {
            let path = format!("{IMAGE_BLOBS}{}", platform.digest);
            // What cannot be read or understood only makes the delta larger.
            let Some(bytes) = read(path.as_str().into())? else {
                continue;
            };
            let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else {
                continue;
            };
            for (at, layer) in manifest.layers.iter().enumerate() {
                if let Ok(digest) = layer.digest.parse() {
                    let place = (repository(&image.reference).to_owned(), platform.arch, at);
                    places.insert(place, digest);
                }
            }
        }
    }
    Ok(places)
}
