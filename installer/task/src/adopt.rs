//! Making a work directory again from the hosts of its cluster.

use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::{EtcdType, KubernetesType};
use engine::{Order, Slot, Step, Task};
use step::{
    CompareAuthorities, FetchRegistryLogin, FetchVrrp, FoundAuthority, InsistOnAuthorities,
    KeptAuthority, KeyPairFiles, LookAtAuthorities, NoteBegun, TellLost,
};

use crate::balancer::hosts::{KEEPALIVED_CONFIG, vrrp_file};
use crate::control_plane::pki::{CA, FRONT_PROXY_CA, kept_authorities};
use crate::registry::{authority as registry_authority, node_credentials};
use crate::site::names;
use crate::{OPERATOR, Site};

/// What must be found before anything is made from it, or another would be made in its place.
fn kept(site: &Site) -> Vec<KeptAuthority> {
    let mut kept = kept_authorities(site);
    if site.registry().is_some() {
        kept.push(KeptAuthority {
            local: registry_authority(site).certificate(),
            path: site.runtime().registry_trust(site).authority,
        });
    }
    kept
}

/// Looks whether the masters and the members of etcd agree on the authorities of their cluster, and the work directory
/// with them.
#[must_use]
pub fn look_at_authorities(site: &Site) -> Task {
    let hosts = site.masters().into_iter().chain(site.etcd_hosts());
    let mut hosts = names(hosts);
    hosts.sort_unstable();
    hosts.dedup();
    let found: Vec<(String, Slot<Vec<FoundAuthority>>)> = hosts
        .into_iter()
        .map(|host| (host.clone(), Slot::new(&host)))
        .collect();
    let kept = kept(site);
    let mut task = Task::new("authorities");
    for (host, slot) in &found {
        let look = LookAtAuthorities {
            cluster: site.cluster.name().to_owned(),
            kept: kept.clone(),
            found: slot.clone(),
        };
        task = task.on(host, vec![Arc::new(look)]);
    }
    task.then(Order::Settled)
        .on(OPERATOR, vec![Arc::new(CompareAuthorities { kept, found })])
}

/// What hosts hold in a form of their own.
#[must_use]
pub fn fetch_logins(site: &Site) -> Task {
    let mut task = Task::new("logins");
    if site.registry().is_some() && !is_given(site) {
        // The account that pushes is on no node where there are two: another is made.
        let kept = node_credentials(site).kept();
        task = task.on_each(&names(site.runtime_hosts()), |_| {
            vec![Arc::new(FetchRegistryLogin {
                hosts: site.runtime().registry_trust(site).login,
                local: kept.clone(),
            })]
        });
    }
    if let Some((registry, hosts)) = site.registry() {
        let lost = registry.fetch_lost(site);
        task = task.on_each(&names(hosts), |_| lost.clone());
    }
    task.on_each(&names(site.balancer_hosts()), |_| {
        vec![Arc::new(FetchVrrp {
            config: KEEPALIVED_CONFIG.into(),
            local: vrrp_file(site),
        })]
    })
}

/// Whether the config gives the account that nodes have.
fn is_given(site: &Site) -> bool {
    let Some(auth) = site.cluster.registry_auth() else {
        return false;
    };
    auth.pull.is_some() || !site.cluster.nodes_only_read()
}

/// That the cluster is there, and what is lost of it.
#[must_use]
pub fn note_found(site: &Site) -> Task {
    let etcd = site.tree.certs("etcd");
    let kubernetes = site.tree.certs("kubernetes");
    let begun = |dir: &Utf8PathBuf, note: &str| -> Arc<dyn Step> {
        Arc::new(NoteBegun {
            authority: dir.join("ca.crt"),
            note: dir.join(note),
        })
    };
    let mut steps: Vec<Arc<dyn Step>> = vec![Arc::new(InsistOnAuthorities { kept: kept(site) })];
    if !site.etcd_hosts().is_empty() {
        steps.push(begun(&etcd, "founded"));
    }
    if site.cluster.spec.kubernetes.kind == KubernetesType::Kubeadm {
        steps.push(begun(&kubernetes, "begun"));
    }
    steps.push(Arc::new(TellLost {
        losses: losses(site),
    }));
    Task::new("notes").on(OPERATOR, steps)
}

/// Keys that may be on no host, and what cannot be done without them.
fn losses(site: &Site) -> Vec<(Utf8PathBuf, String)> {
    let signs = |files: KeyPairFiles, what: &str| {
        let means = format!(
            "what it has signed goes on to serve until it ends, and {what} cannot be signed any more; put a backup of the key there"
        );
        (files.key(), means)
    };
    let mut losses = vec![
        signs(site.kubernetes_files(CA), "no certificate of Kubernetes"),
        signs(
            site.kubernetes_files(FRONT_PROXY_CA),
            "no new client certificate of the apiservers",
        ),
        (
            site.service_account_key().key(),
            "the masters keep theirs, and a new master would get none".to_owned(),
        ),
    ];
    if site.cluster.spec.etcd.kind != EtcdType::External {
        losses.push(signs(
            KeyPairFiles::at(site.tree.certs("etcd").join(CA)),
            "no certificate of a new member of etcd",
        ));
    }
    if site.registry().is_some() {
        losses.push(signs(
            registry_authority(site),
            "no certificate of a registry on another host",
        ));
    }
    losses.push((
        site.tree.applied_config(),
        "nobody knows which config was applied last; it is noted by the next install".to_owned(),
    ));
    losses
}
