//! Other ways to run containers, on the nodes that have them.

use std::sync::Arc;

use cluster::{Host, RuntimeClass};
use engine::Task;
use step::{ApplyManifest, Bringer, Content, Device, Program, Requirements};
use templates::{ContainerdHandler, ContainerdHandlerKind, OciRuntime, PodRuntime, RuntimeClasses};

use crate::Site;
use crate::control_plane::once;
use crate::os::rendered;

const NVIDIA: &str = "nvidia-container-runtime";
const NVIDIA_PATH: &str = "/usr/bin/nvidia-container-runtime";
const KATA_SHIM: &str = "/opt/kata/bin/containerd-shim-kata-v2";
const KATA_CONFIG: &str = "/opt/kata/share/defaults/kata-containers/configuration.toml";

/// As containerd has them.
pub(super) fn containerd_handlers(host: &Host) -> Vec<ContainerdHandler> {
    let handler = |class: &RuntimeClass| ContainerdHandler {
        name: class.name().to_owned(),
        kind: match class {
            RuntimeClass::Nvidia => ContainerdHandlerKind::Program(NVIDIA_PATH.to_owned()),
            RuntimeClass::Kata => ContainerdHandlerKind::Shim {
                path: KATA_SHIM.to_owned(),
                config: KATA_CONFIG.to_owned(),
            },
        },
    };
    of(host).iter().map(handler).collect()
}

/// As CRI-O has them.
pub(super) fn crio_handlers(host: &Host) -> Vec<OciRuntime> {
    let handler = |class: &RuntimeClass| {
        let (path, machines) = match class {
            RuntimeClass::Nvidia => (NVIDIA_PATH, None),
            RuntimeClass::Kata => (KATA_SHIM, Some(KATA_CONFIG.to_owned())),
        };
        OciRuntime {
            name: class.name().to_owned(),
            path: path.to_owned(),
            machines,
        }
    };
    of(host).iter().map(handler).collect()
}

/// Each once.
fn of(host: &Host) -> Vec<RuntimeClass> {
    let all = RuntimeClass::ALL.into_iter();
    all.filter(|class| host.runtime_classes.contains(class))
        .collect()
}

/// What they consist of, which kubexm does not bring.
pub(crate) fn requirements(host: &Host, wanted: &mut Requirements) {
    for class in of(host) {
        match class {
            RuntimeClass::Nvidia => wanted.programs.push(Program {
                name: NVIDIA,
                package: "nvidia-container-toolkit, with the driver of the host's GPUs",
                bringer: Bringer::System,
            }),
            RuntimeClass::Kata => {
                wanted.programs.push(Program {
                    name: KATA_SHIM,
                    package: "the static archive of Kata containers, which unpacks to /opt/kata",
                    bringer: Bringer::System,
                });
                wanted.devices.push(Device {
                    path: "/dev/kvm",
                    of: "kata runs each pod in a virtual machine",
                    fix: "turn virtualization on in its firmware, or nested virtualization where it is a virtual machine itself, and load kvm_intel or kvm_amd",
                });
            }
        }
    }
}

/// What pods name them by.
#[must_use]
pub fn runtime_classes(site: &Site) -> Task {
    let task = Task::new("runtime classes");
    let hosts = site.runtime_hosts();
    let is_there = |class: &RuntimeClass| {
        let mut hosts = hosts.iter();
        hosts.any(|host| host.runtime_classes.contains(class))
    };
    let classes = RuntimeClass::ALL.into_iter().filter(is_there);
    let classes: Vec<PodRuntime> = classes
        .map(|class| PodRuntime {
            name: class.name().to_owned(),
            label: class.label().to_owned(),
            machines: class == RuntimeClass::Kata,
        })
        .collect();
    if classes.is_empty() {
        return task;
    }
    let manifest = ApplyManifest {
        name: "runtime classes".to_owned(),
        content: Content::Text(rendered(&RuntimeClasses { classes })),
    };
    once(site, task, vec![Arc::new(manifest)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::site;

    #[test]
    fn a_node_has_what_its_host_names() {
        let site = site("{}");
        let mut host = site.cluster.host("w1").unwrap().clone();
        assert!(containerd_handlers(&host).is_empty());
        host.runtime_classes = vec![RuntimeClass::Kata, RuntimeClass::Nvidia, RuntimeClass::Kata];
        let handlers = containerd_handlers(&host);
        let named: Vec<&str> = handlers.iter().map(|handler| &*handler.name).collect();
        assert_eq!(named, ["nvidia", "kata"]);
        assert_eq!(crio_handlers(&host)[1].path, KATA_SHIM);
        let mut wanted = Requirements::default();
        requirements(&host, &mut wanted);
        let programs: Vec<&str> = wanted.programs.iter().map(|program| program.name).collect();
        assert_eq!(programs, [NVIDIA, KATA_SHIM]);
        assert_eq!(wanted.devices.len(), 1);
        let labels = site.marks_of(&host).labels;
        assert!(
            labels.contains_key(RuntimeClass::Kata.label()),
            "{labels:?}"
        );
    }
}
