//! What the site's registry asks of its host.

use cluster::Host;
use step::{Mounted, Port, Requirements, Space};

use super::space::{images_size, programs_space};
use crate::Site;
use crate::registry::{DATA, MOUNT};

pub(super) fn of_registry(site: &Site, host: &Host, wanted: &mut Requirements) {
    let spec = &site.cluster.spec;
    let port = Port {
        number: site.cluster.registry_port(),
        of: "the registry",
    };
    wanted.ports.push(port);
    if let Some((registry, _)) = site.registry() {
        registry.requirements(site, wanted);
    }
    let mount = spec.registry.registry_mount.iter();
    wanted.mounts.extend(mount.map(|path| Mounted {
        path: path.clone(),
        of: DATA,
        key: MOUNT,
    }));
    let components = site.registry_components().into_iter();
    let programs = components.map(|component| programs_space(site, component, host.arch));
    wanted.space.extend(programs);
    let path = spec.registry.registry_data_dir.to_string();
    let bytes = images_size(site, |_, _| true);
    wanted.space.push(Space {
        path,
        bytes,
        of: "the registry's images",
    });
}
