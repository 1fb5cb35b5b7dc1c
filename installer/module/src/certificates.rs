//! Certificates of all components: where they end, and how they are made anew without an outage.

use engine::{Order, Slot, Stage};
use task::{CertificateSeen, OPERATOR, Site};

use crate::host::clocks;
use crate::operator::secrets;
use crate::proof::{Occasion, proof};

/// Every certificate, as each host has it.
#[must_use]
pub fn certificates(site: &Site, hosts: &[(String, Slot<Vec<CertificateSeen>>)]) -> Stage {
    Stage::new(
        "certificates",
        vec![task::look_at_certificates(site, hosts)],
    )
}

/// Everything but authorities made anew, brought to all hosts, and then whoever reads it only at its start, one after the
/// other. Until the files are there nobody has to answer: what has ended already is mended as well.
#[must_use]
pub fn renew_certificates(site: &Site, since: &str) -> Vec<Stage> {
    let mut sign = vec![task::begin_renewal(site, since)];
    sign.extend(secrets(site));
    sign.push(task::sign_kubelet_clients(site));
    vec![
        clocks(site),
        Stage::new("sign", sign).after(Order::Host(OPERATOR.to_owned())),
        Stage::new(
            "files",
            vec![
                task::bring_certificates(site, since),
                task::bring_registry_certificate(site),
            ],
        )
        .after(Order::Host(OPERATOR.to_owned())),
        Stage::new("etcd", vec![task::await_store(site)]).after(Order::Settled),
        Stage::new(
            "control plane",
            vec![
                task::restart_control_plane(site, since),
                task::kube_vip(site),
            ],
        )
        .after(task::after_store(site)),
        Stage::new("nodes", vec![task::restart_nodes(site)]).after(Order::Rolled),
        Stage::new("end", vec![task::end_renewal(site)]).after(Order::AllHosts),
        proof(site, Occasion::Changed).after(Order::Settled),
    ]
}
