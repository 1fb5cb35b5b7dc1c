//! Images that are in no bundle of the cluster, in the site's registry.

use std::sync::Arc;

use artifact::ImageEntry;
use camino::Utf8PathBuf;
use cluster::{Host, ImageHome};
use engine::{Slot, Step, Task};
use step::{LocalText, PushImages, RegistryLogin, SiteRegistry};

use crate::registry::{reached, there_before};
use crate::site::names;
use crate::{OPERATOR, Site};

/// Images, and the layout that they are in.
pub struct PushedImages {
    pub layout: Utf8PathBuf,
    pub images: Vec<ImageEntry>,
}

/// Each of them, into each registry of the site.
#[must_use]
pub fn push_others(site: &Site, pushed: PushedImages) -> Task {
    let task = Task::new("images");
    let PushedImages { layout, images } = pushed;
    let push = |registry: SiteRegistry, login: RegistryLogin| -> Arc<dyn Step> {
        let done = Slot::new("the images that are pushed");
        let (layout, images) = (layout.clone(), images.clone());
        Arc::new(PushImages::new(registry, login, layout, images, done))
    };
    match site.cluster.image_home() {
        ImageHome::Nodes => task,
        ImageHome::External => match there_before(site) {
            Some(registry) => {
                let login = RegistryLogin::Given(site.registry_login.clone());
                task.on(OPERATOR, vec![push(registry, login)])
            }
            None => task,
        },
        ImageHome::Hosts(hosts) => hosts.into_iter().fold(task, |task, host| {
            let login = RegistryLogin::from(site.credentials.clone());
            let mut steps = room_for(site, host, &images);
            steps.push(push(reached(site, host), login));
            task.on(&host.name, steps)
        }),
    }
}

fn room_for(site: &Site, host: &Host, images: &[ImageEntry]) -> Vec<Arc<dyn Step>> {
    let names = site.registry_names();
    let images = images.iter();
    let places = images.filter_map(|image| names.repository(&image.reference, image.digest));
    let places = places.collect();
    site.registry().map_or_else(Vec::new, |(registry, _)| {
        registry.make_room(site, host, places)
    })
}

/// Every node asks the site's registry for what begins with these hosts; and the tree keeps them, for every later run.
#[must_use]
pub fn learn_image_hosts(site: &Site) -> Task {
    let task = Task::new("image hosts");
    let steps = site.runtime().registries(site);
    let hosts: Vec<&str> = site.image_hosts.iter().map(String::as_str).collect();
    let note = LocalText {
        path: site.tree.image_hosts(),
        text: format!("[{}]\n", quoted(&hosts)),
    };
    let task = task.on(OPERATOR, vec![Arc::new(note)]);
    task.on_each(&names(site.runtime_hosts()), |_| steps.clone())
}

/// Hosts of references hold nothing that JSON would escape.
fn quoted(hosts: &[&str]) -> String {
    let quoted = hosts.iter().map(|host| format!("\"{host}\""));
    quoted.collect::<Vec<_>>().join(", ")
}
