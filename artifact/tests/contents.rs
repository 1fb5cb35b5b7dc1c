//! What `bundle.json` may say: the example of the format's description, and what contradicts itself.

use artifact::{
    AttachmentEntry, BasePackage, ChartEntry, ConfigEntry, Contents, FileEntry, PackageEntry,
    PackageFormat, PackageSet, Release, Sha256,
};
use cluster::Arch;

/// The one block of JSON in the description.
fn example() -> String {
    let text = include_str!("../../docs/bundle-format.md");
    let (_, after) = text.split_once("```json\n").unwrap();
    after.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_example_of_the_description_is_read() {
    let contents = Contents::read(example().as_bytes()).unwrap();
    assert_eq!(String::from_utf8(contents.to_bytes()).unwrap(), example());
    let release = contents
        .release(&"v1.36.2".parse().unwrap(), "lab")
        .unwrap();
    assert_eq!(release.version_of("kubelet"), Some("v1.36.2"));
    assert_eq!(
        contents.files_of(release, "kubelet", Arch::Amd64).count(),
        1
    );
}

fn file(path: &str) -> FileEntry {
    FileEntry::new(path, 1, 0o644, Sha256::of(path.as_bytes()))
}

fn system() -> PackageSet {
    PackageSet {
        os: "debian-13".parse().unwrap(),
        arch: Arch::Amd64,
        format: PackageFormat::Deb,
        names: [].into(),
        named: [].into(),
        packages: vec![PackageEntry {
            name: "socat".into(),
            version: "1".into(),
            path: "packages/socat.deb".into(),
            needs: Vec::new(),
        }],
        base: Vec::new(),
    }
}

fn whole() -> Contents {
    let kubelet = FileEntry {
        component: Some("kubelet".into()),
        version: Some("v1.36.2".into()),
        ..file("kubelet")
    };
    Contents {
        arches: vec![Arch::Amd64],
        releases: vec![Release {
            config: Some("config.yaml".into()),
            ..Release::of("v1.36.2".parse().unwrap(), std::slice::from_ref(&kubelet))
        }],
        configs: vec![ConfigEntry {
            cluster: "c".into(),
            path: "config.yaml".into(),
            sha256: file("config.yaml").sha256,
        }],
        charts: vec![ChartEntry {
            name: "app".into(),
            version: "1.0.0".into(),
            path: "charts/app.tgz".into(),
            images: Vec::new(),
        }],
        attachments: vec![AttachmentEntry {
            path: "sbom/all.spdx.json".into(),
            media_type: "application/spdx+json".into(),
            about: "kubelet@v1.36.2".into(),
            title: None,
            origin: None,
        }],
        systems: vec![system()],
        files: vec![
            file("charts/app.tgz"),
            file("config.yaml"),
            kubelet,
            file("packages/socat.deb"),
            file("sbom/all.spdx.json"),
        ],
        ..Contents::new("c", "0.1.0")
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    assert_eq!(Contents::read(&whole().to_bytes()).unwrap(), whole());
    let with = |change: fn(&mut Contents)| {
        let mut contents = whole();
        change(&mut contents);
        let error = Contents::read(&contents.to_bytes()).unwrap_err();
        error.to_string()
    };
    let report = [
        with(|m| m.arches = vec![Arch::Arm64, Arch::Amd64]),
        with(|m| m.arches = vec![Arch::Amd64, Arch::Amd64]),
        with(|m| m.systems.push(system())),
        with(|m| m.systems[0].packages[0].path = "../../etc/passwd".into()),
        with(|m| {
            let base = BasePackage {
                name: "libc6".into(),
                at_least: None,
            };
            m.systems[0].base = vec![base.clone(), base];
        }),
        with(|m| m.releases.push(m.releases[0].clone())),
        with(|m| m.releases[0].config = Some("other.yaml".into())),
        with(|m| {
            let components = &mut m.releases[0].components;
            components.insert("kubelet".into(), "v1.36.3".into());
        }),
        with(|m| {
            let images = vec!["registry.k8s.io/pause:3.10".into()];
            m.releases[0].images = [(artifact::ImageSet::Pause, images)].into();
        }),
        with(|m| m.configs[0].sha256 = Sha256::of(b"other")),
        with(|m| m.configs.push(m.configs[0].clone())),
        with(|m| m.charts.clear()),
        with(|m| m.attachments.clear()),
        with(|m| m.charts[0].path = "kubelet".into()),
        with(|m| m.attachments[0].path = "sbom/none".into()),
        with(|m| m.charts[0].images = vec!["docker.io/a/b:1".into()]),
    ];
    insta::assert_snapshot!(report.join("\n"));
}

#[test]
fn sets_of_images_that_a_later_kubexm_knows_are_passed_over() {
    let text = String::from_utf8(whole().to_bytes()).unwrap();
    let later = text.replacen("\"images\": {}", "\"images\": {\"later\": []}", 1);
    assert_ne!(later, text);
    assert_eq!(Contents::read(later.as_bytes()).unwrap(), whole());
}
