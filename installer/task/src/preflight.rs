use std::sync::Arc;
use std::time::Duration;

use cluster::{Arch, Host};
use engine::{Order, Slot, Step, Task};
use step::{JudgeSurveys, Leftover, Port, Requirements, Space, Survey, SurveyHost};

use crate::facts::SYSTEMS;
use crate::{OPERATOR, Site, programs};

/// How far the clocks of two hosts may be apart: certificates and etcd's leases bear no more.
const SKEW: Duration = Duration::from_secs(2);

/// Looks at every host, then judges all that was found in one report. A host that is down fails by itself and keeps
/// nobody from going on.
#[must_use]
pub fn survey(site: &Site) -> Task {
    let surveys: Vec<(String, Slot<Survey>)> = site
        .host_names()
        .into_iter()
        .map(|host| (host.clone(), Slot::new(&host)))
        .collect();
    let mut task = Task::new("survey");
    for (host, (name, survey)) in site.cluster.spec.hosts.iter().zip(&surveys) {
        let step: Arc<dyn Step> = Arc::new(SurveyHost {
            requirements: requirements(site, host),
            survey: survey.clone(),
        });
        task = task.on(name, vec![step]);
    }
    task.then(Order::Settled).on(
        OPERATOR,
        vec![Arc::new(JudgeSurveys {
            surveys,
            skew: SKEW,
        })],
    )
}

fn requirements(site: &Site, host: &Host) -> Requirements {
    let spec = &site.cluster.spec;
    let mut wanted = Requirements {
        cluster: site.cluster.name().to_owned(),
        machines: site
            .manifest
            .arches
            .iter()
            .map(|arch| arch.uname().to_owned())
            .collect(),
        systems: SYSTEMS.to_vec(),
        addresses: host.internal_ips(),
        ..Requirements::default()
    };
    let is = |hosts: &[&Host]| hosts.iter().any(|other| other.name == host.name);
    if is(&site.etcd_hosts()) {
        let data_dir = spec.etcd.data_dir.to_string();
        wanted
            .ports
            .extend([2379, 2380, 2381].map(|number| Port { number, of: "etcd" }));
        wanted.space.push(programs_space(site, "etcd", host.arch));
        let bytes = spec.etcd.quota_backend_bytes;
        wanted.space.push(Space {
            path: data_dir.clone(),
            bytes,
            of: "etcd's data",
        });
        wanted.leftovers.push(Leftover {
            path: format!("{data_dir}/member"),
            of: "another etcd",
        });
    }
    if is(&site.runtime_hosts()) {
        for component in ["containerd", "runc", "crictl", "cni-plugins"] {
            wanted
                .space
                .push(programs_space(site, component, host.arch));
        }
        // An image takes its compressed layers and about three times as much unpacked.
        let bytes = 4 * images_size(site, Some(host.arch));
        let path = spec.registry.containerd_data_dir.to_string();
        wanted.space.push(Space {
            path,
            bytes,
            of: "containerd's images",
        });
        wanted.filesystems.push("overlay");
        wanted.leftovers.extend(
            [
                ("/etc/containerd/config.toml", "another containerd"),
                ("/etc/kubernetes", "another Kubernetes"),
                ("/etc/rancher", "another Kubernetes (RKE2 or k3s)"),
            ]
            .map(|(path, of)| Leftover {
                path: path.to_owned(),
                of,
            }),
        );
    }
    if site
        .cluster
        .registry_host()
        .is_some_and(|registry| registry.name == host.name)
    {
        let port = Port {
            number: site.cluster.registry_port(),
            of: "the registry",
        };
        wanted.ports.push(port);
        wanted
            .space
            .push(programs_space(site, "registry", host.arch));
        let path = spec.registry.registry_data_dir.to_string();
        let bytes = images_size(site, None);
        wanted.space.push(Space {
            path,
            bytes,
            of: "the registry's images",
        });
    }
    wanted
}

fn programs_space(site: &Site, component: &'static str, arch: Arch) -> Space {
    let bytes = programs::size(site, component, arch);
    Space {
        path: "/usr/local/bin".to_owned(),
        bytes,
        of: component,
    }
}

/// The compressed size of all images, for one architecture or all.
fn images_size(site: &Site, arch: Option<Arch>) -> u64 {
    let platforms = site
        .manifest
        .images
        .iter()
        .flat_map(|image| &image.platforms);
    platforms
        .filter(|platform| arch.is_none_or(|arch| platform.arch == arch))
        .map(|platform| platform.size)
        .sum()
}
