use super::*;

fn cluster(spec: &str) -> Cluster {
    serde_json::from_str(&format!(
        r#"{{"apiVersion":"kubexm.mensylisir.io/v1alpha1","kind":"Cluster",
            "metadata":{{"name":"example"}},"spec":{spec}}}"#
    ))
    .unwrap()
}

fn asked(spec: &str) -> Vec<String> {
    needs(&cluster(spec))
        .into_iter()
        .map(|need| match need.what {
            What::Component { name, .. } => format!("{name} <- {}", need.wanted_by),
            What::Images { set } => format!("images {set} <- {}", need.wanted_by),
            What::Image { reference, .. } => format!("image {reference} <- {}", need.wanted_by),
            What::Package { package, .. } => format!("package {package} <- {}", need.wanted_by),
            What::Addon { name, .. } => format!("addon {name} <- {}", need.wanted_by),
        })
        .collect()
}

#[test]
fn each_part_of_the_config_asks_for_what_it_uses() {
    let kubeadm = asked(
        r#"{"kubernetes":{"type":"kubeadm"},"etcd":{"type":"kubeadm"},"tools":[],
            "network":{"plugin":"flannel"},"images":["ghcr.io/me/app:1"]}"#,
    );
    for expected in [
        "kubeadm <- kubernetes kubeadm",
        "images control-plane <- kubernetes kubeadm",
        "images etcd <- etcd kubeadm",
        "flannel <- network flannel",
        "images flannel <- network flannel",
        "image ghcr.io/me/app:1 <- spec.images",
        "runc <- containerRuntime containerd",
    ] {
        assert!(
            kubeadm.iter().any(|need| need == expected),
            "{expected}: {kubeadm:#?}"
        );
    }
    for unwanted in ["etcd <-", "kube-apiserver", "registry", "helm", "calico"] {
        assert!(
            !kubeadm.iter().any(|need| need.starts_with(unwanted)),
            "{unwanted}"
        );
    }

    let binaries = asked(
        r#"{"roleGroups":{"registry":["r"]},"registry":{"type":"harbor"},
            "kubernetes":{"containerRuntime":{"type":"cri-o"}}}"#,
    );
    for expected in [
        "etcd <- etcd kubexm",
        "kube-apiserver <- kubernetes kubexm",
        "cri-o <- containerRuntime cri-o",
        "harbor <- role registry (harbor)",
        "docker-compose <- role registry (harbor)",
        "calico <- network calico",
        "calicoctl <- network calico",
        "calicoctl <- tools",
    ] {
        assert!(
            binaries.iter().any(|need| need == expected),
            "{expected}: {binaries:#?}"
        );
    }
}

#[test]
fn an_empty_bundle_lacks_everything_and_says_who_asks() {
    let bundle = Contents {
        arches: vec![Arch::Amd64],
        ..Contents::new("example", "0")
    };
    let release = Release::new("v1.34.2".parse().unwrap());
    let all = needs(&cluster("{}"));
    for need in &all {
        assert_eq!(
            need.missing_from(&bundle, &release, Arch::Amd64).len(),
            1,
            "{need:?}"
        );
    }
    assert_eq!(
        all[0].missing_from(&bundle, &release, Arch::Amd64)[0].to_string(),
        "containerd for amd64, wanted by containerRuntime containerd"
    );
}

/// Two releases of Kubernetes in one bundle, with the same set of images in another version.
fn two_releases() -> Contents {
    let image = |tag: &str, arch| crate::ImageEntry {
        platforms: vec![crate::PlatformEntry {
            arch,
            digest: crate::Sha256::of(tag.as_bytes()),
            size: 1,
        }],
        ..crate::ImageEntry::new(
            format!("registry.k8s.io/{tag}"),
            crate::Sha256::of(tag.as_bytes()),
        )
    };
    let file = |version: &str| crate::FileEntry {
        component: Some("kubelet".into()),
        version: Some(version.into()),
        arch: Some(Arch::Amd64),
        ..crate::FileEntry::new(
            format!("kubelet/{version}/amd64/kubelet"),
            1,
            0o755,
            crate::Sha256::of(version.as_bytes()),
        )
    };
    let release = |version: &str, images: &[&str]| {
        let images = images.iter().map(|tag| format!("registry.k8s.io/{tag}"));
        Release {
            images: [(ImageSet::ControlPlane, images.collect())].into(),
            ..Release::of(version.parse().unwrap(), &[file(version)])
        }
    };
    Contents {
        files: vec![file("v1.34.2"), file("v1.35.0")],
        images: vec![
            image("a:v1.34.2", Arch::Amd64),
            image("a:v1.35.0", Arch::Amd64),
            image("b:v1.34.2", Arch::Amd64),
            image("b:v1.35.0", Arch::Arm64),
        ],
        releases: vec![
            release("v1.34.2", &["a:v1.34.2", "b:v1.34.2"]),
            release("v1.35.0", &["a:v1.35.0", "b:v1.35.0"]),
        ],
        ..Contents::new("c", "0")
    }
}

#[test]
fn each_release_of_a_bundle_has_its_own_versions_and_images() {
    let bundle = two_releases();
    let of = |version: &str| bundle.release(&version.parse().unwrap(), "c").unwrap();
    let files = |version: &str| -> Vec<&str> {
        let files = bundle.files_of(of(version), "kubelet", Arch::Amd64);
        files.map(|file| file.path.as_str()).collect()
    };
    assert_eq!(files("v1.34.2"), ["kubelet/v1.34.2/amd64/kubelet"]);
    assert_eq!(files("v1.35.0"), ["kubelet/v1.35.0/amd64/kubelet"]);
    assert_eq!(of("v1.35.0").version_of("kubelet"), Some("v1.35.0"));
    assert_eq!(bundle.release(&"v1.36.0".parse().unwrap(), "c"), None);
}

#[test]
fn a_set_of_images_is_there_when_all_of_it_is() {
    let bundle = two_releases();
    let need = images("kubernetes kubeadm", ImageSet::ControlPlane);
    let missing = |version: &str, arch| {
        let release = bundle.release(&version.parse().unwrap(), "c").unwrap();
        let missing = need.missing_from(&bundle, release, arch);
        missing.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(missing("v1.34.2", Arch::Amd64), Vec::<String>::new());
    assert_eq!(
        missing("v1.35.0", Arch::Amd64),
        ["image registry.k8s.io/b:v1.35.0 for amd64, wanted by kubernetes kubeadm"]
    );
}
