//! No network of the pods: the site's owner installs one.

use cluster::Host;
use step::{PodNetworkTraces, Requirements};

use super::Network;
use crate::Site;

pub(super) struct None;

impl Network for None {
    fn traces(&self) -> Option<PodNetworkTraces> {
        Option::None
    }

    fn config(&self) -> Option<&'static str> {
        Option::None
    }

    fn requirements(&self, _: &Site, _: &Host, _: &mut Requirements) {}
}
