//! An upgrade by kubeadm: each master's control plane before its kubelet, one master at a time; then the workers.

use std::sync::Arc;

use cluster::{EtcdType, Host, KubeadmApi};
use engine::{Order, Rolling, Step, Task, Turn};
use step::{
    Content, KubeadmControlPlane, KubeadmEtcd, KubeadmEtcdImage, KubeadmUpgrade, UpgradeOf,
    UpgradeSettings,
};
use templates::KubeadmUpgradeConfig;

use super::config::kubeadm;
use super::{CONFIG, phases, pki_files, store};
use crate::Site;
use crate::control_plane::once;
use crate::files::upload;
use crate::nodes::kubelet::{heartbeat, kubelet_files, kubelet_service};
use crate::os::rendered;
use crate::programs;

/// The masters one after the other. kube-proxy comes when all apiservers are new: it may be no newer than any of them.
pub(super) fn masters(site: &Site, first: &Host, others: &[&Host]) -> Task {
    let begins = Rolling::one_by_one().on(&first.name, master(site, first, UpgradeOf::Cluster));
    let follow = others.iter().fold(Rolling::one_by_one(), |rolling, host| {
        rolling.on(&host.name, master(site, host, UpgradeOf::Master))
    });
    let task = Task::new("masters")
        .roll(begins)
        .then(Order::AllHosts)
        .roll(follow)
        .then(Order::AllHosts);
    once(site, task, phases(site, first).into())
}

/// Members that are too old for what this hop brings become the last of their minor, one master at a time.
#[must_use]
pub fn etcd_first(site: &Site) -> Task {
    let task = Task::new("members");
    let hop = site.hop.as_ref();
    let Some(first) = hop.and_then(|hop| hop.etcd_first.as_ref()) else {
        return task;
    };
    let port = site.cluster.spec.control_plane_endpoint.port;
    let turns = first
        .order
        .iter()
        .fold(Rolling::one_by_one(), |rolling, host| {
            let image = first.image.clone();
            rolling.on(host, Turn::new(Arc::new(KubeadmEtcdImage { image, port })))
        });
    task.roll(turns)
}

/// Neither the kubelet nor what it reads is touched before the control plane of its master is new.
fn master(site: &Site, host: &Host, of: UpgradeOf) -> Turn {
    let port = site.cluster.spec.control_plane_endpoint.port;
    let config = rendered(&kubeadm(site, host));
    let mut files = kubeadm_itself(site);
    files.extend(pki_files(site));
    files.extend(store(site));
    files.push(upload(CONFIG, Content::Text(config), 0o600));
    let upgrade = Arc::new(upgrade(site, of));
    let turn = match site.cluster.spec.etcd.kind {
        EtcdType::Kubeadm => Turn::new(Arc::new(KubeadmEtcd { port })).then(upgrade),
        EtcdType::Kubexm | EtcdType::External => Turn::new(upgrade),
    };
    let turn = turn
        .with(files)
        .then(Arc::new(KubeadmControlPlane { port }))
        .healthy(site.drain(host));
    let kubelet = kubelet_files(site, host).into_iter();
    let kubelet = kubelet.filter(|step| !is_there_already(step.as_ref()));
    kubelet
        .fold(turn, Turn::then)
        .then(Arc::new(kubelet_service(site)))
        .healthy(vec![heartbeat(host)])
        .healthy(site.uncordon(host))
}

/// The workers that are no masters, each emptied before anything of it is touched.
pub(super) fn workers(site: &Site, workers: &[&Host]) -> Task {
    let rolling = Rolling::new(site.node_batch(workers));
    let rolling = workers.iter().fold(rolling, |rolling, host| {
        let turn = Turn::new(Arc::new(upgrade(site, UpgradeOf::Worker)))
            .before(site.drain(host))
            .with(kubeadm_itself(site));
        let kubelet = kubelet_files(site, host).into_iter();
        let kubelet = kubelet.filter(|step| !is_there_already(step.as_ref()));
        let turn = kubelet
            .fold(turn, Turn::then)
            .then(Arc::new(kubelet_service(site)))
            .healthy(vec![heartbeat(host)])
            .healthy(site.uncordon(host));
        rolling.on(&host.name, turn)
    });
    Task::new("workers").roll(rolling)
}

fn is_there_already(step: &dyn Step) -> bool {
    step.id().starts_with("programs kubeadm ")
}

fn upgrade(site: &Site, of: UpgradeOf) -> KubeadmUpgrade {
    let ignored = &site.cluster.spec.kubernetes.ignore_preflight_errors;
    let told = match site.traits().kubeadm_api {
        KubeadmApi::V1Beta4 => UpgradeSettings::Config(rendered(&KubeadmUpgradeConfig {
            ignore_preflight_errors: ignored.clone(),
        })),
        KubeadmApi::V1Beta3 => {
            let etcd = "--etcd-upgrade=false".to_owned();
            let ignored = (!ignored.is_empty())
                .then(|| format!("--ignore-preflight-errors={}", ignored.join(",")));
            UpgradeSettings::Flags([etcd].into_iter().chain(ignored).collect())
        }
    };
    KubeadmUpgrade {
        of,
        version: site.kubernetes_version().with_v(),
        told,
    }
}

fn kubeadm_itself(site: &Site) -> Vec<Arc<dyn Step>> {
    vec![programs::install(site, "kubeadm", "/usr/local/bin")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// A stacked etcd is kubexm's to change: kubeadm would copy all of its data at each hop, and go past what must come first.
    #[test]
    fn kubeadm_leaves_etcd_alone_in_the_words_that_its_version_knows() {
        for minor in 25..=36 {
            let spec = format!(
                "kubernetes: {{type: kubeadm, version: v1.{minor}.0, ignorePreflightErrors: [Swap]}}"
            );
            let site = testing::site(&spec);
            for of in [UpgradeOf::Cluster, UpgradeOf::Master, UpgradeOf::Worker] {
                match upgrade(&site, of).told {
                    UpgradeSettings::Flags(words) => {
                        assert!(minor <= 30, "{minor}: {words:?}");
                        assert_eq!(
                            words,
                            ["--etcd-upgrade=false", "--ignore-preflight-errors=Swap"]
                        );
                    }
                    UpgradeSettings::Config(text) => {
                        assert!(minor >= 31, "{minor}: {text}");
                        let both = text.matches("etcdUpgrade: false").count();
                        assert_eq!(both, 2, "{minor}: {text}");
                    }
                }
            }
        }
    }
}
