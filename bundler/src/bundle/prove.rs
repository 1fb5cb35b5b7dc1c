//! The proof that whoever stands at the site will miss nothing.

use std::collections::BTreeSet;

use artifact::{Contents, Missing, Tree};
use camino::Utf8Path;
use catalogue::Carries;
use cluster::Arch;

use crate::hops::Hop;
use crate::manifest;
use crate::resolve::{Wanted, WantedFile};

/// What the stages of an installation would ask for and not find, each with who asks.
pub(crate) fn missing(
    hops: &[Hop],
    wanted: &Wanted,
    manifest: &Contents,
    tree: &Tree,
) -> Vec<Missing> {
    let mut missing = BTreeSet::new();
    for (hop, release) in hops.iter().zip(&manifest.releases) {
        for need in &hop.wanted.needs {
            for arch in need.arches(&hop.cluster, &wanted.arches) {
                missing.extend(need.missing_from(manifest, release, arch));
            }
        }
    }
    for image in &wanted.images {
        let by = image.wanted_by.join(", ");
        missing.extend(image_missing(
            &image.reference,
            &by,
            &image.arches,
            manifest,
        ));
    }
    let carried = wanted.files.iter();
    for file in carried.filter(|file| matches!(file.file.carries, Carries::Manifest(_))) {
        missing.extend(images_of_manifest_missing(file, wanted, manifest, tree));
    }
    for file in &wanted.files {
        if !whole(manifest, tree, Utf8Path::new(&file.file.path)) {
            let arches = file
                .file
                .arch
                .map_or_else(|| wanted.arches.clone(), |arch| [arch].into());
            missing.extend(arches.into_iter().map(|arch| Missing {
                what: file.file.path.clone(),
                arch,
                wanted_by: file.wanted_by.join(", "),
            }));
        }
    }
    for set in &manifest.systems {
        let packages = set.packages.iter();
        let lost = packages.filter(|package| !whole(manifest, tree, &package.path));
        missing.extend(lost.map(|package| Missing {
            what: package.path.to_string(),
            arch: set.arch,
            wanted_by: format!("packages of {}", set.os),
        }));
    }
    missing.into_iter().collect()
}

fn whole(manifest: &Contents, tree: &Tree, path: &Utf8Path) -> bool {
    let length = std::fs::metadata(tree.path(path)).map(|meta| meta.len());
    manifest
        .file(path)
        .is_some_and(|held| length.is_ok_and(|length| length == held.size))
}

fn image_missing<'a>(
    reference: &'a str,
    by: &'a str,
    arches: &'a BTreeSet<Arch>,
    manifest: &'a Contents,
) -> impl Iterator<Item = Missing> + 'a {
    let held = manifest
        .images
        .iter()
        .find(|held| held.reference == reference);
    let lacks = move |arch: &&_| {
        !held.is_some_and(|held| held.platforms.iter().any(|there| there.arch == **arch))
    };
    arches.iter().filter(lacks).map(move |arch| Missing {
        what: format!("image {reference}"),
        arch: *arch,
        wanted_by: by.to_owned(),
    })
}

/// The images that a manifest names, whatever the catalogue thinks of it.
fn images_of_manifest_missing(
    file: &WantedFile,
    wanted: &Wanted,
    manifest: &Contents,
    tree: &Tree,
) -> Vec<Missing> {
    let path = Utf8Path::new(&file.file.path);
    // A manifest that is not there, or is none, has been told by whoever looked into it.
    let text = std::fs::read_to_string(tree.path(path)).unwrap_or_default();
    let images = manifest::images(&text).unwrap_or_default();
    let title = format!("{} {}", file.file.component, file.file.version.with_v());
    let name = file.file.file_name();
    let by = format!("{name} of {title} ({})", file.wanted_by.join(", "));
    let missing = |image: &String| -> Vec<Missing> {
        image_missing(image, &by, &wanted.arches, manifest).collect()
    };
    images.iter().flat_map(missing).collect()
}
