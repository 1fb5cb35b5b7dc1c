use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::{Host, InternalLoadBalancer};
use engine::{Batch, Rolling, Slot, Step, StepError, Task, Turn};
use step::{
    ApplyManifest, AwaitStaticPod, Certificate, CertificateSpec, Content, FindLink, Link, Usage,
    WriteKubeconfig,
};
use templates::{KubeVipPod, KubeVipRole};

use crate::control_plane::once;
use crate::control_plane::pki::CA;
use crate::files::{directory, upload};
use crate::kube::{KUBERNETES, MANIFESTS};
use crate::os::{rendered, rendered_late};
use crate::{OPERATOR, Site};

/// Who kube-vip is to the apiservers: itself, and no administrator.
const USER: &str = "kubexm:kube-vip";
const KUBECONFIG: &str = "/etc/kubernetes/kube-vip.conf";

fn is_chosen(site: &Site) -> bool {
    let endpoint = &site.cluster.spec.control_plane_endpoint;
    endpoint.internal_load_balancer == InternalLoadBalancer::KubeVip
}

/// Who kube-vip is, on the operator's machine.
#[must_use]
pub fn kube_vip_pki(site: &Site) -> Task {
    let task = Task::new("kube-vip certificate");
    if !is_chosen(site) {
        return task;
    }
    let spec = CertificateSpec::new(USER, Usage::Client);
    let (authority, files) = (site.kubernetes_files(CA), site.kubernetes_files("kube-vip"));
    task.on(
        OPERATOR,
        vec![
            Arc::new(Certificate::new(
                authority.clone(),
                files.clone(),
                spec.since(site.renewal),
            )),
            Arc::new(WriteKubeconfig {
                path: site.kubeconfig("kube-vip"),
                cluster: site.cluster.name().to_owned(),
                user: USER.to_owned(),
                server: site.apiserver_url(),
                authority: authority.certificate(),
                client: files,
            }),
        ],
    )
}

/// kube-vip on every master, as a static pod. It comes to the apiserver of its own host and takes part in the election
/// as soon as it may.
#[must_use]
pub fn kube_vip(site: &Site) -> Task {
    let task = Task::new("kube-vip");
    if !is_chosen(site) {
        return task;
    }
    let mut rolling = Rolling::new(Batch::One);
    let mut task = task;
    for host in site.masters() {
        let Some(pod) = pod(site, host) else {
            continue;
        };
        task = task.on(&host.name, vec![pod.link]);
        let runs = AwaitStaticPod {
            name: "kube-vip",
            manifest: manifest_file(),
        };
        let turn = Turn::new(pod.manifest).with(pod.files);
        rolling = rolling.on(&host.name, turn.healthy(vec![Arc::new(runs)]));
    }
    task.roll(rolling)
}

/// What kube-vip may do in the cluster, given once.
#[must_use]
pub fn kube_vip_role(site: &Site) -> Task {
    let task = Task::new("kube-vip role");
    if !is_chosen(site) {
        return task;
    }
    let user = USER.to_owned();
    once(
        site,
        task,
        vec![Arc::new(ApplyManifest {
            name: "kube-vip's role".to_owned(),
            content: Content::Text(rendered(&KubeVipRole { user })),
        })],
    )
}

/// The pod's manifest on a host with this interface and this kubeconfig.
fn manifest(pod: &KubeVipPod, link: &Link, kubeconfig: &Content) -> Result<String, StepError> {
    rendered_late(&KubeVipPod {
        interface: link.interface.clone(),
        digest: kubeconfig.digest()?.to_string(),
        ..pod.clone()
    })
}

fn manifest_file() -> Utf8PathBuf {
    format!("{MANIFESTS}/kube-vip.yaml").into()
}

/// What is written on a master.
struct Pod {
    /// Finds what the manifest is made with.
    link: Arc<dyn Step>,
    /// What the pod reads.
    files: Vec<Arc<dyn Step>>,
    /// It starts the pod.
    manifest: Arc<dyn Step>,
}

fn pod(site: &Site, host: &Host) -> Option<Pod> {
    let address = host.internal_ips().into_iter().next()?;
    let link: Slot<Link> = Slot::new("the interface of the master");
    let context = KubeVipPod {
        image: site.endpoint_image().unwrap_or_default().to_owned(),
        interface: String::new(),
        addresses: site.virtual_addresses(),
        port: site.cluster.spec.control_plane_endpoint.port,
        node: host.name.clone(),
        kubeconfig: KUBECONFIG.to_owned(),
        digest: String::new(),
    };
    let kubeconfig = || Content::Local(site.kubeconfig("kube-vip"));
    let read = kubeconfig();
    let (takes, known) = (vec![link.id()], link.clone());
    let render = move || {
        let Some(link) = known.get() else {
            return Err(StepError::new(
                "the interface of the master is not known yet",
            ));
        };
        manifest(&context, link, &read)
    };
    let files: Vec<Arc<dyn Step>> = vec![
        directory(KUBERNETES),
        directory(MANIFESTS),
        upload(KUBECONFIG, kubeconfig(), 0o600),
    ];
    let late = Content::Late {
        takes,
        render: Arc::new(render),
    };
    let manifest = upload(manifest_file(), late, 0o600);
    Some(Pod {
        link: Arc::new(FindLink { address, link }),
        files,
        manifest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_kubeconfig_makes_another_pod() {
        let pod = KubeVipPod {
            image: "kube-vip:v1".to_owned(),
            interface: String::new(),
            addresses: vec!["10.0.0.100".parse().unwrap()],
            port: 6443,
            node: "m1".to_owned(),
            kubeconfig: KUBECONFIG.to_owned(),
            digest: String::new(),
        };
        let link = Link {
            interface: "eth0".to_owned(),
            address: "10.0.0.1/24".parse().unwrap(),
            mtu: 1500,
        };
        let with = |text: &str| manifest(&pod, &link, &Content::Text(text.to_owned())).unwrap();
        assert_eq!(with("first"), with("first"));
        assert_ne!(with("first"), with("second"));
    }
}
