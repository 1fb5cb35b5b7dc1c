//! containerd with runc, the CNI plugins and crictl.

mod registries;

use std::sync::Arc;

use camino::Utf8PathBuf;
use engine::{Rolling, Slot, Step, Task, Turn};
use serde_json::{Map, Value};
use step::{
    Component, Content, ImageArchives, ImportImages, KnownImage, NodeImage, PullSandboxImage,
    RenewImages, Requirements, Rival, RunContainerd, RunService, Socket, StaysUp,
};
use templates::{Containerd1, Containerd2, ContainerdUnit, Crictl, RegistryLogin};

use super::{RegistryTrust, Runtime};
use crate::files::{directory, text, upload};
use crate::nodes::ROLL;
use crate::os::rendered;
use crate::preflight::facts::OTHER_RUNTIME;
use crate::site::minor;
use crate::site::names;
use crate::{Site, programs};

const UNIT: &str = "containerd.service";
const UNIT_FILE: &str = "/etc/systemd/system/containerd.service";
const CONFIG: &str = "/etc/containerd/config.toml";
const SOCKET: &str = "/run/containerd/containerd.sock";
/// Where containerd learns which registry to ask.
const REGISTRY_HOSTS: &str = "/etc/containerd/certs.d";
const CA: &str = "/etc/containerd/certs.d/kubexm-ca.crt";

/// Whether containerd answers those who run pods by it.
const ANSWERS: &str = "/usr/local/bin/crictl info";

pub(super) struct Containerd;

impl Runtime for Containerd {
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

    fn registry_trust(&self) -> RegistryTrust {
        RegistryTrust {
            authority: CA.into(),
            login: format!("{REGISTRY_HOSTS}/_default/hosts.toml").into(),
        }
    }

    fn requirements(&self, wanted: &mut Requirements) {
        wanted.executable.push("/usr/local/sbin".to_owned());
        wanted.sockets.push(Socket {
            path: SOCKET,
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

    fn set_up(&self, site: &Site) -> Task {
        service(site)
    }

    fn import(&self, images: Vec<NodeImage>, archives: Arc<ImageArchives>) -> Arc<dyn Step> {
        Arc::new(ImportImages {
            archives,
            images,
            containerd: step::Containerd {
                ctr: "/usr/local/bin/ctr".into(),
                socket: SOCKET.into(),
            },
            upload_dir: "/var/lib/kubexm/images".into(),
        })
    }

    fn pull_sandbox(&self, image: KnownImage, pushed: Option<Slot<()>>) -> Arc<dyn Step> {
        Arc::new(PullSandboxImage {
            image,
            hosts_dir: REGISTRY_HOSTS.into(),
            pushed,
        })
    }

    fn renew(&self, images: Vec<KnownImage>, pushed: Slot<()>) -> Arc<dyn Step> {
        Arc::new(RenewImages {
            images,
            hosts_dir: REGISTRY_HOSTS.into(),
            pushed,
        })
    }
}

fn service(site: &Site) -> Task {
    let mut steps: Vec<Arc<dyn Step>> = vec![
        programs::install(site, "containerd", "/usr/local/bin"),
        programs::install(site, "runc", "/usr/local/sbin"),
        programs::install(site, "cni-plugins", "/opt/cni/bin"),
        programs::install(site, "crictl", "/usr/local/bin"),
        directory("/etc/containerd"),
        directory(REGISTRY_HOSTS),
        directory("/etc/cni/net.d"),
        config(site),
    ];
    steps.extend(registries::files(site));
    let endpoint = Containerd.endpoint().to_owned();
    // It is crictl's alone: no reason for a turn of containerd.
    let crictl = text("/etc/crictl.yaml", rendered(&Crictl { endpoint }));
    steps.push(text(UNIT_FILE, rendered(&ContainerdUnit {})));
    let reads = [CONFIG, UNIT_FILE, "/usr/local/bin/containerd"].map(Utf8PathBuf::from);
    let run: Arc<dyn Step> = Arc::new(RunContainerd {
        service: RunService {
            unit: UNIT,
            reads: reads.into(),
        },
        data_dir: site.cluster.spec.registry.containerd_data_dir.clone(),
    });
    let steady: Arc<dyn Step> = Arc::new(StaysUp {
        unit: UNIT,
        answers: Some(ANSWERS),
    });
    let hosts = names(site.runtime_hosts());
    let rolling = hosts.iter().fold(Rolling::new(ROLL), |rolling, host| {
        let turn = Turn::new(run.clone()).with(steps.clone());
        rolling.on(host, turn.healthy(vec![steady.clone()]))
    });
    Task::new("containerd")
        .on_each(&hosts, |_| vec![crictl.clone()])
        .roll(rolling)
}

/// The `config.toml` for the version that the bundle holds, with the config's own settings merged into it.
fn config(site: &Site) -> Arc<dyn Step> {
    let version = site.release.version_of("containerd").unwrap_or_default();
    let spec = &site.cluster.spec;
    let sandbox = site.pause_image();
    let wanted = Wanted {
        version: minor(version),
        data_dir: spec.registry.containerd_data_dir.to_string(),
        sandbox_image: sandbox.map_or_else(String::new, |image| image.reference.clone()),
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
    settings: Map<String, Value>,
}

impl Wanted {
    fn config(&self, logins: Vec<RegistryLogin>) -> String {
        let (data_dir, sandbox_image) = (self.data_dir.clone(), self.sandbox_image.clone());
        let text = if self.version < (2, 0) {
            rendered(&Containerd1 {
                data_dir,
                sandbox_image,
                logins,
            })
        } else {
            rendered(&Containerd2 {
                data_dir,
                sandbox_image,
                logins,
            })
        };
        if self.settings.is_empty() {
            text
        } else {
            merged(&text, &self.settings)
        }
    }
}

/// Lays settings of the config over a TOML text: tables are merged, anything else is replaced.
fn merged(text: &str, settings: &Map<String, Value>) -> String {
    let mut table: toml::Table = text.parse().expect("the template is TOML");
    for (key, value) in settings {
        lay_over(&mut table, key, value);
    }
    format!("# Written by kubexm, with the settings of the config.\n{table}")
}

fn lay_over(table: &mut toml::Table, key: &str, value: &Value) {
    match (table.get_mut(key), value) {
        (Some(toml::Value::Table(below)), Value::Object(settings)) => {
            for (key, value) in settings {
                lay_over(below, key, value);
            }
        }
        _ => {
            if let Ok(value) = toml::Value::try_from(value) {
                table.insert(key.to_owned(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_laid_over_the_template() {
        let text = "version = 3\n[plugins.\"a.b\".runc]\nkeep = 1\nreplace = false\n";
        let settings = serde_json::json!({
            "plugins": { "a.b": { "runc": { "replace": true }, "restrict_oom_score_adj": true } },
            "oom_score": 0,
        });
        let Value::Object(settings) = settings else {
            unreachable!()
        };
        let table: toml::Table = merged(text, &settings).parse().unwrap();
        let wanted: toml::Table = "version = 3\noom_score = 0\n[plugins.\"a.b\"]\n\
             restrict_oom_score_adj = true\n[plugins.\"a.b\".runc]\nkeep = 1\nreplace = true\n"
            .parse()
            .unwrap();
        assert_eq!(table, wanted);
    }
}
