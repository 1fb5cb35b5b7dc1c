use std::sync::Arc;

use artifact::{FileEntry, PackageSet, host_packages};
use cluster::Host;
use engine::{Step, Task};
use step::{InstallPackages, LocalPackage, RepositoryFile, SystemPackages};

use crate::Site;
use crate::os::time::{RIVAL_PACKAGES, stop_rivals};

/// The packages of its system that each host lacks, of those that the bundle carries.
///
/// They come behind the mark of the cluster, so that they go before it: whatever else is set up uses them. Where chrony
/// is among them, the daemons that would set the clock as well are stopped first; how they were is noted with that.
#[must_use]
pub fn packages(site: &Site) -> Task {
    let mut task = Task::new("packages");
    for host in &site.cluster.spec.hosts {
        let mut steps: Vec<Arc<dyn Step>> = stop_rivals(site);
        let by_system = system_packages(site, host);
        if !by_system.is_empty() {
            let replaceable = if steps.is_empty() {
                &[]
            } else {
                RIVAL_PACKAGES
            };
            steps.push(Arc::new(InstallPackages {
                by_system,
                replaceable,
                patience: InstallPackages::PATIENCE,
            }));
        }
        task = task.on(&host.name, steps);
    }
    task
}

/// For each system that the host may run: what it needs of the packages in the bundle.
pub(crate) fn system_packages(site: &Site, host: &Host) -> Vec<SystemPackages> {
    let needs = host_packages(&site.cluster, host);
    let of_set = |set: &PackageSet| {
        let names = needs.iter().filter_map(|need| set.names_of(&need.package));
        let closure = set.closure(names.flatten().map(String::as_str));
        let directory = PackageSet::directory(&set.os, set.arch);
        let file = |entry: &FileEntry| RepositoryFile {
            local: site.tree.path(&entry.path),
            path: entry
                .path
                .strip_prefix(&directory)
                .unwrap_or(&entry.path)
                .to_owned(),
            size: entry.size,
        };
        let packages = closure.packages.iter().filter_map(|package| {
            Some(LocalPackage {
                name: package.name.clone(),
                version: package.version.clone(),
                file: file(site.contents.file(&package.path)?),
            })
        });
        SystemPackages {
            set: Arc::new(set.clone()),
            packages: packages.collect(),
            index: site.contents.package_index(set).map(file).collect(),
            base: closure.base.into_iter().cloned().collect(),
        }
    };
    let systems = site.cluster.systems_of(host).iter();
    systems
        .filter_map(|os| site.contents.packages_for(os, host.arch))
        .map(of_set)
        .collect()
}
