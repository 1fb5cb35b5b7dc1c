use std::sync::Arc;

use engine::{Rolling, Turn};
use step::{RunEtcd, SpareEtcd};

use crate::Site;
use crate::etcd::service;

/// The members with what is on their hosts, one after the other.
pub(crate) fn restarts(site: &Site) -> Rolling {
    let cluster = site.etcd();
    let hosts = site.etcd_hosts().into_iter();
    hosts.fold(Rolling::one_by_one(), |rolling, host| {
        let me = Site::peer(host);
        let spare = SpareEtcd {
            service: service(),
            me: me.clone(),
            cluster: cluster.clone(),
        };
        let run = RunEtcd {
            service: service(),
            me,
            cluster: cluster.clone(),
        };
        rolling.on(
            &host.name,
            Turn::new(Arc::new(run)).before(vec![Arc::new(spare)]),
        )
    })
}
