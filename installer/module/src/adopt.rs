//! Making a work directory again from the hosts of its cluster.

use engine::{Order, Stage, Task};
use task::{OPERATOR, Site};

use crate::operator::secrets;

/// Whether a work directory can be made from the hosts of its cluster.
#[must_use]
pub fn recognise_authorities(site: &Site) -> Stage {
    Stage::new("look", vec![task::look_at_authorities(site)])
}

/// What is fetched from the hosts: what others have lain there, as a plan tells, and what they hold in a form of their own.
#[must_use]
pub fn fetch(site: &Site, mut origins: Vec<Task>) -> Stage {
    origins.push(task::fetch_logins(site));
    Stage::new("fetch", origins).after(Order::Host(OPERATOR.to_owned()))
}

/// What is made from that on the operator's machine, and what can be made again without any host.
#[must_use]
pub fn restore(site: &Site, origins: Vec<Task>) -> Stage {
    let mut tasks = vec![task::note_found(site)];
    tasks.extend(origins);
    tasks.extend(secrets(site));
    Stage::new("restore", tasks).after(Order::Settled)
}
