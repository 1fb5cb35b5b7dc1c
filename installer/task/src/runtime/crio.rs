//! CRI-O with crun or runc, the CNI plugins and crictl.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::{Host, RegistryTrust as Trust, Scheme};
use engine::{Slot, Step};
use step::{
    CRIO, Component, ImageArchives, KnownImage, Leftover, NodeImage, PullImages, PullScope, Puller,
    Requirements, Rival, RunRuntime, RunService, RuntimeFacts, Socket, StaysUp,
};
use templates::{CrioUnit, IMAGE_POLICY, Location, OciRuntime, RegistriesConf, Remap};

use super::{
    ImageSource, RegistryTrust, Runtime, authorities, authority_below, classes, docker_logins,
    toml_settings,
};
use crate::check::known_images;
use crate::files::{directory, text};
use crate::nodes::kubelet;
use crate::os::rendered;
use crate::preflight::facts::OTHER_RUNTIME;
use crate::registries::{Endpoint, Route, Upstream};
use crate::{Site, programs};

const UNIT: &str = "crio.service";
const UNIT_FILE: &str = "/etc/systemd/system/crio.service";
const CONFIG: &str = "/etc/crio/crio.conf.d/10-kubexm.conf";
const POLICY: &str = "/etc/crio/policy.json";
const LOGIN: &str = "/etc/crio/auth.json";
const CERTIFICATES: &str = "/etc/containers/certs.d";
const REGISTRIES: &str = "/etc/containers/registries.conf.d/50-kubexm.conf";
/// Where its own programs are: some are called like those of others.
const PROGRAMS: &str = "/usr/local/libexec/crio";
const ANSWERS: &str = "/usr/local/bin/crictl info";

/// Registries of the world that pods name, also where the bundle has nothing of them: what comes into the site's registry later
/// is found.
const WORLD: &[&str] = &[
    "docker.io",
    "gcr.io",
    "ghcr.io",
    "mcr.microsoft.com",
    "nvcr.io",
    "public.ecr.aws",
    "quay.io",
    "registry.k8s.io",
];
/// There is no rule for all registries, so that the others are refused by where they are.
const BLOCKED: &[&str] = &["com", "dev", "io", "net", "org"];

pub(super) struct Crio;

impl Runtime for Crio {
    fn facts(&self) -> &'static RuntimeFacts {
        &CRIO
    }

    fn endpoint(&self) -> &'static str {
        "unix:///run/crio/crio.sock"
    }

    fn carried(&self) -> &'static [Component] {
        const CARRIED: &[Component] = &[
            Component::service("cri-o", "/usr/local/libexec/crio/crio --version", UNIT),
            Component::program("runc", "runc --version"),
        ];
        CARRIED
    }

    fn registry_trust(&self, site: &Site) -> RegistryTrust {
        RegistryTrust {
            authority: authority_below(CERTIFICATES, &site.registry_names().authority),
            login: LOGIN.into(),
        }
    }

    fn requirements(&self, wanted: &mut Requirements) {
        wanted.executable.push(PROGRAMS.to_owned());
        wanted.sockets.push(Socket {
            path: CRIO.socket,
            of: "cri-o",
            unit: UNIT,
        });
        wanted.rivals.push(Rival {
            unit: "containerd.service",
            why: "another runtime, whose pods' networks would be taken for kubexm's",
            fix: OTHER_RUNTIME,
        });
        wanted
            .leftovers
            .extend(
                ["/etc/crio/crio.conf", "/etc/crio/crio.conf.d/*.conf"].map(|path| Leftover {
                    path: path.to_owned(),
                    of: "another CRI-O",
                }),
            );
    }

    /// It reads who is to be asked when it is started, and certificates and logins whenever it asks.
    fn registries(&self, site: &Site) -> Vec<Arc<dyn Step>> {
        let mut steps = authorities(site, CERTIFICATES);
        steps.extend(docker_logins(site, LOGIN));
        if site.cluster.has_registry() {
            steps.push(text(REGISTRIES, registries(site)));
        }
        steps
    }

    fn data_dir(&self, site: &Site) -> Utf8PathBuf {
        let runtime = &site.cluster.spec.kubernetes.container_runtime;
        runtime.crio.data_dir.clone()
    }

    fn files(&self, site: &Site, host: &Host) -> Vec<Arc<dyn Step>> {
        let mut steps: Vec<Arc<dyn Step>> = vec![
            programs::install(site, "cri-o", PROGRAMS),
            programs::install(site, "runc", "/usr/local/sbin"),
            programs::install(site, "cni-plugins", "/opt/cni/bin"),
            programs::install(site, "crictl", "/usr/local/bin"),
            directory("/etc/crio/crio.conf.d"),
            // What it keeps there goes with it, and data of its own or of podman's may be beside.
            directory("/var/lib/crio"),
            directory("/var/lib/containers"),
            directory("/etc/cni/net.d"),
            text(CONFIG, config(site, host)),
            text(POLICY, IMAGE_POLICY.to_owned()),
        ];
        steps.extend(self.registries(site));
        steps.push(text(
            UNIT_FILE,
            rendered(&CrioUnit {
                data_dir: self.data_dir(site).to_string(),
                programs_dir: PROGRAMS.to_owned(),
            }),
        ));
        steps
    }

    fn services(&self, site: &Site) -> Vec<Arc<dyn Step>> {
        let program = format!("{PROGRAMS}/crio");
        let mut reads = vec![CONFIG, POLICY, UNIT_FILE, &program];
        if site.cluster.has_registry() {
            reads.push(REGISTRIES);
        }
        vec![Arc::new(RunRuntime {
            runtime: &CRIO,
            services: vec![RunService {
                unit: UNIT,
                reads: reads.into_iter().map(Utf8PathBuf::from).collect(),
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

    /// It takes no images from files: a config without a registry is refused.
    fn import(&self, _: Vec<NodeImage>, _: Arc<ImageArchives>) -> Option<Arc<dyn Step>> {
        None
    }

    fn pull(
        &self,
        site: &Site,
        sandbox: KnownImage,
        pushed: Option<Slot<()>>,
    ) -> Vec<Arc<dyn Step>> {
        let pull = |images, scope| -> Arc<dyn Step> {
            Arc::new(PullImages {
                images,
                by: Puller::Runtime,
                scope,
                pushed: pushed.clone(),
            })
        };
        vec![
            pull(vec![sandbox], PullScope::All),
            pull(known_images(site), PullScope::Earlier),
        ]
    }

    fn image_source(&self) -> ImageSource {
        ImageSource {
            refusals: &["not found", "manifest unknown", "NotFound"],
            look: "cat /etc/containers/registries.conf.d/50-kubexm.conf",
        }
    }
}

fn config(site: &Site, host: &Host) -> String {
    let sandbox_image = site.pause_image();
    let sandbox_image = sandbox_image
        .map(|image| image.reference.clone())
        .unwrap_or_default();
    let has_crun = site.arches().into_iter().all(|arch| {
        let mut programs = site.contents.programs_of(&site.release, "cri-o", arch);
        programs.any(|of| of.program.name == "crun")
    });
    let crun = has_crun.then(|| OciRuntime {
        name: "crun".to_owned(),
        path: format!("{PROGRAMS}/crun"),
        machines: None,
    });
    let runc = OciRuntime {
        name: "runc".to_owned(),
        path: "/usr/local/sbin/runc".to_owned(),
        machines: None,
    };
    let runtimes: Vec<OciRuntime> = crun
        .into_iter()
        .chain([runc])
        .chain(classes::crio_handlers(host))
        .collect();
    let logs_in = docker_logins(site, LOGIN).is_some();
    let runtime = &site.cluster.spec.kubernetes.container_runtime;
    let text = rendered(&templates::Crio {
        data_dir: runtime.crio.data_dir.to_string(),
        sandbox_image,
        login_file: if logs_in { LOGIN } else { "" }.to_owned(),
        programs_dir: PROGRAMS.to_owned(),
        default_runtime: runtimes[0].name.clone(),
        runtimes,
    });
    if runtime.crio.config.is_empty() {
        text
    } else {
        toml_settings::merged(&text, &runtime.crio.config)
    }
}

/// Where images of the world are in the site. The original itself is never a location, and so nobody falls back to it.
fn registries(site: &Site) -> String {
    let names = site.registry_names();
    let mut routes: BTreeMap<String, Vec<Endpoint>> = BTreeMap::new();
    for host in WORLD {
        let registries = site.cluster.site_registries().into_iter();
        let prefix = names.prefix(host).unwrap_or_default();
        let endpoint = |registry| Endpoint {
            registry,
            prefix: prefix.clone(),
        };
        routes.insert((*host).to_owned(), registries.map(endpoint).collect());
    }
    for Route { of, endpoints } in site.routes() {
        if let Upstream::Host(host) = of {
            routes.insert(host, endpoints);
        }
    }
    let remap = |(host, endpoints): (String, Vec<Endpoint>)| {
        let mut first: Vec<Location> = endpoints.iter().map(location).collect();
        let last = first.pop()?;
        Some(Remap { host, first, last })
    };
    rendered(&RegistriesConf {
        remaps: routes.into_iter().filter_map(remap).collect(),
        blocked: BLOCKED.iter().map(|domain| (*domain).to_owned()).collect(),
    })
}

fn location(endpoint: &Endpoint) -> Location {
    let registry = &endpoint.registry;
    let parts = [&registry.authority, &registry.path, &endpoint.prefix];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.map(String::as_str).collect();
    let unchecked = registry.scheme == Scheme::Http || registry.trust == Trust::Unchecked;
    Location {
        path: parts.join("/"),
        unchecked,
    }
}
