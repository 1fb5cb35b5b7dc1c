//! How much will be put where.

use artifact::ImageEntry;
use cluster::Arch;
use step::{Space, SystemPackages};

use crate::{Site, programs};

/// The files of packages while they are installed from, and what comes out of them: three times as much, mostly.
pub(super) fn packages_space(systems: &[SystemPackages]) -> Vec<Space> {
    let size = |system: &SystemPackages| -> u64 {
        let files = system.packages.iter().map(|package| package.file.size);
        files.sum()
    };
    let files = systems.iter().map(size).max().unwrap_or_default();
    [("/var/lib/kubexm", files), ("/usr", 3 * files)]
        .map(|(path, bytes)| Space {
            path: path.to_owned(),
            bytes,
            of: "packages of the system",
        })
        .into_iter()
        .filter(|space| space.bytes > 0)
        .collect()
}

pub(super) fn programs_space(site: &Site, component: &'static str, arch: Arch) -> Space {
    let bytes = programs::size(site, component, arch);
    Space {
        path: "/usr/local/bin".to_owned(),
        bytes,
        of: component,
    }
}

/// The user's own images are pulled from the registry where they are needed; without one, every node holds them all.
pub(super) fn comes_to_every_node(site: &Site, image: &ImageEntry) -> bool {
    !site.cluster.has_registry() || image.wanted_by.iter().any(|by| by != "spec.images")
}

/// The compressed size of these images, each for these architectures.
pub(super) fn images_size(site: &Site, counts: impl Fn(&ImageEntry, Arch) -> bool) -> u64 {
    let images = site.contents.images.iter();
    images
        .flat_map(|image| {
            image
                .platforms
                .iter()
                .map(move |platform| (image, platform))
        })
        .filter(|(image, platform)| counts(image, platform.arch))
        .map(|(_, platform)| platform.size)
        .sum()
}
