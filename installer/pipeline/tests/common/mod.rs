//! Bundles that hold what a config asks for, by name.

use std::collections::BTreeMap;

use artifact::{
    Contents, FileEntry, ImageEntry, PlatformEntry, Program, Release, Sha256, What, needs,
};
use cluster::{Arch, Cluster};

pub fn config(text: &str) -> Cluster {
    cluster::parse("config.yaml", text).unwrap().cluster
}

/// A bundle that holds everything the config asks for.
pub fn complete(cluster: &Cluster) -> Contents {
    let arches: Vec<Arch> = cluster.arches().into_iter().collect();
    let (mut files, mut images, mut sets) = (Vec::new(), Vec::new(), BTreeMap::new());
    for need in needs(cluster) {
        match need.what {
            What::Component { name, programs } => {
                let version = match name {
                    "kubelet" => cluster.spec.kubernetes.version.with_v(),
                    _ => "v1.2.3".to_owned(),
                };
                files.extend(
                    arches
                        .iter()
                        .map(|arch| archive(name, &version, programs, *arch)),
                );
            }
            What::Images { set } => {
                let reference = format!("registry.k8s.io/{set}:1");
                sets.insert(set, vec![reference.clone()]);
                images.push(image(reference, &need.wanted_by, &arches));
            }
            What::Image { reference, .. } => {
                images.push(image(reference, &need.wanted_by, &arches));
            }
            What::Package { .. } | What::Addon { .. } => {}
        }
    }
    // Several may ask for the same.
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    let release = Release {
        images: sets,
        ..Release::of(cluster.spec.kubernetes.version.clone(), &files)
    };
    Contents {
        releases: vec![release],
        arches,
        files,
        images,
        ..Contents::new(cluster.name(), "0.1.0")
    }
}

fn archive(component: &str, version: &str, programs: &[&str], arch: Arch) -> FileEntry {
    let program = |name: &&str| Program {
        name: (*name).into(),
        // Those of Kubernetes come as they are, not in an archive.
        member: (!component.starts_with("kube")).then(|| format!("bin/{name}")),
        size: 1 << 20,
        sha256: Sha256::of(name.as_bytes()),
    };
    FileEntry {
        component: Some(component.into()),
        version: Some(version.into()),
        arch: Some(arch),
        programs: programs.iter().map(program).collect(),
        ..FileEntry::new(
            format!("{component}/{version}/{arch}/{component}.tar.gz"),
            1 << 20,
            0o644,
            Sha256::of(component.as_bytes()),
        )
    }
}

fn image(reference: String, wanted_by: &str, arches: &[Arch]) -> ImageEntry {
    let digest = Sha256::of(reference.as_bytes());
    let platform = |arch: &Arch| PlatformEntry {
        arch: *arch,
        digest,
        size: 1 << 20,
    };
    ImageEntry {
        platforms: arches.iter().map(platform).collect(),
        wanted_by: vec![wanted_by.into()],
        ..ImageEntry::new(reference, digest)
    }
}
