//! Harbor, as its makers want it: their offline installer, with docker and compose, on a host of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::Host;
use engine::{Slot, Step, StepError};
use secrecy::ExposeSecret;
use serde_json::json;
use step::{
    AwaitHarbor, Component, Content, DataDirectory, FetchHarborPasswords, FileAttrs, HARBOR_HOME,
    HarborArchive, Keeper, Leftover, MakeProjects, MakeRobot, Port, PrepareHarbor,
    PrepareRegistryCredentials, RegistryCredentials, RegistryLogin, RegistryUser, Requirements,
    Rival, RobotRights, RunService, Socket, Space, UnpackHarbor,
};
use templates::{DockerUnit, HarborConfig, HarborUnit};

use super::distribution::insist_on_mount;
use super::{Accounts, Registry, certificate, reached};
use crate::files::{directory, text, upload};
use crate::os::{rendered, rendered_late};
use crate::preflight::facts::{HARBOR_MEMORY, IPTABLES};
use crate::tools::docker_compose;
use crate::{Site, programs};

const UNIT: &str = "kubexm-harbor.service";
const UNIT_FILE: &str = "/etc/systemd/system/kubexm-harbor.service";
const DOCKER: &str = "docker.service";
const DOCKER_FILE: &str = "/etc/systemd/system/docker.service";
const DAEMON: &str = "/etc/docker/daemon.json";
const CONFIG: &str = "/opt/kubexm-harbor/harbor.yml";
const CERTIFICATE: &str = "/opt/kubexm-harbor/tls/registry.crt";
const KEY: &str = "/opt/kubexm-harbor/tls/registry.key";
/// There it only leads to the other one.
const HTTP_PORT: u16 = 80;
/// Its images, as docker has them.
const IMAGES: u64 = 3 << 30;

pub(super) struct Harbor;

impl Registry for Harbor {
    fn carried(&self) -> &'static [Component] {
        const CARRIED: &[Component] = &[
            Component::service("docker", "dockerd --version", DOCKER),
            Component::service("harbor", "cat /opt/kubexm-harbor/version", UNIT),
        ];
        CARRIED
    }

    fn requirements(&self, site: &Site, wanted: &mut Requirements) {
        wanted.programs.push(IPTABLES);
        wanted.executable.push("/usr/local/bin".to_owned());
        wanted.memory = Some(HARBOR_MEMORY);
        wanted.ports.push(Port {
            number: HTTP_PORT,
            of: "Harbor's plain HTTP, which leads to its TLS",
        });
        wanted.sockets.push(Socket {
            path: "/run/docker.sock",
            of: "docker",
            unit: DOCKER,
        });
        wanted.rivals.push(Rival {
            unit: "docker.socket",
            why: "it would start another Docker",
            fix: "remove that Docker, or take another host for the registry",
        });
        wanted.leftovers.push(Leftover {
            path: DAEMON.to_owned(),
            of: "another Docker",
        });
        let archives = archives(site).into_values();
        let archive = archives.map(|archive| archive.size).max();
        wanted.space.push(Space {
            path: HARBOR_HOME.to_owned(),
            bytes: archive.unwrap_or_default() * 2,
            of: "Harbor's installer",
        });
        wanted.space.push(Space {
            path: site.cluster.spec.registry.docker_data_dir.to_string(),
            bytes: IMAGES,
            of: "the images that Harbor consists of",
        });
    }

    fn accounts(&self, site: &Site) -> Accounts {
        let account = |name: &str, given: Option<RegistryCredentials>, slot: &Slot<_>, of| {
            let dir = site.registry_dir().join("harbor").join(name);
            PrepareRegistryCredentials::new(dir, given, slot.clone()).of(of)
        };
        let push = account("push", None, &site.credentials, RegistryUser::HarborRobot);
        let nodes = &site.node_credentials;
        let nodes = account("nodes", None, nodes, RegistryUser::HarborNodes);
        let given = site.registry_login.clone();
        let admin = &site.harbor_admin;
        let admin = account("admin", given, admin, RegistryUser::HarborAdmin);
        let database = &site.harbor_database;
        let database = account("database", None, database, RegistryUser::HarborDatabase);
        Accounts {
            push,
            nodes: Some(nodes),
            others: vec![admin, database],
        }
    }

    /// It has notes of its own of what lies there.
    fn keeper(&self, _: &Site) -> Keeper {
        Keeper::Others
    }

    fn certificates(&self, site: &Site) -> Vec<Arc<dyn Step>> {
        pair(site).into_iter().chain(at_work()).collect()
    }

    fn set_up(&self, site: &Site, host: &Host) -> Vec<Arc<dyn Step>> {
        let data_dir = site.cluster.spec.registry.registry_data_dir.clone();
        let mut steps: Vec<Arc<dyn Step>> = insist_on_mount(site).into_iter().collect();
        steps.extend(docker(site));
        steps.extend(docker_compose(site));
        steps.push(Arc::new(DataDirectory {
            path: data_dir.clone(),
            attrs: FileAttrs::root(0o755),
        }));
        steps.push(Arc::new(UnpackHarbor {
            version: version(site),
            archives: archives(site),
            unit: UNIT,
            data_dir: data_dir.clone(),
        }));
        steps.push(directory(format!("{HARBOR_HOME}/tls")));
        steps.extend(pair(site));
        steps.push(config(site));
        let mount = site.cluster.spec.registry.registry_mount.clone();
        let unit = HarborUnit {
            home: HARBOR_HOME.to_owned(),
            data_dir: data_dir.into_string(),
            mount: mount.map(Utf8PathBuf::into_string),
        };
        steps.push(text(UNIT_FILE, rendered(&unit)));
        steps.extend(at_work());
        let robot = |rights, account: &Slot<RegistryCredentials>| -> Arc<dyn Step> {
            Arc::new(MakeRobot {
                site: reached(site, host),
                admin: RegistryLogin::from(site.harbor_admin.clone()),
                robot: RegistryLogin::from(account.clone()),
                rights,
            })
        };
        steps.push(Arc::new(AwaitHarbor {
            site: reached(site, host),
            unit: UNIT,
        }));
        steps.push(robot(RobotRights::PullAndPush, &site.credentials));
        steps.push(robot(RobotRights::Pull, &site.node_credentials));
        steps
    }

    fn make_room(
        &self,
        site: &Site,
        host: &Host,
        repositories: BTreeSet<String>,
    ) -> Vec<Arc<dyn Step>> {
        let first = |name: &String| name.split('/').next().unwrap_or_default().to_owned();
        let projects: BTreeSet<String> = repositories.iter().map(first).collect();
        if projects.is_empty() {
            return Vec::new();
        }
        vec![Arc::new(MakeProjects {
            site: reached(site, host),
            admin: RegistryLogin::from(site.harbor_admin.clone()),
            projects,
        })]
    }

    /// Harbor has a schedule of its own for that.
    fn collect_garbage(&self, _: &Site, _: &Host) -> Option<Arc<dyn Step>> {
        None
    }

    /// With other passwords it would not reach its own database.
    fn fetch_lost(&self, site: &Site) -> Vec<Arc<dyn Step>> {
        let kept = |name: &str| {
            let dir = site.registry_dir().join("harbor").join(name);
            dir.join("credentials.json")
        };
        vec![Arc::new(FetchHarborPasswords {
            config: CONFIG.into(),
            admin: kept("admin"),
            database: kept("database"),
        })]
    }
}

fn version(site: &Site) -> String {
    let version = site.release.version_of("harbor").unwrap_or_default();
    version.to_owned()
}

fn archives(site: &Site) -> BTreeMap<String, HarborArchive> {
    let arches = site.arches().into_iter();
    let archives = arches.filter_map(|arch| {
        let mut files = site.contents.files_of(&site.release, "harbor", arch);
        let file = files.next()?;
        let archive = HarborArchive {
            local: site.tree.path(&file.path),
            size: file.size,
            sha256: file.sha256,
        };
        Some((arch.uname().to_owned(), archive))
    });
    archives.collect()
}

/// Its own containers are all that it runs. It writes no rule of a firewall and forwards nothing: what is to be reached from
/// outside goes through a program of docker's.
fn docker(site: &Site) -> Vec<Arc<dyn Step>> {
    let data_dir = site.cluster.spec.registry.docker_data_dir.to_string();
    let settings = json!({
        "bridge": "none",
        "data-root": data_dir,
        "exec-opts": ["native.cgroupdriver=systemd"],
        "features": {"containerd-snapshotter": false},
        "ip-forward": false,
        "ip6tables": false,
        "iptables": false,
        "log-driver": "json-file",
        "log-opts": {"max-file": "3", "max-size": "10m"},
        "storage-driver": "overlay2",
        "userland-proxy": true,
    });
    let reads = [DAEMON, DOCKER_FILE, "/usr/local/bin/dockerd"];
    vec![
        programs::install(site, "docker", "/usr/local/bin"),
        directory("/etc/docker"),
        Arc::new(DataDirectory {
            path: site.cluster.spec.registry.docker_data_dir.clone(),
            // As docker itself has it.
            attrs: FileAttrs::root(0o710),
        }),
        text(DAEMON, format!("{settings:#}\n")),
        text(DOCKER_FILE, rendered(&DockerUnit { data_dir })),
        Arc::new(RunService {
            unit: DOCKER,
            reads: reads.map(Utf8PathBuf::from).into(),
        }),
    ]
}

fn pair(site: &Site) -> [Arc<dyn Step>; 2] {
    let from = certificate(site);
    [
        upload(CERTIFICATE, Content::Local(from.certificate()), 0o644),
        upload(KEY, Content::Local(from.key()), 0o600),
    ]
}

fn config(site: &Site) -> Arc<dyn Step> {
    let registry = &site.cluster.spec.registry;
    let (domain, port) = (
        site.cluster.registry_domain().to_owned(),
        site.cluster.registry_port(),
    );
    let (version, data_dir) = (version(site), registry.registry_data_dir.to_string());
    let logins = [&site.harbor_admin, &site.harbor_database].map(Clone::clone);
    let takes = logins.iter().map(Slot::id).collect();
    let render = Arc::new(move || {
        let password = |slot: &Slot<RegistryCredentials>| {
            let known = slot
                .get()
                .ok_or_else(|| StepError::new("the passwords of Harbor have not been prepared"))?;
            Ok::<_, StepError>(known.password.expose_secret().to_owned())
        };
        rendered_late(&HarborConfig {
            domain: domain.clone(),
            http_port: HTTP_PORT,
            port,
            certificate: CERTIFICATE.to_owned(),
            key: KEY.to_owned(),
            admin_password: password(&logins[0])?,
            database_password: password(&logins[1])?,
            data_dir: data_dir.clone(),
            version: version.trim_start_matches('v').to_owned(),
        })
    });
    upload(CONFIG, Content::Late { takes, render }, 0o600)
}

/// Made ready, and started with it.
fn at_work() -> [Arc<dyn Step>; 2] {
    let compose = format!("{HARBOR_HOME}/docker-compose.yml");
    let reads = vec![UNIT_FILE.into(), compose.into(), PrepareHarbor::note()];
    [
        Arc::new(PrepareHarbor {
            reads: [CONFIG, CERTIFICATE, KEY].map(Utf8PathBuf::from).into(),
        }),
        Arc::new(RunService { unit: UNIT, reads }),
    ]
}
