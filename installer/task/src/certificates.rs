//! Certificates that are looked at, and made anew, on all hosts of a site.

use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::{EtcdType, Host, KubernetesType};
use engine::{Order, Rolling, Slot, Step, Task, Turn};
use step::{
    Certificate, CertificateSeen, CertificateSpec, CertificatesOf, HealthyMembers, KubeletClient,
    LocalNote, LookAtCertificates, MendKubeletClient, Noted, OwnPods, RenewKubeadmCertificates,
    Usage, VerifyEtcd,
};

use crate::control_plane::pki::{CA, NODES, node_user};
use crate::control_plane::{self, etcd_client};
use crate::nodes::kubelet::{heartbeat, kubelet_certificates, kubelet_service};
use crate::nodes::{ROLL, kube_proxy, kubelet};
use crate::rotation::own_pods;
use crate::site::names;
use crate::{OPERATOR, Site, etcd};

/// A renewal by its beginning: what was made before is made anew.
#[must_use]
pub fn renewal_note(site: &Site) -> Utf8PathBuf {
    site.tree.state().join("certs-renew")
}

/// Every host's certificates, and those of the operator's machine.
#[must_use]
pub fn look_at_certificates(site: &Site, hosts: &[(String, Slot<Vec<CertificateSeen>>)]) -> Task {
    hosts
        .iter()
        .fold(Task::new("certificates").apart(), |task, (host, seen)| {
            let of = if host == OPERATOR {
                CertificatesOf::Operator(site.tree.root().join("certs"))
            } else {
                CertificatesOf::Host
            };
            let look = LookAtCertificates {
                of,
                seen: seen.clone(),
            };
            task.on(host, vec![Arc::new(look)])
        })
}

/// Notes that a renewal has begun; the next run goes on with it.
#[must_use]
pub fn begin_renewal(site: &Site, since: &str) -> Task {
    note(site, "begin", Noted::As(since.to_owned()))
}

/// The next renewal makes everything anew again.
#[must_use]
pub fn end_renewal(site: &Site) -> Task {
    note(site, "end", Noted::No)
}

fn note(site: &Site, name: &'static str, keeps: Noted) -> Task {
    let step = LocalNote {
        path: renewal_note(site),
        of: "the renewal",
        keeps,
    };
    Task::new(name).on(OPERATOR, vec![Arc::new(step)])
}

/// What kubelets that kubeadm has joined get where theirs has ended.
#[must_use]
pub fn sign_kubelet_clients(site: &Site) -> Task {
    let task = Task::new("kubelets' certificates");
    if site.cluster.spec.kubernetes.kind != KubernetesType::Kubeadm {
        return task;
    }
    let sign = |host: &&Host| -> Arc<dyn Step> {
        let spec = CertificateSpec::new(node_user(host), Usage::Client).organization(NODES);
        Arc::new(Certificate::new(
            site.kubernetes_files(CA),
            site.kubernetes_files(&format!("{}/kubelet-client", host.name)),
            spec.since(site.renewal),
        ))
    };
    task.on(OPERATOR, site.runtime_hosts().iter().map(sign).collect())
}

/// New files beside old processes, on all hosts: the authorities stay, so nobody notices, and etcd reads its own again by
/// itself. What has ended is mended with it before anybody has to answer.
#[must_use]
pub fn bring_certificates(site: &Site, since: &str) -> Task {
    bring(site, Some(since))
}

/// The same; what kubeadm has signed is left as it is where no mark says since when it is made anew.
pub(crate) fn bring(site: &Site, mark: Option<&str>) -> Task {
    let kubernetes = site.cluster.spec.kubernetes.kind;
    let mut task = Task::new("files");
    for host in site.etcd_hosts() {
        task = task.on(&host.name, etcd::member_pairs(site, host));
    }
    for host in site.masters() {
        let steps = match kubernetes {
            KubernetesType::Kubexm => {
                [control_plane::master_certificates(site), etcd_client(site)].concat()
            }
            KubernetesType::Kubeadm => {
                let mut steps = match site.cluster.spec.etcd.kind {
                    EtcdType::Kubexm | EtcdType::External => etcd_client(site),
                    EtcdType::Kubeadm => Vec::new(),
                };
                steps.extend(mark.map(|mark| -> Arc<dyn Step> {
                    Arc::new(RenewKubeadmCertificates {
                        renewal: mark.to_owned(),
                    })
                }));
                steps
            }
        };
        task = task.on(&host.name, steps);
    }
    for host in site.runtime_hosts() {
        let mut steps = kubelet_certificates(site, host);
        let by = match kubernetes {
            KubernetesType::Kubexm => {
                steps.push(kube_proxy::kubeconfig(site));
                KubeletClient::InKubeconfig
            }
            KubernetesType::Kubeadm => {
                let from = format!("{}/kubelet-client", host.name);
                KubeletClient::Given(site.kubernetes_files(&from))
            }
        };
        steps.push(Arc::new(MendKubeletClient {
            by,
            authority: site.kubernetes_files(CA).certificate(),
            kubelet: kubelet::UNIT,
        }));
        task = task.on(&host.name, steps);
    }
    task
}

/// The store serves with what it has now.
#[must_use]
pub fn await_store(site: &Site) -> Task {
    let members = site.members();
    let task = Task::new("etcd");
    task.on_each(&names(members), |_| {
        vec![Arc::new(VerifyEtcd {
            cluster: site.etcd(),
            wanted: HealthyMembers::Majority(Slot::new("the founding of etcd")),
        })]
    })
}

/// The masters' components start anew, one master at a time.
#[must_use]
pub fn restart_control_plane(site: &Site, since: &str) -> Task {
    if site.cluster.spec.kubernetes.kind == KubernetesType::Kubexm {
        return control_plane::restart_services(site);
    }
    Task::new("control plane").roll(own_pods(site, OwnPods::ControlPlane, since))
}

/// Kubelets, and kube-proxies where they are services, start anew where what they read has changed.
#[must_use]
pub fn restart_nodes(site: &Site) -> Task {
    let hosts = site.runtime_hosts();
    let kubelets = hosts.iter().fold(Rolling::new(ROLL), |rolling, host| {
        let turn = Turn::new(Arc::new(kubelet_service(site)));
        rolling.on(&host.name, turn.healthy(vec![heartbeat(host)]))
    });
    let task = Task::new("nodes").roll(kubelets);
    match site.cluster.spec.kubernetes.kind {
        KubernetesType::Kubexm => task.roll(kube_proxy::restarts(&hosts)),
        KubernetesType::Kubeadm => task,
    }
}

/// What follows waits for the store's majority, as far as it is ours.
#[must_use]
pub fn after_store(site: &Site) -> Order {
    let members = names(site.members());
    if members.is_empty() {
        return Order::Settled;
    }
    Order::Enough {
        needed: members.len() / 2 + 1,
        of: members,
    }
}

/// The registry's certificate, which is made anew with the others.
#[must_use]
pub fn bring_registry_certificate(site: &Site) -> Task {
    let task = Task::new("registry");
    match site.registry() {
        Some((registry, hosts)) => {
            let steps = registry.certificates(site);
            let hosts = hosts.into_iter();
            hosts.fold(task, |task, host| task.on(&host.name, steps.clone()))
        }
        None => task,
    }
}
