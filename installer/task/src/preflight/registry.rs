//! What the site's registry asks of its host.

use cluster::Host;
use step::{Port, Requirements, Space};

use super::space::{images_size, programs_space};
use crate::Site;
use crate::facts::USER_PROGRAMS;

pub(super) fn of_registry(site: &Site, host: &Host, wanted: &mut Requirements) {
    let spec = &site.cluster.spec;
    let port = Port {
        number: site.cluster.registry_port(),
        of: "the registry",
    };
    wanted.ports.push(port);
    wanted.programs.extend_from_slice(USER_PROGRAMS);
    wanted.executable.push("/usr/local/bin".to_owned());
    wanted
        .space
        .push(programs_space(site, "registry", host.arch));
    let path = spec.registry.registry_data_dir.to_string();
    let bytes = images_size(site, |_, _| true);
    wanted.space.push(Space {
        path,
        bytes,
        of: "the registry's images",
    });
}
