//! Certificates of the control plane that renew themselves.

use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::KubernetesType;
use engine::{Step, Task};
use step::{Content, Resource, RunService, TakeBack};
use templates::{RenewCertificates, RenewCertificatesTimer, RenewCertificatesUnit};

use crate::Site;
use crate::files::{directory, text, upload};
use crate::os::rendered;

const DIR: &str = "/usr/local/lib/kubexm";
const SCRIPT: &str = "/usr/local/lib/kubexm/renew-certificates";
const SERVICE: &str = "/etc/systemd/system/kubexm-renew-certificates.service";
const TIMER: &str = "kubexm-renew-certificates.timer";
const TIMER_FILE: &str = "/etc/systemd/system/kubexm-renew-certificates.timer";

/// A timer on each master that renews what kubeadm has signed, if the config asks for it; one of a config that did goes.
/// What the operator's machine has signed is renewed by installing again.
#[must_use]
pub fn renew_certificates(site: &Site) -> Task {
    let kubernetes = &site.cluster.spec.kubernetes;
    let mut task = Task::new("renewal of certificates");
    if kubernetes.kind != KubernetesType::Kubeadm {
        return task;
    }
    for (hour, host) in hours().zip(site.masters()) {
        let steps = if kubernetes.auto_renew_certs {
            steps(site, hour)
        } else {
            vec![no_timer()]
        };
        task = task.on(&host.name, steps);
    }
    task
}

/// The hours of the masters, in the night first. With more masters than hours some share one.
fn hours() -> impl Iterator<Item = u8> {
    (0..24).map(|hour| (hour + 1) % 24).cycle()
}

/// The files go behind the timer that reads them; their directory with the last file that kubexm puts there.
fn no_timer() -> Arc<dyn Step> {
    Arc::new(TakeBack {
        title: "remove the timer that renews certificates".to_owned(),
        what: vec![
            Resource::Unit(TIMER.to_owned()),
            Resource::File(TIMER_FILE.into()),
            Resource::File(SERVICE.into()),
            Resource::File(SCRIPT.into()),
        ],
    })
}

fn steps(site: &Site, hour: u8) -> Vec<Arc<dyn Step>> {
    let port = site.cluster.spec.control_plane_endpoint.port;
    let unit = RenewCertificatesUnit {
        script: SCRIPT.to_owned(),
    };
    vec![
        directory(DIR),
        upload(
            SCRIPT,
            Content::Text(rendered(&RenewCertificates { port })),
            0o755,
        ),
        text(SERVICE, rendered(&unit)),
        text(TIMER_FILE, rendered(&RenewCertificatesTimer { hour })),
        Arc::new(RunService {
            unit: TIMER,
            reads: vec![Utf8PathBuf::from(TIMER_FILE)],
        }),
    ]
}

#[cfg(test)]
mod tests {
    use engine::Data;

    use super::*;
    use crate::testing::site;

    /// Nothing that the timer needs outlives the wish for it; the directory is not the timer's alone.
    #[test]
    fn what_is_set_up_is_what_goes() {
        let site = site("kubernetes: {type: kubeadm, autoRenewCerts: true}");
        let set_up = steps(&site, 1).into_iter().skip(1).rev();
        let counterparts = set_up.filter_map(|step| step.counterpart(Data::Keep));
        let each: Vec<String> = counterparts
            .map(|step| step.id().replace("take back ", ""))
            .collect();
        assert_eq!(no_timer().id(), format!("take back {}", each.join(", ")));
    }
}
