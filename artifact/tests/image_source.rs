//! Images from outside of a bundle, as skopeo writes them.

use std::fs;
use std::process::Command;

use artifact::{ImageSource, Sha256};
use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

const CONFIG: &str = r#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:LAYER"]}}"#;
const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:CONFIG","size":SIZE},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:LAYER","size":TAR}]}"#;

struct World {
    temp: TempDir,
}

impl World {
    /// A layout with one image, which has no full name.
    fn new() -> Self {
        let world = Self {
            temp: TempDir::new().unwrap(),
        };
        let layout = world.at("layout");
        fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        let put = |bytes: &[u8]| {
            let digest = Sha256::of(bytes).to_string();
            fs::write(layout.join("blobs/sha256").join(&digest), bytes).unwrap();
            digest
        };
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o644);
        tar.append_data(&mut header, "file", &b"one"[..]).unwrap();
        let tar = tar.into_inner().unwrap();
        let layer = put(&tar);
        let text = CONFIG.replace("LAYER", &layer);
        let config = put(text.as_bytes());
        let manifest = MANIFEST
            .replace("CONFIG", &config)
            .replace("LAYER", &layer)
            .replace("SIZE", &text.len().to_string())
            .replace("TAR", &tar.len().to_string());
        let digest = put(manifest.as_bytes());
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{digest}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"x"}}}}]}}"#,
            manifest.len()
        );
        fs::write(layout.join("index.json"), index).unwrap();
        fs::write(
            layout.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
        world
    }

    fn at(&self, name: &str) -> Utf8PathBuf {
        let temp = Utf8Path::from_path(self.temp.path()).unwrap();
        temp.join(name)
    }

    fn skopeo(&self, to: &str) {
        let from = format!("oci:{}:x", self.at("layout"));
        let copied = Command::new("skopeo")
            .args(["copy", "-q", &from, to])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&copied.stderr).into_owned();
        assert!(copied.status.success(), "{said}");
    }

    fn open(&self, name: &str, references: &[&str]) -> Result<ImageSource, String> {
        let scratch = self.at(&format!("scratch-{name}"));
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir(&scratch).unwrap();
        let references: Vec<String> = references.iter().map(|name| (*name).to_owned()).collect();
        let path = self.at(name);
        ImageSource::open(&path, &scratch)
            .and_then(|source| source.choose(&path, &references))
            .map_err(|error| {
                let told = match error.hint() {
                    Some(hint) => format!("{error}\nhint: {hint}"),
                    None => error.to_string(),
                };
                told.replace(self.at("").as_str(), "")
            })
    }
}

/// Each blob that the image's manifest names is where a layout has it.
fn is_whole(source: &ImageSource, name: &str) {
    assert_eq!(source.images[0].reference, name);
    let blob = |digest: &str| {
        let path = source.layout.join("blobs/sha256").join(digest);
        let bytes = fs::read(path).unwrap();
        assert_eq!(Sha256::of(&bytes).to_string(), digest);
        bytes
    };
    let manifest = blob(&source.images[0].digest.to_string());
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let parts = manifest["layers"].as_array().unwrap().iter();
    for part in parts.chain([&manifest["config"]]) {
        let digest = part["digest"].as_str().unwrap();
        let bytes = blob(digest.strip_prefix("sha256:").unwrap());
        assert_eq!(part["size"], bytes.len());
    }
}

#[test]
fn what_docker_saves_becomes_a_layout() {
    let world = World::new();
    world.skopeo(&format!(
        "docker-archive:{}:quay.io/own/tool:2",
        world.at("saved.tar")
    ));
    is_whole(&world.open("saved.tar", &[]).unwrap(), "quay.io/own/tool:2");
    is_whole(
        &world.open("saved.tar", &["quay.io/own/tool:2"]).unwrap(),
        "quay.io/own/tool:2",
    );
}

#[test]
fn a_layout_and_a_tar_of_one_are_the_same() {
    let world = World::new();
    world.skopeo(&format!("oci-archive:{}:x", world.at("oci.tar")));
    for name in ["layout", "oci.tar"] {
        let source = world.open(name, &["docker.io/own/tool:2"]).unwrap();
        is_whole(&source, "docker.io/own/tool:2");
    }
}

#[test]
fn what_is_no_image_is_refused() {
    let world = World::new();
    fs::write(world.at("text.tar"), "no tar at all").unwrap();
    fs::create_dir(world.at("empty")).unwrap();
    world.skopeo(&format!(
        "docker-archive:{}:quay.io/own/tool:2",
        world.at("saved.tar")
    ));
    let mut tar = tar::Builder::new(fs::File::create(world.at("evil.tar")).unwrap());
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..4].copy_from_slice(b"../x");
    header.set_size(0);
    header.set_cksum();
    tar.append(&header, &b""[..]).unwrap();
    tar.finish().unwrap();
    let told = [
        world.open("text.tar", &[]),
        world.open("empty", &[]),
        world.open("evil.tar", &[]),
        world.open("layout", &[]),
        world.open("saved.tar", &["quay.io/own/other:1"]),
    ];
    let told: Vec<String> = told.into_iter().map(Result::unwrap_err).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    text.tar is neither an OCI layout nor an archive of images
    hint: give a folder with index.json, or a tar as docker save, podman save, skopeo or ctr write it
    empty is neither an OCI layout nor an archive of images
    hint: give a folder with index.json, or a tar as docker save, podman save, skopeo or ctr write it
    evil.tar is damaged: it has a member '../x'
    layout has 1 without a full name
    hint: a source of one image takes its name as REF: kubexm images push SOURCE HOST/NAME:TAG -f config.yaml
    saved.tar has no image quay.io/own/other:1
    hint: it has quay.io/own/tool:2
    ");
}
