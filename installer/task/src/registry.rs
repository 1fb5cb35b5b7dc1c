use std::collections::BTreeSet;
use std::sync::Arc;

use engine::{Order, Retry, Step, Task};

use artifact::ImageEntry;
use cluster::{Arch, Host};
use step::{
    Certificate, CertificateAuthority, CertificateSpec, Containerd, Content, CreateUser,
    DataDirectory, FileAttrs, ImageArchives, ImportImages, KeyPairFiles, NodeImage, Owner,
    PrepareRegistryCredentials, ProveRegistry, PullSandboxImage, PushImages, RenewImages, RollPods,
    RunService, SiteRegistry, UploadFile, Usage,
};
use templates::{RegistryConfig, RegistryUnit};

use crate::check::{CONTROL_PLANE, known_images};
use crate::files::directory;
use crate::os::rendered;
use crate::runtime::REGISTRY_HOSTS;
use crate::site::{names, url_address};
use crate::{OPERATOR, Site, programs};

/// The registry's user on its host.
const USER: &str = "kubexm-registry";
const UNIT: &str = "kubexm-registry.service";
const DIR: &str = "/etc/kubexm-registry";

pub(crate) fn authority(site: &Site) -> KeyPairFiles {
    KeyPairFiles::at(site.registry_dir().join("ca"))
}

fn certificate(site: &Site) -> KeyPairFiles {
    KeyPairFiles::at(site.registry_dir().join("registry"))
}

/// The registry's authority, certificate and credentials, on the operator's machine.
#[must_use]
pub fn registry_pki(site: &Site) -> Task {
    let task = Task::new("registry certificates");
    let Some(host) = site.cluster.registry_host() else {
        return task;
    };
    let name = format!("kubexm registry of {}", site.cluster.name());
    let dns: BTreeSet<String> =
        [site.cluster.registry_domain().to_owned(), host.name.clone()].into();
    let spec = CertificateSpec::new(site.cluster.registry_domain(), Usage::Server)
        .dns(dns)
        .ips(
            host.internal_ips()
                .into_iter()
                .chain(host.address.parse().ok()),
        );
    task.on(
        OPERATOR,
        vec![
            Arc::new(CertificateAuthority::new(authority(site), name)),
            Arc::new(Certificate::new(authority(site), certificate(site), spec)),
            Arc::new(credentials(site)),
        ],
    )
}

pub(crate) fn credentials(site: &Site) -> PrepareRegistryCredentials {
    let login = site.registry_login.clone();
    PrepareRegistryCredentials::new(site.registry_dir(), login, site.credentials.clone())
}

/// The registry itself, under systemd on its host.
#[must_use]
pub fn registry_service(site: &Site) -> Task {
    let task = Task::new("registry service");
    let Some(host) = site.cluster.registry_host() else {
        return task;
    };
    let data_dir = site.cluster.spec.registry.registry_data_dir.clone();
    let owner = || Owner {
        user: USER.to_owned(),
        group: USER.to_owned(),
    };
    let private = || FileAttrs {
        mode: 0o400,
        owner: owner(),
    };
    let at = |name: &str| format!("{DIR}/{name}");
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
    let upload = |path: String, content: Content, attrs: FileAttrs| -> Arc<dyn Step> {
        Arc::new(UploadFile {
            path: path.into(),
            content,
            attrs,
        })
    };
    let local = |path| Content::Local(path);
    let certificate = certificate(site);
    let unit_path = format!("/etc/systemd/system/{UNIT}");
    let reads = ["config.yml", "registry.crt", "registry.key"].map(|name| at(name).into());
    let programs = ["/usr/local/bin/registry".into(), unit_path.clone().into()];
    task.on(
        &host.name,
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
            upload(
                at("registry.crt"),
                local(certificate.certificate()),
                FileAttrs::root(0o644),
            ),
            upload(at("registry.key"), local(certificate.key()), private()),
            upload(
                at("htpasswd"),
                local(credentials(site).htpasswd()),
                private(),
            ),
            upload(
                at("config.yml"),
                Content::Text(config),
                FileAttrs::root(0o644),
            ),
            upload(unit_path, Content::Text(unit), FileAttrs::root(0o644)),
            Arc::new(RunService {
                unit: UNIT,
                reads: reads.into_iter().chain(programs).collect(),
            }),
        ],
    )
}

/// Every image of the bundle, in the registry.
#[must_use]
pub fn push_images(site: &Site) -> Task {
    let task = Task::new("images");
    let Some(host) = site.cluster.registry_host() else {
        return task;
    };
    if site.contents.images.is_empty() {
        return task;
    }
    let push = PushImages::new(
        reached(site, host),
        site.credentials.clone(),
        site.tree.images(),
        site.contents.images.clone(),
        site.pushed.clone(),
    );
    task.after(Order::Host(host.name.clone()))
        .on(&host.name, vec![Arc::new(push)])
}

/// The registry as the operator's machine reaches it.
fn reached(site: &Site, host: &Host) -> SiteRegistry {
    let port = site.cluster.registry_port();
    SiteRegistry {
        url: format!("https://{}:{port}", url_address(host)),
        ca: authority(site).certificate(),
        names: site.registry_names(),
        data_dir: site
            .cluster
            .spec
            .registry
            .registry_data_dir
            .to_string()
            .into(),
    }
}

/// Every image of the bundle is in the registry still, and whole.
#[must_use]
pub fn prove_registry(site: &Site, patience: Retry) -> Task {
    let task = Task::new("registry").apart();
    match site.cluster.registry_host() {
        Some(host) if !site.contents.images.is_empty() => {
            let proof = ProveRegistry {
                site: reached(site, host),
                credentials: credentials(site),
                images: site.contents.images.clone(),
                patience,
            };
            task.on(&host.name, vec![Arc::new(proof)])
        }
        _ => task,
    }
}

/// Where the site has no registry: every image of the bundle, on every node.
#[must_use]
pub fn import_images(site: &Site) -> Task {
    let task = Task::new("images");
    if site.cluster.registry_host().is_some() || site.contents.images.is_empty() {
        return task;
    }
    let archives = ImageArchives::new(site.tree.images(), site.tree.state().join("images"));
    let mut task = task;
    for host in site.runtime_hosts() {
        let import = ImportImages {
            archives: archives.clone(),
            images: node_images(site, host.arch),
            containerd: Containerd {
                ctr: "/usr/local/bin/ctr".into(),
                socket: "/run/containerd/containerd.sock".into(),
            },
            upload_dir: "/var/lib/kubexm/images".into(),
        };
        task = task.on(&host.name, vec![Arc::new(import)]);
    }
    task
}

/// Every image of the bundle as a node of this architecture has it.
fn node_images(site: &Site, arch: Arch) -> Vec<NodeImage> {
    let of_arch = |image: &ImageEntry| {
        let platform = image
            .platforms
            .iter()
            .find(|platform| platform.arch == arch)?;
        Some(NodeImage {
            reference: image.reference.clone(),
            manifest: platform.digest,
            size: platform.size,
        })
    };
    site.contents.images.iter().filter_map(of_arch).collect()
}

/// Has every node fetch the sandbox image by the name the world knows it by, as soon as the site's registry holds all
/// images, and whatever it has of earlier builds. Whatever pulls later on a node comes behind it.
#[must_use]
pub fn prove_images(site: &Site) -> Task {
    let task = Task::new("pull");
    let Some(pause) = site.pause_image() else {
        return task;
    };
    let pushed = site.cluster.registry_host().map(|_| site.pushed.clone());
    let known = known_images(site);
    let sandbox = known
        .iter()
        .find(|image| image.reference == pause.reference);
    let sandbox: Option<Arc<dyn Step>> = sandbox.map(|image| -> Arc<dyn Step> {
        Arc::new(PullSandboxImage {
            image: image.clone(),
            hosts_dir: REGISTRY_HOSTS.into(),
            pushed: pushed.clone(),
        })
    });
    // Without a registry there is nobody to pull from: what is imported is compared where that is done.
    let renew = pushed.map(|pushed| -> Arc<dyn Step> {
        Arc::new(RenewImages {
            images: known.clone(),
            hosts_dir: REGISTRY_HOSTS.into(),
            pushed,
        })
    });
    let steps: Vec<Arc<dyn Step>> = sandbox.into_iter().chain(renew).collect();
    task.on_each(&names(site.runtime_hosts()), |_| steps.clone())
}

/// Has the system's own workloads run the images that the bundle has now. A node that did not get them keeps the others
/// from nothing.
#[must_use]
pub fn roll_pods(site: &Site) -> Task {
    let task = Task::new("earlier images").after(Order::AllSettled);
    let images = known_images(site);
    if images.is_empty() {
        return task;
    }
    task.on(CONTROL_PLANE, vec![Arc::new(RollPods { images })])
}
