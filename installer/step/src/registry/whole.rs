//! Whether the registry holds images whole: each manifest byte for byte, each blob with its size. That a tag is there says
//! little: a power cut leaves files behind that have a name and no content.

use std::collections::{BTreeMap, BTreeSet};

use artifact::Sha256;
use futures::{StreamExt, TryStreamExt, stream};

use super::{Found, Held, Registry, RegistryError, unreadable};
use crate::image::layout::{Blob, named};
use crate::image::name::SiteImage;

/// How many small questions are asked at once.
const QUESTIONS: usize = 16;

/// What is wrong with an image in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Which of the images that were asked for.
    pub image: usize,
    pub flaw: Flaw,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is not there, or something of it.
    Lacking,
    /// Something lies there in place of this content, and why that is known.
    Damaged { content: Sha256, why: String },
}

/// What the manifests of one image tell.
#[derive(Default)]
struct Read {
    flaws: Vec<Flaw>,
    blobs: Vec<Blob>,
}

/// Everything that is wrong with these images, in their order. Each manifest is read once, and each blob asked for once in
/// each repository.
pub(crate) async fn look(
    registry: &Registry,
    images: &[(SiteImage, Sha256)],
) -> Result<Vec<Fault>, RegistryError> {
    let questions: Vec<_> = images
        .iter()
        .map(|(name, digest)| manifests(registry, name, *digest))
        .collect();
    let read: Vec<Read> = stream::iter(questions)
        .buffered(QUESTIONS)
        .try_collect()
        .await?;
    let mut users = BTreeMap::<(&str, Blob), BTreeSet<usize>>::new();
    for (image, ((name, _), read)) in images.iter().zip(&read).enumerate() {
        for blob in &read.blobs {
            let of = users.entry((name.repository.as_str(), *blob)).or_default();
            of.insert(image);
        }
    }
    let questions: Vec<_> = users
        .into_iter()
        .map(async |((repository, blob), of)| {
            let held = registry.held(repository, blob).await?;
            Ok::<_, RegistryError>((blob.digest, held, of))
        })
        .collect();
    let held: Vec<_> = stream::iter(questions)
        .buffered(QUESTIONS)
        .try_collect()
        .await?;
    let flaws = |(image, read): (usize, Read)| {
        let flaws = read.flaws.into_iter();
        flaws.map(move |flaw| Fault { image, flaw })
    };
    let mut faults: Vec<Fault> = read.into_iter().enumerate().flat_map(flaws).collect();
    for (content, held, of) in held {
        let flaw = match held {
            Held::Whole => continue,
            Held::Nothing => Flaw::Lacking,
            Held::Damaged(why) => Flaw::Damaged { content, why },
        };
        faults.extend(of.into_iter().map(|image| Fault {
            image,
            flaw: flaw.clone(),
        }));
    }
    faults.sort_by_key(|fault| fault.image);
    Ok(faults)
}

/// Follows an image from its tag to its blobs, as far as the registry has it.
async fn manifests(
    registry: &Registry,
    name: &SiteImage,
    digest: Sha256,
) -> Result<Read, RegistryError> {
    let mut read = Read::default();
    let mut known = BTreeSet::from([digest]);
    let mut ahead = vec![(name.tag.clone(), digest)];
    while let Some((at, digest)) = ahead.pop() {
        let bytes = match registry.manifest(&name.repository, &at).await? {
            Found::Manifest(bytes) if Sha256::of(&bytes) == digest => bytes,
            // The tag may be another image's, and ours still be there.
            Found::Manifest(_) if at != digest.oci() => {
                read.flaws.push(Flaw::Lacking);
                ahead.push((digest.oci(), digest));
                continue;
            }
            Found::Nothing => {
                read.flaws.push(Flaw::Lacking);
                continue;
            }
            Found::Manifest(_) | Found::Unreadable => {
                read.flaws.push(Flaw::Damaged {
                    content: digest,
                    why: unreadable(digest),
                });
                continue;
            }
        };
        // What was pushed by this digest is what the bundle has; if that is no manifest, it is none anywhere.
        let Ok(named) = named(&bytes) else {
            continue;
        };
        read.blobs.extend(named.blobs);
        let children = named.manifests.into_iter();
        let new = children.filter(|child| known.insert(*child));
        ahead.extend(new.map(|child| (child.oci(), child)));
    }
    Ok(read)
}
