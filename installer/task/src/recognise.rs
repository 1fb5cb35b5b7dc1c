use std::sync::Arc;

use cluster::Host;
use engine::{Data, Task};
use step::{ProveMember, RecogniseHost, RecogniseReturned};

use crate::Site;

/// Nothing is taken from a host of another cluster, nor of what came to a host since the cluster left it.
#[must_use]
pub fn recognise(site: &Site, data: Data) -> Task {
    recognise_these(site, &site.host_names(), data)
}

/// The same of some hosts.
#[must_use]
pub fn recognise_these(site: &Site, hosts: &[String], data: Data) -> Task {
    Task::new("mark").on_each(hosts, |_| {
        vec![Arc::new(RecogniseHost {
            cluster: site.cluster.name().to_owned(),
            data,
        })]
    })
}

/// One that was taken out while it was down, and is back as it was, is no member.
pub(crate) fn returned(site: &Site, host: &Host) -> RecogniseReturned {
    RecogniseReturned {
        cluster: site.cluster.name().to_owned(),
        host: host.name.clone(),
        note: site.tree.taken_out(&host.name),
    }
}

/// The same as a proof.
pub(crate) fn prove_member(site: &Site, host: &str) -> Option<ProveMember> {
    let host = site.cluster.host(host)?;
    Some(ProveMember(returned(site, host)))
}
