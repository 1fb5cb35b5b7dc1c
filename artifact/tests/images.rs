//! A bundle is good when all of each of its images is there.

mod common;

use artifact::{FileEntry, ImageEntry, PlatformEntry, Sha256};
use cluster::Arch;
use serde_json::{Value, json};

use crate::common::{Site, verify};

/// An image of one layer, for one architecture, in a layout.
struct Pause {
    site: Site,
    config: Sha256,
    layer: Sha256,
    manifest: Sha256,
    root: Sha256,
}

fn put(site: &mut Site, content: &[u8]) -> Sha256 {
    let digest = Sha256::of(content);
    site.add(&format!("images/blobs/sha256/{digest}"), 0o644, content);
    digest
}

fn part(digest: Sha256, size: usize) -> Value {
    json!({ "digest": digest.oci(), "size": size })
}

impl Pause {
    fn new() -> Self {
        let mut site = Site::empty();
        let config = put(&mut site, b"{}");
        let layer = put(&mut site, b"layer");
        let one = json!({ "config": part(config, 2), "layers": [part(layer, 5)] }).to_string();
        let manifest = put(&mut site, one.as_bytes());
        let index = json!({ "manifests": [part(manifest, one.len())] }).to_string();
        let root = put(&mut site, index.as_bytes());
        site.add("images/oci-layout", 0o644, b"{}");
        let mut pause = Self {
            site,
            config,
            layer,
            manifest,
            root,
        };
        pause.name(root);
        let platform = PlatformEntry {
            arch: Arch::Amd64,
            digest: manifest,
            size: 7,
        };
        pause.site.contents.images.push(ImageEntry {
            platforms: vec![platform],
            ..ImageEntry::new("registry.k8s.io/pause:3.10", root)
        });
        pause.site.sort();
        pause
    }

    /// Has `index.json` name this.
    fn name(&mut self, digest: Sha256) {
        let path = "images/index.json";
        self.site.contents.files.retain(|file| file.path != path);
        let index = json!({ "manifests": [part(digest, 1)] }).to_string();
        self.site.add(path, 0o644, index.as_bytes());
        self.site.sort();
    }

    fn without(mut self, digest: Sha256) -> Self {
        let path = format!("images/blobs/sha256/{digest}");
        self.site.contents.files.retain(|file| file.path != path);
        self
    }

    /// How it is refused, when it is packed or when it is verified.
    fn refused(&self) -> String {
        let said = if let Err(error) = self.site.pack_as("bundle.tar.zst", 1, None) {
            error.to_string()
        } else {
            let path = self.site.path("bundle.tar.zst");
            let error = verify(&path).unwrap_err();
            format!("verify: {error}").replace(path.as_str(), "BUNDLE")
        };
        let names = [
            (self.config, "CONFIG"),
            (self.layer, "LAYER"),
            (self.manifest, "MANIFEST"),
            (self.root, "ROOT"),
        ];
        let told = names.iter().fold(said, |said, (digest, name)| {
            said.replace(&digest.to_string(), name)
        });
        told.replace(&Sha256::of(b"other").to_string(), "OTHER")
    }
}

#[test]
fn all_of_an_image_is_in_the_bundle() {
    verify(&Pause::new().site.packed()).unwrap();
    let with = |change: fn(&mut Pause)| {
        let mut pause = Pause::new();
        change(&mut pause);
        pause.refused()
    };
    let of = |pause: Pause| pause.refused();
    let (config, layer, manifest, root) = {
        let p = Pause::new();
        (p.config, p.layer, p.manifest, p.root)
    };
    let report = [
        of(Pause::new().without(config)),
        of(Pause::new().without(layer)),
        of(Pause::new().without(manifest)),
        of(Pause::new().without(root)),
        with(|p| p.name(p.layer)),
        with(|p| p.site.contents.images[0].platforms[0].digest = p.layer),
        with(|p| p.site.contents.images[0].digest = p.layer),
        with(|p| p.site.contents.images[0].upstream = Sha256::of(b"other")),
        with(|p| p.site.contents.images[0].referrers = vec![Sha256::of(b"other")]),
        with(|p| p.site.contents.images[0].reference = "../../../evil:1".into()),
        with(|p| {
            let twice = p.site.contents.images[0].clone();
            p.site.contents.images.push(twice);
        }),
        with(|p| {
            p.site
                .contents
                .files
                .retain(|file| file.path != "images/oci-layout");
        }),
        with(|p| {
            let other = FileEntry::new(
                format!("images/blobs/sha256/{}", Sha256::of(b"other")),
                1,
                0o644,
                Sha256::of(b"1"),
            );
            p.site.contents.files.push(other);
            p.site.sort();
        }),
    ];
    insta::assert_snapshot!(report.join("\n"));
}
