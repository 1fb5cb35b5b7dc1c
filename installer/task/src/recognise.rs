use std::sync::Arc;

use engine::{Data, Task};
use step::RecogniseHost;

use crate::Site;

/// Nothing is taken from a host of another cluster, nor of what came to a host since the cluster left it.
#[must_use]
pub fn recognise(site: &Site, data: Data) -> Task {
    Task::new("mark").on_each(&site.host_names(), |_| {
        vec![Arc::new(RecogniseHost {
            cluster: site.cluster.name().to_owned(),
            data,
        })]
    })
}
