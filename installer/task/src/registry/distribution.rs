//! The registry of the distribution project, under systemd.

use std::sync::Arc;

use cluster::Host;
use engine::Step;
use step::{
    CollectGarbage, Component, Content, CreateUser, DataDirectory, FileAttrs, InsistOnMount,
    Keeper, Owner, Port, PrepareRegistryCredentials, RegistryLogin, RegistryUser, Requirements,
    RunService, UploadFile,
};
use templates::{RegistryConfig, RegistryTakes, RegistryUnit};

use super::{Accounts, Registry, certificate, reached};
use crate::files::directory;
use crate::os::rendered;
use crate::preflight::facts::USER_PROGRAMS;
use crate::{Site, programs};

/// The registry's user on its host.
const USER: &str = "kubexm-registry";
const UNIT: &str = "kubexm-registry.service";
const READING_UNIT: &str = "kubexm-registry-nodes.service";
const DIR: &str = "/etc/kubexm-registry";
/// What lies on a disk of its own, and the key that says so.
pub(crate) const DATA: &str = "the registry's data";
pub(crate) const MOUNT: &str = "spec.registry.registryMount";

pub(super) struct Distribution;

impl Registry for Distribution {
    fn carried(&self) -> &'static [Component] {
        const CARRIED: &[Component] = &[Component::service("registry", "registry --version", UNIT)];
        CARRIED
    }

    fn requirements(&self, site: &Site, wanted: &mut Requirements) {
        let read_only = site.cluster.spec.registry.read_only_port;
        wanted.ports.extend(read_only.map(|number| Port {
            number,
            of: "the registry for nodes",
        }));
        wanted.programs.extend_from_slice(USER_PROGRAMS);
        wanted.executable.push("/usr/local/bin".to_owned());
    }

    fn certificates(&self, site: &Site) -> Vec<Arc<dyn Step>> {
        let [certificate, key] = pair(site);
        let services = Service::all(site);
        let runs = services.iter().map(Service::run);
        [certificate, key].into_iter().chain(runs).collect()
    }

    fn accounts(&self, site: &Site) -> Accounts {
        let reads = site.cluster.spec.registry.read_only_port;
        Accounts {
            push: pushing(site),
            nodes: reads.map(|_| reading(site)),
            others: Vec::new(),
        }
    }

    fn keeper(&self, site: &Site) -> Keeper {
        Keeper::Kubexm {
            data_dir: site.cluster.spec.registry.registry_data_dir.clone(),
        }
    }

    fn set_up(&self, site: &Site, _: &Host) -> Vec<Arc<dyn Step>> {
        service(site)
    }

    fn collect_garbage(&self, site: &Site, host: &Host) -> Option<Arc<dyn Step>> {
        let services = Service::all(site);
        Some(Arc::new(CollectGarbage {
            units: services.iter().map(|service| service.unit).collect(),
            user: USER,
            config: at("config.yml"),
            site: reached(site, host),
            login: RegistryLogin::from(site.credentials.clone()),
        }))
    }
}

fn pushing(site: &Site) -> PrepareRegistryCredentials {
    let login = site.registry_login.clone();
    PrepareRegistryCredentials::new(site.registry_dir(), login, site.credentials.clone())
}

/// Of the nodes, where they only read.
fn reading(site: &Site) -> PrepareRegistryCredentials {
    let (dir, login) = (site.registry_dir().join("nodes"), &site.node_logins.site);
    PrepareRegistryCredentials::new(dir, login.clone(), site.node_credentials.clone())
        .of(RegistryUser::Nodes)
}

fn owner() -> Owner {
    Owner {
        user: USER.to_owned(),
        group: USER.to_owned(),
    }
}

fn private() -> FileAttrs {
    FileAttrs {
        mode: 0o400,
        owner: owner(),
    }
}

fn at(name: &str) -> String {
    format!("{DIR}/{name}")
}

fn upload(path: String, content: Content, attrs: FileAttrs) -> Arc<dyn Step> {
    Arc::new(UploadFile {
        path: path.into(),
        content,
        attrs,
    })
}

/// What it serves with.
fn pair(site: &Site) -> [Arc<dyn Step>; 2] {
    let from = certificate(site);
    let (certificate, key) = (
        Content::Local(from.certificate()),
        Content::Local(from.key()),
    );
    [
        upload(at("registry.crt"), certificate, FileAttrs::root(0o644)),
        upload(at("registry.key"), key, private()),
    ]
}

/// One of the services of the registry. Htpasswd knows names and no rights: who may only read has a service of its own, which takes
/// nothing.
struct Service {
    takes: RegistryTakes,
    unit: &'static str,
    config: &'static str,
    htpasswd: &'static str,
    port: u16,
    accounts: PrepareRegistryCredentials,
}

impl Service {
    fn all(site: &Site) -> Vec<Self> {
        let whole = Self {
            takes: RegistryTakes::Pushes,
            unit: UNIT,
            config: "config.yml",
            htpasswd: "htpasswd",
            port: site.cluster.registry_port(),
            accounts: pushing(site),
        };
        let reading = site.cluster.spec.registry.read_only_port.map(|port| Self {
            takes: RegistryTakes::Nothing,
            unit: READING_UNIT,
            config: "reading.yml",
            htpasswd: "reading.htpasswd",
            port,
            accounts: reading(site),
        });
        [whole].into_iter().chain(reading).collect()
    }

    fn unit_path(&self) -> String {
        format!("/etc/systemd/system/{}", self.unit)
    }

    fn run(&self) -> Arc<dyn Step> {
        let reads = [self.config, "registry.crt", "registry.key"].map(|name| at(name).into());
        let programs = ["/usr/local/bin/registry".into(), self.unit_path().into()];
        Arc::new(RunService {
            unit: self.unit,
            reads: reads.into_iter().chain(programs).collect(),
        })
    }

    fn steps(&self, site: &Site) -> Vec<Arc<dyn Step>> {
        let registry = &site.cluster.spec.registry;
        let config = rendered(&RegistryConfig {
            port: self.port,
            data_dir: registry.registry_data_dir.to_string(),
            certificate: at("registry.crt"),
            key: at("registry.key"),
            htpasswd: at(self.htpasswd),
            takes: self.takes,
        });
        let unit = rendered(&RegistryUnit {
            config: at(self.config),
            data_dir: registry.registry_data_dir.to_string(),
            mount: registry.registry_mount.as_ref().map(ToString::to_string),
            takes: self.takes,
        });
        let htpasswd = Content::Local(self.accounts.htpasswd());
        vec![
            upload(at(self.htpasswd), htpasswd, private()),
            upload(
                at(self.config),
                Content::Text(config),
                FileAttrs::root(0o644),
            ),
            upload(
                self.unit_path(),
                Content::Text(unit),
                FileAttrs::root(0o644),
            ),
            self.run(),
        ]
    }
}

/// What is on a disk of its own is put nowhere else.
pub(super) fn insist_on_mount(site: &Site) -> Option<Arc<dyn Step>> {
    let path = site.cluster.spec.registry.registry_mount.clone()?;
    Some(Arc::new(InsistOnMount {
        path,
        of: DATA,
        key: MOUNT,
    }))
}

fn service(site: &Site) -> Vec<Arc<dyn Step>> {
    let registry = &site.cluster.spec.registry;
    let mounted = insist_on_mount(site);
    let [certificate, key] = pair(site);
    let steps: [Arc<dyn Step>; 6] = [
        Arc::new(CreateUser { name: USER }),
        programs::install(site, "registry", "/usr/local/bin"),
        directory(DIR),
        Arc::new(DataDirectory {
            path: registry.registry_data_dir.clone(),
            attrs: FileAttrs {
                mode: 0o700,
                owner: owner(),
            },
        }),
        certificate,
        key,
    ];
    let services = Service::all(site);
    let services = services.iter().flat_map(|service| service.steps(site));
    mounted.into_iter().chain(steps).chain(services).collect()
}
