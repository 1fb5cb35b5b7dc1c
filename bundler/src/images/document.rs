//! What a registry's manifests say: which platforms there are, and which blobs each is made of.

use artifact::Sha256;
use cluster::Arch;
use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE, ImageIndexEntry, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    OciDescriptor, OciImageIndex, OciImageManifest, Platform,
};
use oci_spec::image::{Arch as OciArch, Os};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ImageError;

/// What is asked for. Schema 1 is among them so that it can be refused by its name.
pub(crate) const ACCEPTED: &[&str] = &[
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
];

/// Some bytes by their digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Blob {
    pub(crate) digest: Sha256,
    pub(crate) size: u64,
}

/// A manifest, as it was served.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Sha256,
    pub(crate) media_type: String,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Index(OciImageIndex),
    Image(Box<OciImageManifest>),
}

/// Just enough to tell the kinds apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Peek {
    schema_version: i32,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
}

impl Document {
    pub(crate) fn read(bytes: Vec<u8>) -> Result<Self, ImageError> {
        let malformed = |e: serde_json::Error| ImageError::NotAnImage { why: e.to_string() };
        let peek: Peek = serde_json::from_slice(&bytes).map_err(malformed)?;
        if peek.schema_version == 1 {
            return Err(ImageError::Schema1);
        }
        let digest = Sha256::of(&bytes);
        let (fallback, content) = if peek.manifests.is_some() {
            let index = serde_json::from_slice(&bytes).map_err(malformed)?;
            (OCI_IMAGE_INDEX_MEDIA_TYPE, Content::Index(index))
        } else {
            let image = serde_json::from_slice(&bytes).map_err(malformed)?;
            (OCI_IMAGE_MEDIA_TYPE, Content::Image(image))
        };
        let media_type = peek.media_type.unwrap_or_else(|| fallback.to_owned());
        Ok(Self {
            bytes,
            digest,
            media_type,
            content,
        })
    }

    /// The same index with only these entries; the very same bytes where it has no others.
    pub(crate) fn keep(self, entries: &[ImageIndexEntry]) -> Result<Self, ImageError> {
        let Content::Index(mut index) = self.content.clone() else {
            return Ok(self);
        };
        let before = index.manifests.len();
        index
            .manifests
            .retain(|entry| entries.iter().any(|kept| kept.digest == entry.digest));
        if index.manifests.len() == before {
            return Ok(self);
        }
        index.media_type = Some(self.media_type);
        let bytes = serde_json::to_vec(&index)
            .map_err(|e| ImageError::NotAnImage { why: e.to_string() })?;
        Self::read(bytes)
    }
}

/// What a manifest leads to, and a registry holds.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) manifests: Vec<Blob>,
    pub(crate) blobs: Vec<Blob>,
}

/// What these bytes of an index or a manifest lead to.
pub(crate) fn parts_of(bytes: Vec<u8>) -> Result<Parts, ImageError> {
    let mut parts = Parts::default();
    match Document::read(bytes)?.content {
        Content::Index(index) => {
            let manifests = index.manifests.iter().map(manifest_of);
            parts.manifests = manifests.collect::<Result<_, _>>()?;
        }
        Content::Image(image) => parts.blobs = blobs_of(&image)?,
    }
    Ok(parts)
}

/// An index entry's manifest.
pub(crate) fn manifest_of(entry: &ImageIndexEntry) -> Result<Blob, ImageError> {
    blob(&entry.digest, entry.size)
}

/// The config and the layers of an image, in that order.
pub(crate) fn blobs_of(image: &OciImageManifest) -> Result<Vec<Blob>, ImageError> {
    std::iter::once(&image.config)
        .chain(image.layers.iter().filter(|layer| !lives_elsewhere(layer)))
        .map(|descriptor| blob(&descriptor.digest, descriptor.size))
        .collect()
}

/// Layers of Windows that registries never hold.
fn lives_elsewhere(layer: &OciDescriptor) -> bool {
    layer.urls.as_ref().is_some_and(|urls| !urls.is_empty())
        && (layer.media_type.contains(".foreign.")
            || layer.media_type.contains(".nondistributable."))
}

fn blob(digest: &str, size: i64) -> Result<Blob, ImageError> {
    let sha256 = sha256(digest)?;
    let size = u64::try_from(size).map_err(|_| ImageError::NotAnImage {
        why: format!("{digest} has the size {size}"),
    })?;
    Ok(Blob {
        digest: sha256,
        size,
    })
}

/// Reads a digest as OCI writes it.
pub(crate) fn sha256(digest: &str) -> Result<Sha256, ImageError> {
    digest
        .strip_prefix("sha256:")
        .and_then(|hex| hex.parse().ok())
        .ok_or_else(|| ImageError::DigestAlgorithm {
            digest: digest.to_owned(),
        })
}

/// The entry that a machine of this architecture would run, preferring the plainest.
pub(crate) fn choose(index: &OciImageIndex, arch: Arch) -> Option<&ImageIndexEntry> {
    index
        .manifests
        .iter()
        .filter_map(|entry| Some((rank(entry.platform.as_ref()?, arch)?, entry)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, entry)| entry)
}

fn rank(platform: &Platform, arch: Arch) -> Option<u8> {
    if platform.os != Os::Linux || platform.architecture != oci(arch) {
        return None;
    }
    match (arch, platform.variant.as_deref()) {
        (Arch::Arm64, Some("v8")) | (Arch::Amd64, None | Some("")) => Some(0),
        (Arch::Arm64, None | Some("")) | (Arch::Amd64, Some("v1")) => Some(1),
        // Made for newer processors only.
        _ => None,
    }
}

fn oci(arch: Arch) -> OciArch {
    match arch {
        Arch::Amd64 => OciArch::Amd64,
        Arch::Arm64 => OciArch::ARM64,
    }
}

/// The platforms of an index as people write them: `linux/arm64/v8`. Attestations are none.
pub(crate) fn platforms(index: &OciImageIndex) -> Vec<String> {
    let mut names: Vec<String> = index
        .manifests
        .iter()
        .filter_map(|entry| entry.platform.as_ref())
        .filter(|platform| platform.os.to_string() != "unknown")
        .map(|p| match p.variant.as_deref() {
            None | Some("") => format!("{}/{}", p.os, p.architecture),
            Some(variant) => format!("{}/{}/{variant}", p.os, p.architecture),
        })
        .collect();
    names.dedup();
    names
}

/// What an image's config says it runs on.
#[derive(Debug, Deserialize)]
pub(crate) struct RunsOn {
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) os: String,
}

impl RunsOn {
    pub(crate) fn read(config: &[u8]) -> Result<Self, ImageError> {
        serde_json::from_slice(config).map_err(|e| ImageError::NotAnImage { why: e.to_string() })
    }

    pub(crate) fn is(&self, arch: Arch) -> bool {
        self.os == "linux" && self.architecture == arch.go()
    }

    pub(crate) fn platform(&self) -> String {
        format!("{}/{}", self.os, self.architecture)
    }
}

/// Charts, signatures and the like are kept in registries, too.
pub(crate) fn must_be_container(image: &OciImageManifest) -> Result<(), ImageError> {
    match image.config.media_type.as_str() {
        IMAGE_CONFIG_MEDIA_TYPE | IMAGE_DOCKER_CONFIG_MEDIA_TYPE => Ok(()),
        other => Err(ImageError::NotAnImage {
            why: format!("its config is {other}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest(n: u8) -> String {
        Sha256::of(&[n]).oci()
    }

    fn entry(n: u8, os: &str, arch: &str, variant: Option<&str>) -> serde_json::Value {
        let mut platform = json!({ "os": os, "architecture": arch });
        if let Some(variant) = variant {
            platform["variant"] = variant.into();
        }
        json!({ "mediaType": OCI_IMAGE_MEDIA_TYPE, "digest": digest(n), "size": 9, "platform": platform })
    }

    fn index(entries: &[serde_json::Value]) -> Document {
        let text = json!({ "schemaVersion": 2, "manifests": entries });
        Document::read(serde_json::to_vec_pretty(&text).unwrap()).unwrap()
    }

    fn chosen(document: &Document, arch: Arch) -> Option<String> {
        let Content::Index(index) = &document.content else {
            panic!("an index")
        };
        choose(index, arch).map(|entry| entry.digest.clone())
    }

    #[test]
    fn the_plainest_entry_of_an_architecture_is_chosen() {
        let all = index(&[
            entry(1, "windows", "amd64", None),
            entry(2, "linux", "amd64", Some("v3")),
            entry(3, "linux", "amd64", None),
            entry(4, "linux", "arm", Some("v7")),
            entry(5, "linux", "arm64", None),
            entry(6, "linux", "arm64", Some("v8")),
            entry(7, "unknown", "unknown", None),
        ]);
        assert_eq!(chosen(&all, Arch::Amd64), Some(digest(3)));
        assert_eq!(chosen(&all, Arch::Arm64), Some(digest(6)));
        assert_eq!(
            chosen(&index(&[entry(5, "linux", "arm64", None)]), Arch::Arm64),
            Some(digest(5))
        );
        assert_eq!(
            chosen(
                &index(&[entry(2, "linux", "amd64", Some("v3"))]),
                Arch::Amd64
            ),
            None
        );
    }

    #[test]
    fn an_index_is_cut_down_the_same_way_from_either_side() {
        let both = [
            entry(1, "linux", "amd64", None),
            entry(2, "linux", "arm64", None),
        ];
        let whole = index(&[
            both[0].clone(),
            both[1].clone(),
            entry(3, "windows", "amd64", None),
        ]);
        let keep = |document: &Document, digests: &[String]| {
            let Content::Index(index) = &document.content else {
                panic!("an index")
            };
            let entries: Vec<_> = index
                .manifests
                .iter()
                .filter(|e| digests.contains(&e.digest))
                .cloned()
                .collect();
            document.clone().keep(&entries).unwrap()
        };
        let two = keep(&whole, &[digest(1), digest(2)]);
        assert_ne!(two.digest, whole.digest);
        assert_eq!(keep(&two, &[digest(1), digest(2)]).bytes, two.bytes);
        assert_eq!(
            keep(&two, &[digest(1)]).bytes,
            keep(&whole, &[digest(1)]).bytes
        );
        insta::assert_snapshot!(String::from_utf8(keep(&whole, &[digest(1)]).bytes).unwrap());
    }

    #[test]
    fn what_is_no_image_is_named() {
        let said = |value: serde_json::Value| {
            Document::read(value.to_string().into_bytes())
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(said(json!({"schemaVersion": 1, "fsLayers": []})), @"a schema 1 image, which nothing reads any more");
        insta::assert_snapshot!(said(json!({"schemaVersion": 2})), @"not a container image: missing field `config` at line 1 column 19");
    }
}
