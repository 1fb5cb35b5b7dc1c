//! Whole plans of the example configs, as people read them.

use std::collections::BTreeSet;

use artifact::{
    FORMAT, FileEntry, ImageEntry, Manifest, PlatformEntry, Program, Sha256, Tree, What, needs,
};
use cluster::{Arch, Cluster};
use pipeline::{PipelineError, Site, install};

fn config(text: &str) -> Cluster {
    cluster::parse("config.yaml", text).unwrap().cluster
}

/// A bundle that holds everything the config asks for.
fn complete(cluster: &Cluster) -> Manifest {
    let arches: Vec<Arch> = cluster.arches().into_iter().collect();
    let (mut files, mut images) = (Vec::new(), Vec::new());
    for need in needs(cluster) {
        match need.what {
            What::Component { name, programs } => {
                files.extend(arches.iter().map(|arch| archive(name, programs, *arch)));
            }
            What::Images { set } => {
                images.push(image(format!("registry.k8s.io/{set}:1"), &need.wanted_by, &arches));
            }
            What::Image { reference } => images.push(image(reference, &need.wanted_by, &arches)),
        }
    }
    Manifest {
        format: FORMAT,
        cluster: cluster.name().into(),
        kubexm: "0.1.0".into(),
        arches,
        files,
        images,
    }
}

fn archive(component: &str, programs: &[&str], arch: Arch) -> FileEntry {
    let program = |name: &&str| Program {
        name: (*name).into(),
        member: Some(format!("bin/{name}")),
        size: 1 << 20,
        sha256: Sha256::of(name.as_bytes()),
    };
    FileEntry {
        path: format!("{component}/v1.2.3/{arch}/{component}.tar.gz").into(),
        size: 1 << 20,
        mode: 0o644,
        sha256: Sha256::of(component.as_bytes()),
        component: Some(component.into()),
        version: Some("v1.2.3".into()),
        arch: Some(arch),
        origin: None,
        checksum_from: None,
        programs: programs.iter().map(program).collect(),
    }
}

fn image(reference: String, wanted_by: &str, arches: &[Arch]) -> ImageEntry {
    let digest = Sha256::of(reference.as_bytes());
    let platform = |arch: &Arch| PlatformEntry { arch: *arch, digest, size: 1 << 20 };
    ImageEntry {
        digest,
        platforms: arches.iter().map(platform).collect(),
        reference,
        wanted_by: vec![wanted_by.into()],
    }
}

fn plan(text: &str) -> String {
    let cluster = config(text);
    let manifest = complete(&cluster);
    let tree = Tree::at(format!("/work/.kubexm/{}", cluster.name()));
    install(&Site::new(cluster, manifest, tree, None)).unwrap().tree()
}

#[test]
fn the_examples_as_plans() {
    insta::assert_snapshot!("three-etcd", plan(include_str!("../../../examples/three-etcd.yaml")));
    insta::assert_snapshot!("minimal", plan(include_str!("../../../examples/minimal.yaml")));
}

#[test]
fn without_a_registry_host_every_node_gets_the_images() {
    let text = include_str!("../../../examples/three-etcd.yaml").replace("    registry: [registry1]\n", "");
    let plan = plan(&text);
    assert!(!plan.contains("registry:"), "{plan}");
    insta::assert_snapshot!("without-registry", plan);
}

#[test]
fn a_renamed_host_is_renamed_only_if_asked() {
    let text = include_str!("../../../examples/three-etcd.yaml");
    assert!(!plan(text).contains("hostname"));
    let asked = text.replace("  roleGroups:", "  system: {setHostname: true}\n  roleGroups:");
    assert!(plan(&asked).contains("set the hostname to node1"));
}

#[test]
fn what_the_bundle_lacks_is_told_as_one_list_before_anything_is_touched() {
    let cluster = config(include_str!("../../../examples/three-etcd.yaml"));
    let mut manifest = complete(&cluster);
    let lost: BTreeSet<&str> = ["etcd", "runc"].into();
    manifest.files.retain(|file| !lost.contains(file.component.as_deref().unwrap()));
    manifest.images.retain(|image| !image.reference.contains("/pause"));
    let tree = Tree::at("/work/.kubexm/three-etcd");
    let error = install(&Site::new(cluster, manifest, tree, None)).err().unwrap();
    assert!(matches!(error, PipelineError::Missing(_)));
    insta::assert_snapshot!(error, @"");
    insta::assert_snapshot!(error.hint().unwrap(), @"");
}

#[test]
fn another_version_than_the_bundle_s_is_refused() {
    let text = include_str!("../../../examples/three-etcd.yaml");
    let asked = text.replace("    dataDir: /var/lib/etcd", "    dataDir: /var/lib/etcd\n    version: 3.6.9");
    let cluster = config(&asked);
    let manifest = complete(&cluster);
    let tree = Tree::at("/work/.kubexm/three-etcd");
    let error = install(&Site::new(cluster, manifest, tree, None)).err().unwrap();
    insta::assert_snapshot!(error, @"");
}
