use std::sync::Arc;

use cluster::{ExternalZone, KubernetesType};
use engine::{Order, Slot, Step, Task};
use step::{ApplyManifest, Content, Forwarding, LookAtForwarding, LookForResolvers, Resolvers};
use templates::{CorednsConfig, CorednsManifest, Corefile, ForwardedZone};

mod node_local;

pub(crate) use node_local::{MODULE, PORTS, TRACES};
pub use node_local::{former_node_local_dns, node_local_dns};

use crate::Site;
use crate::control_plane::once;
use crate::os::{rendered, rendered_late};

/// Where a node reads which DNS servers to ask: past systemd's own, which answers on the node alone.
const RESOLV_CONF: &[&str] = &["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];
/// The place of the DNS service in the services' networks.
const SERVICE: u8 = 10;

/// DNS for the pods. coredns is told to ask the nodes' DNS servers only where the nodes know of any: it runs on all of
/// them. A node that does not answer now is not asked.
#[must_use]
pub fn cluster_dns(site: &Site) -> Task {
    let mut task = Task::new("dns");
    if site.masters().is_empty() {
        return task;
    }
    let mut found: Vec<(String, Slot<Resolvers>)> = Vec::new();
    if site
        .cluster
        .spec
        .dns
        .coredns
        .upstream_dns_servers
        .is_empty()
    {
        let named = |name: &String| (name.clone(), Slot::new("the DNS servers of the nodes"));
        found = crate::site::names(site.runtime_hosts())
            .iter()
            .map(named)
            .collect();
    }
    for (name, slot) in &found {
        let look = LookForResolvers {
            files: RESOLV_CONF,
            found: slot.clone(),
        };
        task = task.on(name, vec![Arc::new(look)]);
    }
    let mut steps: Vec<Arc<dyn Step>> = Vec::new();
    let content = if found.is_empty() {
        Content::Text(rendered(&CorednsConfig {
            corefile: rendered(&corefile(site)),
        }))
    } else {
        let before = Slot::new("whom coredns asks");
        let told: Vec<Slot<Resolvers>> = found.into_iter().map(|(_, slot)| slot).collect();
        steps.push(Arc::new(LookAtForwarding {
            told: told.clone(),
            found: before.clone(),
        }));
        late(corefile(site), told, before)
    };
    steps.push(Arc::new(ApplyManifest {
        name: "the Corefile".to_owned(),
        content,
    }));
    if site.cluster.spec.kubernetes.kind == KubernetesType::Kubexm {
        steps.push(Arc::new(ApplyManifest {
            name: "coredns".to_owned(),
            content: Content::Text(manifest(site)),
        }));
    }
    steps.extend(node_local::manifests(site));
    once(site, task.then(Order::Settled), steps)
}

/// Rendered when the nodes have told.
fn late(corefile: Corefile, told: Vec<Slot<Resolvers>>, before: Slot<Forwarding>) -> Content {
    let takes = vec![before.id()];
    let render = Arc::new(move || {
        let told: Vec<Option<Resolvers>> = told.iter().map(|slot| slot.get().copied()).collect();
        let before = before.get().copied().unwrap_or(Forwarding::Undecided);
        let corefile = Corefile {
            upstream: asks_hosts(&told, before)
                .then(|| "/etc/resolv.conf".to_owned())
                .into_iter()
                .collect(),
            ..corefile.clone()
        };
        rendered_late(&CorednsConfig {
            corefile: rendered_late(&corefile)?,
        })
    });
    Content::Late { takes, render }
}

/// Whether coredns, which may run on any node, is to ask the nodes' DNS servers. A node that tells nothing now does not
/// change what was decided when it could.
fn asks_hosts(told: &[Option<Resolvers>], before: Forwarding) -> bool {
    let all = told
        .iter()
        .flatten()
        .all(|one| *one == Resolvers::Reachable);
    let untold = told.contains(&None);
    all && !(untold && before == Forwarding::Nobody)
}

/// With the DNS servers that the config names.
fn corefile(site: &Site) -> Corefile {
    let dns = &site.cluster.spec.dns;
    Corefile {
        domain: site.cluster.spec.kubernetes.cluster_name.clone(),
        zones: forwarded(&dns.coredns.external_zones),
        rewrite: dns.coredns.rewrite_block.clone(),
        additional: dns.coredns.additional_configs.clone(),
        hosts: dns.dns_etc_hosts.clone(),
        upstream: dns.coredns.upstream_dns_servers.clone(),
    }
}

fn forwarded(zones: &[ExternalZone]) -> Vec<ForwardedZone> {
    let zone = |zone: &ExternalZone| ForwardedZone {
        zones: zone.zones.clone(),
        nameservers: zone.nameservers.clone(),
        cache: zone.cache,
        rewrite: zone.rewrite.clone(),
    };
    zones.iter().map(zone).collect()
}

fn manifest(site: &Site) -> String {
    let image = site
        .image_named("coredns")
        .map(|image| image.reference.clone());
    rendered(&CorednsManifest {
        // `missing()` has found it before anything was touched.
        image: image.unwrap_or_default(),
        addresses: site.cluster.spec.network.kube_service_cidr.nth(SERVICE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_down_turns_nothing_over() {
        use Forwarding::{Hosts, Nobody, Undecided};
        let (yes, no) = (Some(Resolvers::Reachable), Some(Resolvers::Unreachable));
        for (told, before, asks) in [
            ([yes, yes], Nobody, true),
            ([yes, no], Hosts, false),
            // The only one without DNS servers is down: coredns may run there again.
            ([yes, None], Nobody, false),
            ([yes, None], Hosts, true),
            ([yes, None], Undecided, true),
            ([no, None], Hosts, false),
        ] {
            assert_eq!(asks_hosts(&told, before), asks, "{told:?} {before:?}");
        }
    }
}
