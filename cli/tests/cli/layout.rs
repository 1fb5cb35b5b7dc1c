//! Images as small as they can be, in the layout of a tree.

use std::fs;

use artifact::{FileEntry, ImageEntry, PlatformEntry, Sha256, Tree};
use cluster::Arch;
use serde_json::json;

/// A file of the tree, written there.
pub fn put(tree: &Tree, path: &str, content: &[u8]) -> FileEntry {
    let to = tree.path(path.into());
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::write(to, content).unwrap();
    FileEntry::new(path, content.len() as u64, 0o644, Sha256::of(content))
}

fn blob(tree: &Tree, content: &str) -> FileEntry {
    let digest = Sha256::of(content.as_bytes());
    put(
        tree,
        &format!("images/blobs/sha256/{digest}"),
        content.as_bytes(),
    )
}

/// An image without layers, with its blobs.
pub fn image(tree: &Tree, reference: &str, wanted_by: &str) -> (ImageEntry, Vec<FileEntry>) {
    let config = blob(tree, &json!({ "of": reference }).to_string());
    let descriptor = json!({ "digest": config.sha256.oci(), "size": config.size });
    let manifest = json!({ "schemaVersion": 2, "config": descriptor, "layers": [] });
    let manifest = blob(tree, &manifest.to_string());
    let entry = ImageEntry {
        platforms: vec![PlatformEntry {
            arch: Arch::Amd64,
            digest: manifest.sha256,
            size: 320 << 10,
        }],
        wanted_by: vec![wanted_by.to_owned()],
        ..ImageEntry::new(reference, manifest.sha256)
    };
    (entry, vec![config, manifest])
}

/// The documents of a layout with these images.
pub fn documents(tree: &Tree, images: &[ImageEntry]) -> Vec<FileEntry> {
    let named = images
        .iter()
        .map(|image| json!({ "digest": image.digest.oci(), "size": 1 }));
    let index = json!({ "schemaVersion": 2, "manifests": named.collect::<Vec<_>>() });
    vec![
        put(tree, "images/index.json", index.to_string().as_bytes()),
        put(
            tree,
            "images/oci-layout",
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        ),
    ]
}
