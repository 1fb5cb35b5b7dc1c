//! containerd with runc, the CNI plugins and crictl.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use camino::Utf8PathBuf;
use engine::{Slot, Step};
use step::{
    CONTAINERD, Component, Content, ImageArchives, ImportImages, KnownImage, NodeImage,
    PullSandboxImage, RenewImages, Requirements, Rival, RunRuntime, RunService, RuntimeFacts,
    Socket, StaysUp,
};
use templates::{Containerd1, Containerd2, ContainerdUnit, RegistryHosts};

use super::toml_settings as toml;
use super::{ImageSource, RegistryTrust, Runtime, registry_login};
use crate::check::known_images;
use crate::files::{directory, text, upload};
use crate::os::{rendered, rendered_late};
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

    fn data_dir(&self, site: &Site) -> Utf8PathBuf {
        site.cluster.spec.registry.containerd_data_dir.clone()
    }

    fn files(&self, site: &Site) -> Vec<Arc<dyn Step>> {
        let mut steps: Vec<Arc<dyn Step>> = vec![
            programs::install(site, "containerd", "/usr/local/bin"),
            programs::install(site, "runc", "/usr/local/sbin"),
            programs::install(site, "cni-plugins", "/opt/cni/bin"),
            programs::install(site, "crictl", "/usr/local/bin"),
            directory("/etc/containerd"),
            directory(REGISTRY_HOSTS),
            directory("/etc/cni/net.d"),
            text(CONFIG, config(site)),
        ];
        steps.extend(registry_hosts(site));
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
fn config(site: &Site) -> String {
    let version = site.release.version_of("containerd").unwrap_or_default();
    let data_dir = site.cluster.spec.registry.containerd_data_dir.to_string();
    let sandbox_image = site
        .pause_image()
        .map(|image| image.reference.clone())
        .unwrap_or_default();
    let text = if minor(version) < (2, 0) {
        rendered(&Containerd1 {
            data_dir,
            sandbox_image,
        })
    } else {
        rendered(&Containerd2 {
            data_dir,
            sandbox_image,
        })
    };
    let settings = &site
        .cluster
        .spec
        .kubernetes
        .container_runtime
        .containerd
        .config;
    if settings.is_empty() {
        text
    } else {
        toml::merged(&text, settings)
    }
}

/// For every registry that the bundle has images of, and for all others: pulls go to the site's registry alone. Without
/// one nothing is written, and nothing can be pulled from a site without a route out.
fn registry_hosts(site: &Site) -> Vec<Arc<dyn Step>> {
    if site.cluster.registry_host().is_none() {
        return Vec::new();
    }
    let authority = Content::Local(site.registry_dir().join("ca.crt"));
    let mut steps: Vec<Arc<dyn Step>> = vec![upload(CA, authority, 0o644)];
    let registries: BTreeSet<&str> = site
        .contents
        .images
        .iter()
        .filter_map(|image| {
            image
                .reference
                .split_once('/')
                .map(|(registry, _)| registry)
        })
        .collect();
    let names = site.registry_names();
    let own = names.authority.clone();
    let endpoint = |registry: &str| match names.prefix(registry) {
        Some(prefix) => format!("https://{own}/v2/{prefix}"),
        None => format!("https://{own}/v2"),
    };
    let mut targets: BTreeMap<String, String> = registries
        .into_iter()
        .chain([own.as_str()])
        .map(|registry| (registry.to_owned(), endpoint(registry)))
        .collect();
    targets.insert("_default".to_owned(), endpoint(&own));
    for (registry, endpoint) in targets {
        // containerd takes `host_port_` for a host with a port; a colon in a path troubles other tools.
        let folder = match registry.split_once(':') {
            Some((host, port)) => format!("{host}_{port}_"),
            None => registry,
        };
        steps.push(directory(format!("{REGISTRY_HOSTS}/{folder}")));
        steps.push(hosts_toml(
            site,
            format!("{REGISTRY_HOSTS}/{folder}/hosts.toml"),
            endpoint,
        ));
    }
    steps
}

fn hosts_toml(site: &Site, path: String, endpoint: String) -> Arc<dyn Step> {
    registry_login(site, path, move |login| {
        rendered_late(&RegistryHosts {
            endpoint: endpoint.clone(),
            ca_file: CA.to_owned(),
            authorization: format!("Basic {login}"),
        })
    })
}
