use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! os_packages {
    ($($(#[$about:meta])* $variant:ident = $name:literal,)*) => {
        /// Something that kubexm needs of an operating system, under a name of kubexm's own. What it is called there is
        /// the business of whoever knows the system; one may be several packages, or none.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum OsPackage {
            $($(#[$about])* #[serde(rename = $name)] $variant,)*
        }

        impl OsPackage {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name that kubexm has for it: `nginx`, `container-selinux`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

os_packages! {
    Bash = "bash",
    /// Keeps the clock right.
    Chrony = "chrony",
    /// The program `conntrack`.
    Conntrack = "conntrack",
    /// What lets containers run where `SELinux` is enforced.
    ContainerSelinux = "container-selinux",
    /// The program `diff`.
    Diffutils = "diffutils",
    Ebtables = "ebtables",
    Ethtool = "ethtool",
    Haproxy = "haproxy",
    /// The programs `ip` and `tc`.
    Iproute = "iproute",
    Ipset = "ipset",
    Iptables = "iptables",
    Ipvsadm = "ipvsadm",
    /// The programs `iscsid` and `iscsiadm`.
    IscsiInitiator = "iscsi-initiator",
    Keepalived = "keepalived",
    /// The program `modprobe`.
    Kmod = "kmod",
    /// The program `mount`.
    Mount = "mount",
    /// The program `mount.nfs`.
    NfsClient = "nfs-client",
    Nftables = "nftables",
    /// nginx with its stream module.
    Nginx = "nginx",
    /// The program `sysctl`.
    Procps = "procps",
    /// The programs `useradd` and `groupadd`.
    Shadow = "shadow",
    Socat = "socat",
    /// The time zones.
    Tzdata = "tzdata",
    /// The programs `flock` and `nsenter`.
    UtilLinux = "util-linux",
}

impl fmt::Display for OsPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
