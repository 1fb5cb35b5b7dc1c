use std::collections::HashSet;

use cluster::{Host, Role};

use crate::Site;

/// Who does what, asked once for all hosts: each answer takes as long as there are hosts.
pub(super) struct Groups<'a> {
    pub etcd: HashSet<&'a str>,
    pub masters: HashSet<&'a str>,
    pub nodes: HashSet<&'a str>,
    pub balancers: HashSet<&'a str>,
    pub plain_workers: HashSet<&'a str>,
    pub sharing: HashSet<&'a str>,
    pub registry: HashSet<&'a str>,
}

impl<'a> Groups<'a> {
    pub(super) fn of(site: &'a Site) -> Self {
        let names = |hosts: Vec<&'a Host>| hosts.into_iter().map(|host| host.name.as_str());
        Self {
            etcd: names(site.etcd_hosts()).collect(),
            masters: names(site.masters()).collect(),
            nodes: names(site.runtime_hosts()).collect(),
            balancers: names(site.balancer_hosts()).collect(),
            plain_workers: names(site.plain_workers()).collect(),
            sharing: names(site.sharing_hosts()).collect(),
            registry: names(site.cluster.hosts_in(Role::Registry)).collect(),
        }
    }
}
