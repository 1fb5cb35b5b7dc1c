use std::sync::Arc;

use artifact::{ImageSet, Sha256};
use cluster::{Host, InternalLoadBalancer};
use engine::{Step, Task};
use step::{Content, ReachAddress, ReachApiserver};
use templates::{BalancerHome, BalancerPod, BalancerProgram, HaproxyConfig, NginxConfig};

use crate::Site;
use crate::balancer::HEALTH_PORT;
use crate::control_plane::pki::CA;
use crate::files::{directory, upload};
use crate::kube::{KUBERNETES, MANIFESTS, loopback};
use crate::os::{rendered, rendered_late};
use crate::site::names;

const DIR: &str = "/etc/kubexm/load-balancer";

/// On each plain worker a load balancer of its own in front of the masters, as a static pod: the kubelet runs it before
/// it knows any apiserver. The files name all masters, so that a change of those comes to every worker.
#[must_use]
pub fn internal_balancer(site: &Site) -> Task {
    let task = Task::new("internal load balancers");
    let Some(program) = site.internal_balancer_kind() else {
        return task;
    };
    site.plain_workers().into_iter().fold(task, |task, host| {
        task.on(&host.name, pod(site, host, program))
    })
}

/// Each plain worker comes to a ready apiserver by the name of the control plane.
#[must_use]
pub fn reach_endpoint(site: &Site) -> Task {
    Task::new("endpoint").on_each(&names(site.plain_workers()), |_| {
        let endpoint = site.apiserver_url();
        vec![Arc::new(ReachApiserver {
            endpoint,
            patience: ReachAddress::PATIENCE,
        }) as Arc<dyn Step>]
    })
}

fn pod(site: &Site, host: &Host, program: BalancerProgram) -> Vec<Arc<dyn Step>> {
    let ca = format!("{DIR}/ca.crt");
    let balancer = site.balancer(BalancerHome::Pod, loopback(host), &ca);
    let (name, config) = match program {
        BalancerProgram::Haproxy => ("haproxy.cfg", rendered(&HaproxyConfig { balancer })),
        BalancerProgram::Nginx => {
            let config = NginxConfig {
                balancer,
                server_name: site.cluster.spec.control_plane_endpoint.domain.clone(),
            };
            ("nginx.conf", rendered(&config))
        }
    };
    let path = format!("{DIR}/{name}");
    let context = BalancerPod {
        program,
        image: site.endpoint_image().unwrap_or_default().to_owned(),
        dir: DIR.to_owned(),
        config: path.clone(),
        digest: String::new(),
        health_port: HEALTH_PORT,
    };
    let authority = || Content::Local(site.kubernetes_files(CA).certificate());
    // It reads both at its start, and never again.
    let (read, trusted) = (config.clone(), authority());
    let manifest = Content::Late {
        takes: Vec::new(),
        render: Arc::new(move || {
            let all = format!("{} {}", Sha256::of(read.as_bytes()), trusted.digest()?);
            rendered_late(&BalancerPod {
                digest: Sha256::of(all.as_bytes()).to_string(),
                ..context.clone()
            })
        }),
    };
    vec![
        directory(DIR),
        directory(KUBERNETES),
        directory(MANIFESTS),
        upload(ca, authority(), 0o644),
        upload(path, Content::Text(config), 0o644),
        upload(
            format!("{MANIFESTS}/kubexm-load-balancer.yaml"),
            manifest,
            0o600,
        ),
    ]
}

impl Site {
    /// The image of what is in front of the masters on the nodes themselves.
    pub(crate) fn endpoint_image(&self) -> Option<&str> {
        let endpoint = &self.cluster.spec.control_plane_endpoint;
        let set = match endpoint.internal_load_balancer {
            InternalLoadBalancer::None => return None,
            InternalLoadBalancer::Haproxy => ImageSet::Haproxy,
            InternalLoadBalancer::Nginx => ImageSet::Nginx,
            InternalLoadBalancer::KubeVip => ImageSet::KubeVip,
        };
        let image = self.first_of(set)?;
        Some(&image.reference)
    }
}
