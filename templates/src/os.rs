use serde::Serialize;

use crate::template;

/// The block that kubexm keeps in `/etc/hosts`.
#[derive(Clone, Debug, Serialize)]
pub struct HostsBlock {
    pub entries: Vec<HostEntry>,
}

/// One line of `/etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostEntry {
    pub address: String,
    pub names: Vec<String>,
}
template!(HostsBlock, "hosts.j2");

/// `/etc/modules-load.d/kubexm.conf`.
#[derive(Clone, Debug, Serialize)]
pub struct Modules {
    pub names: Vec<String>,
}
template!(Modules, "modules.conf.j2");

/// `/etc/sysctl.d/99-zz-kubexm.conf`.
#[derive(Clone, Debug, Serialize)]
pub struct Sysctls {
    pub settings: Vec<(String, String)>,
}
template!(Sysctls, "sysctl.conf.j2");
