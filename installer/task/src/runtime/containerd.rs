//! containerd with runc, the CNI plugins and crictl.

mod registries;

pub(crate) use registries::authorities_file;

use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::Host;
use engine::{Slot, Step};
use serde_json::{Map, Value};
use step::{
    CONTAINERD, Component, Content, ImageArchives, ImportImages, KnownImage, NodeImage,
    PullSandboxImage, RenewImages, Requirements, Rival, RunRuntime, RunService, RuntimeFacts,
    Socket, StaysUp,
};
use templates::{Containerd1, Containerd2, ContainerdHandler, ContainerdUnit, RegistryLogin};

use super::toml_settings::merged;
use super::{ImageSource, RegistryTrust, Runtime, classes};
use crate::check::known_images;
use crate::files::{directory, text, upload};
use crate::nodes::kubelet;
use crate::os::rendered;
use crate::preflight::facts::OTHER_RUNTIME;
use crate::site::minor;
use crate::{Site, programs};

const UNIT: &str = "containerd.service";
const UNIT_FILE: &str = "/etc/systemd/system/containerd.service";
const CONFIG: &str = "/etc/containerd/config.toml";
/// Where containerd learns which registry to ask.
const REGISTRY_HOSTS: &str = "/etc/containerd/certs.d";
const CA: &str = "/etc/containerd/certs.d/kubexm-ca.crt";

/// Whether containerd answers those who run pods by it.
const ANSWERS: &str = "/usr/local/bin/crictl info";

pub(super) struct Containerd;

impl Runtime for Containerd {
    fn facts(&self) -> &'static RuntimeFacts {
        &CONTAINERD
    }

    fn endpoint(&self) -> &'static str {
        "unix:///run/containerd/containerd.sock"
    }

    fn carried(&self) -> &'static [Component] {
        const CARRIED: &[Component] = &[
            Component::service("containerd", "containerd --version", UNIT),
            Component::program("runc", "runc --version"),
        ];
        CARRIED
    }

    fn registry_trust(&self, _: &Site) -> RegistryTrust {
        RegistryTrust {
            authority: CA.into(),
            login: format!("{REGISTRY_HOSTS}/_default/hosts.toml").into(),
        }
    }

    fn requirements(&self, wanted: &mut Requirements) {
        wanted.executable.push("/usr/local/sbin".to_owned());
        wanted.sockets.push(Socket {
            path: CONTAINERD.socket,
            of: "containerd",
            unit: UNIT,
        });
        wanted.rivals.push(Rival {
            unit: UNIT,
            why: "kubexm's containerd takes its name, its socket and its data",
            fix: OTHER_RUNTIME,
        });
        wanted.leftovers.push(step::Leftover {
            path: CONFIG.to_owned(),
            of: "another containerd",
        });
    }

    fn registries(&self, site: &Site) -> Vec<Arc<dyn Step>> {
        registries::files(site)
    }

    fn data_dir(&self, site: &Site) -> Utf8PathBuf {
        site.cluster.spec.registry.containerd_data_dir.clone()
    }

    fn files(&self, site: &Site, host: &Host) -> Vec<Arc<dyn Step>> {
        let mut steps: Vec<Arc<dyn Step>> = vec![
            programs::install(site, "containerd", "/usr/local/bin"),
            programs::install(site, "runc", "/usr/local/sbin"),
            programs::install(site, "cni-plugins", "/opt/cni/bin"),
            programs::install(site, "crictl", "/usr/local/bin"),
            directory("/etc/containerd"),
            directory(REGISTRY_HOSTS),
            directory("/etc/cni/net.d"),
            config(site, host),
        ];
        steps.extend(registries::files(site));
        steps.push(text(UNIT_FILE, rendered(&ContainerdUnit {})));
        steps
    }

    fn services(&self, site: &Site) -> Vec<Arc<dyn Step>> {
        let reads = [CONFIG, UNIT_FILE, "/usr/local/bin/containerd"].map(Utf8PathBuf::from);
        vec![Arc::new(RunRuntime {
            runtime: &CONTAINERD,
            services: vec![RunService {
                unit: UNIT,
                reads: reads.into(),
            }],
            data_dir: self.data_dir(site),
            kubelet_dir: kubelet::root_dir(site),
        })]
    }

    fn steady(&self) -> Vec<Arc<dyn Step>> {
        vec![Arc::new(StaysUp {
            unit: UNIT,
            answers: Some(ANSWERS),
        })]
    }

    fn import(
        &self,
        images: Vec<NodeImage>,
        archives: Arc<ImageArchives>,
    ) -> Option<Arc<dyn Step>> {
        Some(Arc::new(ImportImages {
            archives,
            images,
            containerd: step::Containerd {
                ctr: "/usr/local/bin/ctr".into(),
                socket: CONTAINERD.socket.into(),
            },
            upload_dir: "/var/lib/kubexm/images".into(),
        }))
    }

    fn pull(
        &self,
        site: &Site,
        sandbox: KnownImage,
        pushed: Option<Slot<()>>,
    ) -> Vec<Arc<dyn Step>> {
        let mut steps: Vec<Arc<dyn Step>> = vec![Arc::new(PullSandboxImage {
            image: sandbox,
            hosts_dir: REGISTRY_HOSTS.into(),
            pushed: pushed.clone(),
        })];
        // Without a registry there is nobody to pull from: what is imported is compared where that is done.
        if let Some(pushed) = pushed {
            steps.push(Arc::new(RenewImages {
                images: known_images(site),
                hosts_dir: REGISTRY_HOSTS.into(),
                pushed,
            }));
        }
        steps
    }

    fn image_source(&self) -> ImageSource {
        ImageSource {
            refusals: &["not found", "NotFound"],
            look: "ls /etc/containerd/certs.d; is config_path set in /etc/containerd/config.toml?",
        }
    }
}

/// The `config.toml` for the version that the bundle holds, with the config's own settings merged into it.
fn config(site: &Site, host: &Host) -> Arc<dyn Step> {
    let version = site.release.version_of("containerd").unwrap_or_default();
    let spec = &site.cluster.spec;
    let sandbox = site.pause_image();
    let wanted = Wanted {
        version: minor(version),
        data_dir: spec.registry.containerd_data_dir.to_string(),
        sandbox_image: sandbox.map_or_else(String::new, |image| image.reference.clone()),
        handlers: classes::containerd_handlers(host),
        settings: spec.kubernetes.container_runtime.containerd.config.clone(),
    };
    match registries::TokenLogin::of(site) {
        None => text(CONFIG, wanted.config(Vec::new())),
        Some(login) => {
            let takes = login.takes();
            let render = Arc::new(move || Ok(wanted.config(login.get()?)));
            upload(CONFIG, Content::Late { takes, render }, 0o600)
        }
    }
}

struct Wanted {
    version: (u32, u32),
    data_dir: String,
    sandbox_image: String,
    handlers: Vec<ContainerdHandler>,
    settings: Map<String, Value>,
}

impl Wanted {
    fn config(&self, logins: Vec<RegistryLogin>) -> String {
        let (data_dir, sandbox_image) = (self.data_dir.clone(), self.sandbox_image.clone());
        let handlers = self.handlers.clone();
        let text = if self.version < (2, 0) {
            rendered(&Containerd1 {
                data_dir,
                sandbox_image,
                logins,
                handlers,
            })
        } else {
            rendered(&Containerd2 {
                data_dir,
                sandbox_image,
                logins,
                handlers,
            })
        };
        if self.settings.is_empty() {
            text
        } else {
            merged(&text, &self.settings)
        }
    }
}
