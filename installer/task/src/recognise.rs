use std::sync::Arc;

use engine::Task;
use step::RecogniseHost;

use crate::Site;

/// Nothing is taken from a host of another cluster.
#[must_use]
pub fn recognise(site: &Site) -> Task {
    Task::new("mark").on_each(&site.host_names(), |_| {
        vec![Arc::new(RecogniseHost {
            cluster: site.cluster.name().to_owned(),
        })]
    })
}
