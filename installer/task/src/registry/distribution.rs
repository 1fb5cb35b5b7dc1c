//! The registry of the distribution project, under systemd.

use std::sync::Arc;

use engine::Step;
use step::{
    Component, Content, CreateUser, DataDirectory, FileAttrs, Owner, Requirements, RunService,
    UploadFile,
};
use templates::{RegistryConfig, RegistryUnit};

use super::{Registry, certificate, credentials};
use crate::files::directory;
use crate::os::rendered;
use crate::preflight::facts::USER_PROGRAMS;
use crate::{Site, programs};

/// The registry's user on its host.
const USER: &str = "kubexm-registry";
const UNIT: &str = "kubexm-registry.service";
const DIR: &str = "/etc/kubexm-registry";

pub(super) struct Distribution;

impl Registry for Distribution {
    fn carried(&self) -> &'static [Component] {
        const CARRIED: &[Component] = &[Component::service("registry", "registry --version", UNIT)];
        CARRIED
    }

    fn requirements(&self, wanted: &mut Requirements) {
        wanted.programs.extend_from_slice(USER_PROGRAMS);
        wanted.executable.push("/usr/local/bin".to_owned());
    }

    fn certificates(&self, site: &Site) -> Vec<Arc<dyn Step>> {
        let [certificate, key] = pair(site);
        vec![certificate, key, run()]
    }

    fn set_up(&self, site: &Site) -> Vec<Arc<dyn Step>> {
        service(site)
    }
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

fn unit_path() -> String {
    format!("/etc/systemd/system/{UNIT}")
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

fn run() -> Arc<dyn Step> {
    let reads = ["config.yml", "registry.crt", "registry.key"].map(|name| at(name).into());
    let programs = ["/usr/local/bin/registry".into(), unit_path().into()];
    Arc::new(RunService {
        unit: UNIT,
        reads: reads.into_iter().chain(programs).collect(),
    })
}

fn service(site: &Site) -> Vec<Arc<dyn Step>> {
    let data_dir = site.cluster.spec.registry.registry_data_dir.clone();
    let config = rendered(&RegistryConfig {
        port: site.cluster.registry_port(),
        data_dir: data_dir.to_string(),
        certificate: at("registry.crt"),
        key: at("registry.key"),
        htpasswd: at("htpasswd"),
    });
    let unit = rendered(&RegistryUnit {
        config: at("config.yml"),
        data_dir: data_dir.to_string(),
    });
    let [certificate, key] = pair(site);
    vec![
        Arc::new(CreateUser { name: USER }),
        programs::install(site, "registry", "/usr/local/bin"),
        directory(DIR),
        Arc::new(DataDirectory {
            path: data_dir,
            attrs: FileAttrs {
                mode: 0o700,
                owner: owner(),
            },
        }),
        certificate,
        key,
        upload(
            at("htpasswd"),
            Content::Local(credentials(site).htpasswd()),
            private(),
        ),
        upload(
            at("config.yml"),
            Content::Text(config),
            FileAttrs::root(0o644),
        ),
        upload(unit_path(), Content::Text(unit), FileAttrs::root(0o644)),
        run(),
    ]
}
