use serde::Serialize;

use crate::template;

/// Renews what kubeadm has signed on a master, when it is time.
#[derive(Clone, Debug, Serialize)]
pub struct RenewCertificates {
    /// The apiserver's own.
    pub port: u16,
}
template!(RenewCertificates, "renew-certificates.sh.j2");

/// `kubexm-renew-certificates.service`.
#[derive(Clone, Debug, Serialize)]
pub struct RenewCertificatesUnit {
    pub script: String,
}
template!(RenewCertificatesUnit, "renew-certificates.service.j2");

/// `kubexm-renew-certificates.timer`.
#[derive(Clone, Debug, Serialize)]
pub struct RenewCertificatesTimer {
    /// Of the day, other than those of the other masters.
    pub hour: u8,
}
template!(RenewCertificatesTimer, "renew-certificates.timer.j2");
