//! The proof that whoever stands at the site will miss nothing.

use std::collections::BTreeSet;

use artifact::{Manifest, Missing, Tree};
use cluster::Cluster;

use crate::resolve::Wanted;

/// What the stages of an installation would ask for and not find, each with who asks.
pub(crate) fn missing(
    cluster: &Cluster,
    wanted: &Wanted,
    manifest: &Manifest,
    tree: &Tree,
) -> Vec<Missing> {
    let mut missing = BTreeSet::new();
    for need in &wanted.needs {
        for arch in need.arches(cluster, &wanted.arches) {
            missing.extend(need.missing_from(manifest, arch));
        }
    }
    for image in &wanted.images {
        let held = manifest
            .images
            .iter()
            .find(|held| held.reference == image.reference);
        for arch in &wanted.arches {
            let there = held.is_some_and(|held| held.platforms.iter().any(|p| p.arch == *arch));
            if !there {
                missing.insert(Missing {
                    what: format!("image {}", image.reference),
                    arch: *arch,
                    wanted_by: image.wanted_by.join(", "),
                });
            }
        }
    }
    for file in &wanted.files {
        let held = manifest
            .files
            .iter()
            .find(|held| held.path == file.file.path.as_str());
        let whole = held.is_some_and(|held| {
            std::fs::metadata(tree.path(&held.path)).is_ok_and(|meta| meta.len() == held.size)
        });
        if !whole {
            missing.insert(Missing {
                what: file.file.path.clone(),
                arch: file.file.arch,
                wanted_by: file.wanted_by.join(", "),
            });
        }
    }
    missing.into_iter().collect()
}
