//! Images that are in no bundle of the cluster.

use engine::{Graph, Order, Plan};
use module::{PushedImages, Site};

use crate::PipelineError;

/// The same site, whose nodes find these images as well.
#[must_use]
pub fn with_hosts_of(site: Site, pushed: &PushedImages) -> Site {
    let named = pushed.images.iter();
    let named = named.filter_map(|image| image.reference.split_once('/'));
    let mut hosts = site.image_hosts.clone();
    hosts.extend(named.map(|(host, _)| host.to_owned()));
    site.with_image_hosts(hosts)
}

/// Images into the site's registry, and nodes that find them there.
pub fn push_images(site: &Site, pushed: PushedImages) -> Result<Graph, PipelineError> {
    if !site.cluster.has_registry() {
        return Err(PipelineError::NoRegistry);
    }
    let stages = vec![
        module::registry_secrets(site),
        module::push_others(site, pushed).after(Order::AllHosts),
        // One of two registries may be lost.
        module::learn_image_hosts(site).after(Order::Settled),
    ];
    Graph::of(Plan::new("images push", stages)).map_err(PipelineError::Plan)
}
