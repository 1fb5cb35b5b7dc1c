use std::fmt::Write as _;

use cluster::{Arch, EtcdEntry, Version, etcd_in};

use crate::{Carries, Catalogue, Checksum, DefaultsError, Minor, ResolveError, Systems};

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn minors(catalogue: &Catalogue) -> impl Iterator<Item = Version> {
    let (oldest, newest) = catalogue.kubernetes_range().unwrap();
    (oldest.minor..=newest.minor).map(|minor| version(&format!("1.{minor}.7")))
}

#[test]
fn every_default_resolves_to_a_file_for_every_arch_and_to_its_images() {
    let catalogue = Catalogue::builtin();
    for kubernetes in minors(&catalogue) {
        let defaults = catalogue.defaults(&kubernetes).unwrap();
        assert_eq!(defaults.nearest, None, "{kubernetes}");
        for component in catalogue.components() {
            let chosen = defaults.version(component.name()).unwrap();
            for arch in component.arches(&chosen) {
                let file = component.resolve(&chosen, *arch, None).unwrap();
                assert_eq!(
                    file.arch.is_none(),
                    matches!(file.carries, Carries::Manifest(_))
                );
                assert!(file.url.starts_with("https://"), "{}", file.url);
                assert!(file.url.ends_with(file.file_name()), "{}", file.url);
            }
        }
        for set in catalogue.image_sets() {
            for image in defaults.images(set).unwrap() {
                let (repository, tag) = image.rsplit_once(':').unwrap();
                assert!(
                    repository.split('/').next().unwrap().contains('.'),
                    "{image}"
                );
                assert!(!tag.is_empty() && !tag.starts_with("vv"), "{image}");
            }
        }
    }
}

#[test]
fn every_version_of_the_table_is_used_by_a_component_or_an_image() {
    let catalogue = Catalogue::builtin();
    let defaults = catalogue.defaults(&version("1.34.0")).unwrap();
    for name in defaults.versions().keys() {
        let in_images = catalogue
            .images
            .values()
            .flatten()
            .flat_map(|image| image.reference.placeholders())
            .any(|placeholder| placeholder.0 == *name);
        assert!(
            in_images || catalogue.component(name).is_ok(),
            "{name} is used by nothing"
        );
    }
}

#[test]
fn addresses() {
    let catalogue = Catalogue::builtin();
    let defaults = catalogue.defaults(&version("v1.34.2")).unwrap();
    let mut out = String::new();
    for component in catalogue.components() {
        let chosen = defaults.version(component.name()).unwrap();
        let arch = *component.arches(&chosen).last().unwrap();
        let file = component.resolve(&chosen, arch, None).unwrap();
        let checksum = match file.checksum {
            Checksum::Beside { url } => format!("beside {url}"),
            Checksum::ListedIn { url } => format!("in {url}"),
            Checksum::Unpublished => "unpublished".to_owned(),
        };
        writeln!(
            out,
            "{}\n  {}\n  {checksum}\n  {}\n  {:?}",
            file.component, file.url, file.path, file.carries
        )
        .unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn images_of_each_release_line() {
    let catalogue = Catalogue::builtin();
    let mut out = String::new();
    for kubernetes in minors(&catalogue) {
        let defaults = catalogue.defaults(&kubernetes).unwrap();
        writeln!(
            out,
            "{kubernetes} etcd {}",
            defaults.version("etcd").unwrap()
        )
        .unwrap();
        for set in catalogue.image_sets() {
            writeln!(out, "  {set}: {}", defaults.images(set).unwrap().join(" ")).unwrap();
        }
    }
    insta::assert_snapshot!(out);
}

#[test]
fn etcd_of_the_image_is_of_the_minor_of_the_program_and_no_newer() {
    let catalogue = Catalogue::builtin();
    for kubernetes in minors(&catalogue) {
        // The last patches': earlier ones are listed apart.
        let last = version(&format!("1.{}.99", kubernetes.minor().1));
        let defaults = catalogue.defaults(&last).unwrap();
        let program = defaults.version("etcd").unwrap().without_v();
        let image = defaults.images("etcd").unwrap().remove(0);
        let image = image.strip_prefix("registry.k8s.io/etcd:").unwrap();
        let image = version(image.strip_suffix("-0").unwrap());
        let program = version(&program);
        assert!(
            image <= program && image.minor() == program.minor(),
            "{image} {program}"
        );
    }
}

#[test]
fn the_last_etcd_of_a_minor_is_one_that_the_next_may_follow() {
    let catalogue = Catalogue::builtin();
    let etcd = |kubernetes: &Version| {
        let last = version(&format!("1.{}.99", kubernetes.minor().1));
        let defaults = catalogue.defaults(&last).unwrap();
        version(&defaults.version("etcd").unwrap().without_v())
    };
    let minors: Vec<Version> = minors(&catalogue).collect();
    let mut entered = 0;
    for pair in minors.windows(2) {
        let (before, after) = (etcd(&pair[0]), etcd(&pair[1]));
        let Some(entry) = EtcdEntry::of(&before, &after) else {
            continue;
        };
        entered += 1;
        assert!(before >= entry.advised, "{before} -> {after}");
        // And so is the image that those by kubeadm become first.
        let defaults = catalogue.defaults(&pair[1]).unwrap();
        let image = defaults.images("etcd-previous").unwrap().remove(0);
        let previous = etcd_in(image.rsplit_once(':').unwrap().1).unwrap();
        assert!(previous >= entry.advised, "{image} -> {after}");
        assert_eq!(previous.minor(), before.minor(), "{image} -> {after}");
    }
    assert!(entered > 0);
}

#[test]
fn early_patches_ask_for_the_older_etcd() {
    let catalogue = Catalogue::builtin();
    for (kubernetes, etcd) in [
        ("1.28.5", "3.5.9-0"),
        ("1.28.14", "3.5.15-0"),
        ("1.29.10", "3.5.15-0"),
        ("1.29.11", "3.5.16-0"),
        ("1.31.0", "3.5.15-0"),
        ("1.32.9", "3.5.16-0"),
        ("1.32.10", "3.5.24-0"),
        ("1.34.1", "3.6.4-0"),
        ("1.34.2", "3.6.5-0"),
    ] {
        let images = catalogue.defaults(&version(kubernetes)).unwrap();
        let images = images.images("etcd").unwrap();
        assert_eq!(
            images,
            [format!("registry.k8s.io/etcd:{etcd}")],
            "{kubernetes}"
        );
    }
}

#[test]
fn early_patches_ask_for_the_older_coredns() {
    let catalogue = Catalogue::builtin();
    for (kubernetes, coredns) in [
        ("1.30.0", "1.11.1"),
        ("1.30.4", "1.11.1"),
        ("1.30.5", "1.11.3"),
        ("1.31.0", "1.11.1"),
        ("1.31.1", "1.11.3"),
    ] {
        let images = catalogue
            .defaults(&version(kubernetes))
            .unwrap()
            .images("coredns")
            .unwrap();
        assert_eq!(
            images,
            [format!("registry.k8s.io/coredns/coredns:v{coredns}")],
            "{kubernetes}"
        );
    }
}

#[test]
fn a_release_line_newer_than_the_table_takes_the_defaults_of_the_nearest() {
    let catalogue = Catalogue::builtin();
    let (_, newest) = catalogue.kubernetes_range().unwrap();
    let defaults = catalogue.defaults(&version("1.99.0")).unwrap();
    assert_eq!(defaults.nearest, Some(newest));
    let file = catalogue
        .component("kubelet")
        .unwrap()
        .resolve(&defaults.version("kubelet").unwrap(), Arch::Amd64, None)
        .unwrap();
    assert_eq!(
        file.url,
        "https://dl.k8s.io/release/v1.99.0/bin/linux/amd64/kubelet"
    );
    assert_eq!(
        defaults.images("kube-proxy").unwrap(),
        ["registry.k8s.io/kube-proxy:v1.99.0"]
    );
}

#[test]
fn a_pre_release_resolves_like_the_release_it_leads_to() {
    let catalogue = Catalogue::builtin();
    let file = catalogue.component("etcd").unwrap();
    let file = file.resolve(&version("3.7.0-rc.1"), Arch::Arm64, None);
    let file = file.unwrap();
    assert_eq!(
        file.path,
        "etcd/v3.7.0-rc.1/arm64/etcd-v3.7.0-rc.1-linux-arm64.tar.gz"
    );
}

#[test]
fn systems_with_an_older_glibc_get_the_static_containerd() {
    let catalogue = Catalogue::builtin();
    let systems = Systems::builtin();
    let file = |chosen: &str, os: &str| {
        let component = catalogue.component("containerd").unwrap();
        let glibc = systems.system(&os.parse().unwrap()).unwrap().glibc();
        let file = component.resolve(&version(chosen), Arch::Amd64, Some(glibc));
        file.unwrap().file_name().to_owned()
    };
    for (chosen, os, name) in [
        (
            "2.1.9",
            "rocky-8",
            "containerd-static-2.1.9-linux-amd64.tar.gz",
        ),
        (
            "2.1.9",
            "openeuler-22.03",
            "containerd-static-2.1.9-linux-amd64.tar.gz",
        ),
        (
            "1.7.34",
            "rocky-9",
            "containerd-static-1.7.34-linux-amd64.tar.gz",
        ),
        ("1.6.36", "rocky-9", "containerd-1.6.36-linux-amd64.tar.gz"),
        (
            "2.1.9",
            "ubuntu-22.04",
            "containerd-2.1.9-linux-amd64.tar.gz",
        ),
        ("2.1.9", "debian-12", "containerd-2.1.9-linux-amd64.tar.gz"),
    ] {
        assert_eq!(file(chosen, os), name, "{os}");
    }
}

#[test]
fn harbor_has_an_installer_for_each_architecture_since_2_16() {
    let catalogue = Catalogue::builtin();
    let url = |chosen: &str, arch| {
        let harbor = catalogue.component("harbor").unwrap();
        harbor.resolve(&version(chosen), arch, None).unwrap().url
    };
    let from = "https://github.com/goharbor/harbor/releases/download";
    assert_eq!(
        url("2.15.2", Arch::Amd64),
        format!("{from}/v2.15.2/harbor-offline-installer-v2.15.2.tgz")
    );
    assert_eq!(
        url("2.16.0", Arch::Arm64),
        format!("{from}/v2.16.0/harbor-offline-installer-v2.16.0-arm64.tgz")
    );
}

#[test]
fn a_chosen_version_carries_through_to_its_images() {
    let catalogue = Catalogue::builtin();
    let mut defaults = catalogue.defaults(&version("1.34.0")).unwrap();
    defaults.choose("calico", &version("v3.30.1"));
    defaults.choose_image("etcd-image", "3.6.9-1");
    assert_eq!(
        defaults.images("etcd").unwrap(),
        ["registry.k8s.io/etcd:3.6.9-1"]
    );
    assert_eq!(
        defaults.images("calico").unwrap()[0],
        "docker.io/calico/cni:v3.30.1"
    );
}

#[test]
fn what_cannot_be_had_says_why() {
    let catalogue = Catalogue::builtin();
    let resolve = |name: &str, chosen: &str, arch| {
        catalogue
            .component(name)
            .and_then(|found| found.resolve(&version(chosen), arch, None))
    };
    let said = |error: ResolveError| error.to_string();
    insta::assert_snapshot!(
        said(resolve("harbor", "2.14.0", Arch::Arm64).unwrap_err()),
        @"harbor v2.14.0 is not made for arm64: upstream releases it for amd64 only"
    );
    insta::assert_snapshot!(
        said(resolve("etcd", "3.3.1", Arch::Amd64).unwrap_err()),
        @"etcd v3.3.1 is older than the oldest supported release (>=3.4.0)"
    );
    insta::assert_snapshot!(
        said(resolve("ectd", "3.5.1", Arch::Amd64).unwrap_err()),
        @"the catalogue has no component 'ectd'"
    );
    let error = catalogue.defaults(&version("1.19.0")).unwrap_err();
    assert_eq!(
        error,
        DefaultsError::TooOld {
            version: version("1.19.0"),
            oldest: Minor {
                major: 1,
                minor: 24
            }
        }
    );
    insta::assert_snapshot!(
        error.to_string(),
        @"Kubernetes v1.19.0 is older than the oldest release line supported, 1.24"
    );
}

#[test]
fn an_upgrade_leaves_out_no_minor() {
    let catalogue = Catalogue::builtin();
    let hops = |from: &str, to: &str| {
        let hops = catalogue.hops(&from.parse().unwrap(), &to.parse().unwrap());
        hops.map_or_else(
            |error| error.to_string(),
            |hops| {
                hops.iter()
                    .map(Version::with_v)
                    .collect::<Vec<_>>()
                    .join(" ")
            },
        )
    };
    let told = [
        hops("v1.35.1", "v1.36.2"),
        hops("v1.36.1", "v1.36.2"),
        hops("v1.31.4", "v1.34.2"),
        hops("v1.36.2", "v1.36.2"),
        hops("v1.36.2", "v1.35.8"),
        hops("v1.23.4", "v1.25.0"),
        hops("v1.36.2", "v1.39.0"),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    v1.36.2
    v1.36.2
    v1.32.13 v1.33.8 v1.34.2
    Kubernetes v1.36.2 is not older than v1.36.2
    Kubernetes v1.36.2 is not older than v1.35.8
    Kubernetes v1.23.4 is older than the oldest release line supported, 1.24
    the way from Kubernetes v1.36.2 to v1.39.0 leads through 1.37, of which this kubexm knows no patch
    ");
}

#[test]
fn the_newest_patch_of_each_minor_is_one_of_it() {
    let table = Catalogue::builtin().kubernetes;
    let (oldest, newest) = table.range().unwrap();
    for minor in oldest.minor..=newest.minor {
        let from = Version::new(1, oldest.minor, 0);
        let hops = table
            .hops(&from, &Version::new(1, newest.minor + 1, 0))
            .unwrap();
        let of = hops.iter().filter(|hop| hop.minor() == (1, minor)).count();
        assert_eq!(of, usize::from(minor > oldest.minor), "1.{minor}");
    }
}
