//! All that must hold of a cluster, once it is whole.

use std::time::Duration;

use engine::{Order, Retry, Stage, Task};
use task::Site;

use crate::{control_plane, etcd, network, registry};

/// On what occasion a cluster is to prove itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody asks. It should be well by now, and all is asked.
    Check,
    /// It is at work, and has just been changed: it may take its time to settle, and all is asked.
    Changed,
    /// It has just been set up, and may take its time to settle. What takes long to prove is not asked again before
    /// something changes.
    Install,
}

impl Occasion {
    const fn patience(self) -> Retry {
        Retry {
            attempts: match self {
                Self::Check => 3,
                Self::Changed | Self::Install => 30,
            },
            first_delay: Duration::from_secs(1),
        }
    }
}

/// No proof waits for another, and none leaves anything behind.
#[must_use]
pub fn proof(site: &Site, occasion: Occasion) -> Stage {
    let patience = occasion.patience();
    let mut tasks = vec![
        control_plane::prove(site, patience),
        etcd::prove(site, patience),
        task::prove_cluster(site, patience),
        task::prove_addons(site, patience),
        task::prove_hosts(site),
    ];
    // An install has looked at all of it before and after it pushed.
    if occasion != Occasion::Install {
        tasks.push(registry::prove(site, patience));
    }
    tasks.extend([
        of(occasion, task::prove_time(site, patience)),
        of(occasion, network::prove(site, patience)),
    ]);
    Stage::new("proof", tasks).after(Order::AllHosts)
}

/// A proof that takes its time: pods come and go, and clocks find a source when their servers answer.
fn of(occasion: Occasion, slow: Task) -> Task {
    match occasion {
        Occasion::Check | Occasion::Changed => slow,
        Occasion::Install => slow.after_changes(),
    }
}
