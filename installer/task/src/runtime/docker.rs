//! Docker with cri-dockerd, the CNI plugins and crictl.
//!
//! Docker has mirrors for its own hub alone, and those without a path. So each node pulls every image of the bundle by its name in
//! the site's registry and gives it the one that the world knows; kubelets leave images alone, since a name of the world cannot be
//! pulled again.

use std::collections::BTreeSet;
use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::Host;
use engine::{Slot, Step};
use serde_json::{Map, Value, json};
use step::{
    Component, DOCKER, ImageArchives, KnownImage, Leftover, NodeImage, PullImages, PullScope,
    Puller, Requirements, Rival, RunRuntime, RunService, RuntimeFacts, Socket, StaysUp,
};
use templates::{CriDockerUnit, DockerUnit};

use super::{ImageSource, RegistryTrust, Runtime, authorities, authority_below, docker_logins};
use crate::check::known_images;
use crate::files::{directory, text};
use crate::nodes::kubelet;
use crate::os::rendered;
use crate::preflight::facts::OTHER_RUNTIME;
use crate::{Site, programs};

const UNIT: &str = "docker.service";
const UNIT_FILE: &str = "/etc/systemd/system/docker.service";
const CRI_UNIT: &str = "cri-docker.service";
const CRI_UNIT_FILE: &str = "/etc/systemd/system/cri-docker.service";
const DAEMON: &str = "/etc/docker/daemon.json";
const CERTIFICATES: &str = "/etc/docker/certs.d";
/// For docker's own pulls; `config.json` in it has the login.
const CLIENT: &str = "/etc/docker/kubexm";
const LOGIN: &str = "/etc/docker/kubexm/config.json";
/// For pods that name an image by the site's registry: kubelets send it along.
const KUBELET_LOGIN: &str = "/var/lib/kubelet/config.json";
const ANSWERS: &str = "/usr/local/bin/crictl info";
/// Nobody listens there: what would leave the site is refused at once.
const NOWHERE: &str = "http://127.0.0.1:9";

pub(super) struct Docker;

impl Runtime for Docker {
    fn facts(&self) -> &'static RuntimeFacts {
        &DOCKER
    }

    fn endpoint(&self) -> &'static str {
        "unix:///run/cri-dockerd.sock"
    }

    fn carried(&self) -> &'static [Component] {
        const CARRIED: &[Component] = &[
            Component::service("docker", "dockerd --version", UNIT),
            Component::service("cri-dockerd", "cri-dockerd --version", CRI_UNIT),
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
        for (path, of, unit) in [
            (DOCKER.socket, "cri-dockerd", CRI_UNIT),
            ("/run/docker.sock", "docker", UNIT),
        ] {
            wanted.sockets.push(Socket { path, of, unit });
        }
        wanted.rivals.push(Rival {
            unit: "docker.socket",
            why: "it would start another Docker",
            fix: OTHER_RUNTIME,
        });
        wanted.leftovers.push(Leftover {
            path: DAEMON.to_owned(),
            of: "another Docker",
        });
    }

    /// Docker reads both whenever it asks.
    fn registries(&self, site: &Site) -> Vec<Arc<dyn Step>> {
        let mut steps = authorities(site, CERTIFICATES);
        steps.push(directory(CLIENT));
        steps.extend(docker_logins(site, LOGIN));
        steps
    }

    fn data_dir(&self, site: &Site) -> Utf8PathBuf {
        site.cluster.spec.registry.docker_data_dir.clone()
    }

    fn files(&self, site: &Site, _: &Host) -> Vec<Arc<dyn Step>> {
        let mut steps: Vec<Arc<dyn Step>> = vec![
            programs::install(site, "docker", "/usr/local/bin"),
            programs::install(site, "cri-dockerd", "/usr/local/bin"),
            programs::install(site, "cni-plugins", "/opt/cni/bin"),
            programs::install(site, "crictl", "/usr/local/bin"),
            directory("/etc/docker"),
            directory("/etc/cni/net.d"),
            text(DAEMON, daemon(site)),
        ];
        steps.extend(self.registries(site));
        let data_dir = self.data_dir(site).to_string();
        steps.push(text(UNIT_FILE, rendered(&DockerUnit { data_dir })));
        let arguments = arguments(site);
        steps.push(text(CRI_UNIT_FILE, rendered(&CriDockerUnit { arguments })));
        steps
    }

    fn services(&self, site: &Site) -> Vec<Arc<dyn Step>> {
        let service = |unit, reads: &[&str]| RunService {
            unit,
            reads: reads.iter().map(Utf8PathBuf::from).collect(),
        };
        let docker = &[DAEMON, UNIT_FILE, "/usr/local/bin/dockerd"];
        let cri = &[CRI_UNIT_FILE, "/usr/local/bin/cri-dockerd"];
        let mut steps: Vec<Arc<dyn Step>> = vec![Arc::new(RunRuntime {
            runtime: &DOCKER,
            services: vec![service(UNIT, docker), service(CRI_UNIT, cri)],
            data_dir: self.data_dir(site),
            kubelet_dir: kubelet::root_dir(site),
        })];
        steps.extend(docker_logins(site, KUBELET_LOGIN));
        steps
    }

    fn steady(&self) -> Vec<Arc<dyn Step>> {
        let unit = |unit, answers| -> Arc<dyn Step> { Arc::new(StaysUp { unit, answers }) };
        vec![unit(UNIT, None), unit(CRI_UNIT, Some(ANSWERS))]
    }

    /// A config without a registry is refused.
    fn import(&self, _: Vec<NodeImage>, _: Arc<ImageArchives>) -> Option<Arc<dyn Step>> {
        None
    }

    fn pull(&self, site: &Site, _: KnownImage, pushed: Option<Slot<()>>) -> Vec<Arc<dyn Step>> {
        vec![Arc::new(PullImages {
            images: known_images(site),
            by: Puller::Docker {
                names: site.registry_names(),
                config: CLIENT.into(),
            },
            scope: PullScope::All,
            pushed,
        })]
    }

    fn image_source(&self) -> ImageSource {
        ImageSource {
            refusals: &["127.0.0.1:9"],
            look: "are there proxies in /etc/docker/daemon.json?",
        }
    }

    /// Images stay, however full the disk is.
    fn kubelet_settings(&self) -> Vec<(&'static str, u32)> {
        vec![("imageGCHighThresholdPercent", 100)]
    }
}

/// No bridge and no rules of a firewall: pods' networks are made by the CNI plugins, and Docker would have the host forward
/// nothing but its own.
fn daemon(site: &Site) -> String {
    let mut settings = json!({
        "bridge": "none",
        "data-root": site.cluster.spec.registry.docker_data_dir,
        "exec-opts": ["native.cgroupdriver=systemd"],
        "features": {"containerd-snapshotter": false},
        "ip6tables": false,
        "ip-forward": false,
        "iptables": false,
        "live-restore": true,
        "log-driver": "json-file",
        "log-opts": {"max-file": "3", "max-size": "10m"},
        "storage-driver": "overlay2",
    });
    if site.cluster.has_registry() {
        let asked = site.asked_registries().into_iter();
        let asked = asked.map(|registry| match registry.authority.rsplit_once(':') {
            Some((host, _)) => host.to_owned(),
            None => registry.authority,
        });
        let asked: BTreeSet<String> = asked.collect();
        let asked: Vec<String> = asked.into_iter().collect();
        settings["proxies"] = json!({
            "http-proxy": NOWHERE,
            "https-proxy": NOWHERE,
            "no-proxy": asked.join(","),
        });
    }
    let runtime = &site.cluster.spec.kubernetes.container_runtime;
    if let Value::Object(settings) = &mut settings {
        lay_over(settings, &runtime.docker.config);
    }
    format!("{settings:#}\n")
}

fn lay_over(settings: &mut Map<String, Value>, own: &Map<String, Value>) {
    for (key, value) in own {
        match (settings.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(own)) => lay_over(below, own),
            _ => {
                settings.insert(key.clone(), value.clone());
            }
        }
    }
}

fn arguments(site: &Site) -> Vec<String> {
    let mut arguments = vec![
        format!("--container-runtime-endpoint={}", Docker.endpoint()),
        "--docker-endpoint=unix:///run/docker.sock".to_owned(),
        "--network-plugin=cni".to_owned(),
        "--cni-bin-dir=/opt/cni/bin".to_owned(),
        "--cni-conf-dir=/etc/cni/net.d".to_owned(),
    ];
    if site.cluster.spec.network.kube_pods_cidr.v6.is_some() {
        arguments.push("--ipv6-dual-stack".to_owned());
    }
    if let Some(image) = site.pause_image() {
        let image = &image.reference;
        arguments.push(format!("--pod-infra-container-image={image}"));
    }
    arguments
}
