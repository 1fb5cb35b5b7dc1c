//! The operator's machine: what it makes ready for the hosts, and what it remembers.

use engine::{Order, Stage, Task};
use task::Site;

use crate::{balancer, control_plane, etcd, registry};

/// Programs out of their archives, certificates, credentials.
#[must_use]
pub fn prepare(site: &Site) -> Stage {
    let mut tasks = vec![task::unpack(site)];
    tasks.extend(secrets(site));
    tasks.push(task::etcd_alerts(site));
    Stage::new("prepare", tasks)
}

/// What no bundle may hold: authorities, keys and logins of this site.
pub(crate) fn secrets(site: &Site) -> [Task; 4] {
    [
        registry::prepare(site),
        etcd::prepare(site),
        control_plane::prepare(site),
        balancer::prepare(site),
    ]
}

/// When all else went well: what was applied is noted.
#[must_use]
pub fn record(site: &Site) -> Stage {
    Stage::new("record", vec![task::note_applied(site)]).after(Order::AllHosts)
}
