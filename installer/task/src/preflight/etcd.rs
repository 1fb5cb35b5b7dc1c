//! What a member of etcd asks of its host.

use cluster::{EtcdEntry, Host, Version};
use step::{Leftover, NextEtcd, Requirements, Space};

use super::space::programs_space;
use crate::Site;
use crate::preflight::facts::{ETCD_PORTS, USER_PROGRAMS};

pub(super) fn of_etcd(site: &Site, host: &Host, wanted: &mut Requirements) {
    let data_dir = &site.cluster.spec.etcd.data_dir;
    wanted.ports.extend_from_slice(ETCD_PORTS);
    wanted.programs.extend_from_slice(USER_PROGRAMS);
    wanted.executable.push("/usr/local/bin".to_owned());
    wanted.etcd = site.release.version_of("etcd").map(next);
    wanted.space.push(programs_space(site, "etcd", host.arch));
    wanted.space.push(store_space(site));
    wanted.leftovers.push(Leftover {
        path: format!("{data_dir}/member"),
        of: "another etcd",
    });
}

/// kubeadm begins a store, and goes on with none: not even with that of this cluster of before.
pub(super) fn of_stacked_etcd(site: &Site, wanted: &mut Requirements) {
    wanted.ports.extend_from_slice(ETCD_PORTS);
    wanted.space.push(store_space(site));
    wanted.leftovers.push(Leftover {
        path: site.cluster.spec.etcd.data_dir.to_string(),
        of: "an etcd of before",
    });
}

pub(super) fn store_space(site: &Site) -> Space {
    let etcd = &site.cluster.spec.etcd;
    Space {
        path: etcd.data_dir.to_string(),
        bytes: etcd.quota_backend_bytes,
        of: "etcd's data",
    }
}

fn next(version: &str) -> NextEtcd {
    let entry = version.parse::<Version>().ok();
    let entry = entry.and_then(|version| EtcdEntry::into(&version));
    NextEtcd {
        version: version.to_owned(),
        enters: entry.map(|entry| (entry.least.with_v(), entry.advised.with_v())),
    }
}
