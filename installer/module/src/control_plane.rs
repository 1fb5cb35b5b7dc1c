//! The apiservers and those who act through them.

use engine::{Order, Retry, Stage, Task};
use task::Site;

pub(crate) fn prepare(site: &Site) -> Task {
    task::kube_pki(site)
}

/// One master after the other, and the masters as nodes: by kubeadm or from plain binaries. Then DNS.
#[must_use]
pub fn control_plane(site: &Site) -> Stage {
    Stage::new(
        "control plane",
        vec![
            task::keep_keys(site),
            task::control_plane_files(site),
            task::control_plane_services(site),
            task::cluster_roles(site),
            task::master_nodes(site),
            task::kubeadm_masters(site),
            task::kube_vip(site),
            task::kube_vip_role(site),
            task::renew_certificates(site),
            task::backups_of_pods(site),
            // Where a change has brought something down on a master, no worker is touched.
            task::cluster_dns(site).after(Order::Rolled),
        ],
    )
    .after(task::after_etcd(site))
}

pub(crate) fn prove(site: &Site, patience: Retry) -> Task {
    task::prove_apiservers(site, patience)
}
