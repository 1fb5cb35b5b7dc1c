//! The real registry tells what it holds, forgets some of it, and frees its disk.

mod common;

use std::collections::BTreeSet;
use std::process::Command;

use common::layout::{Layout, entry};
use common::site::Site;
use common::{converge, operator};
use engine::{Slot, Step};
use step::{ForgetImages, HeldImage, ListImages, RegistryLogin};

async fn listed(site: &Site) -> Vec<HeldImage> {
    let list = ListImages {
        site: site.registry(),
        login: RegistryLogin::from(site.credentials.clone()),
        held: Slot::new("held"),
    };
    list.check(&operator()).await.unwrap();
    list.held.get().unwrap().clone()
}

#[tokio::test]
async fn what_it_forgets_is_gone_with_its_garbage_and_the_rest_is_whole() {
    let mut site = Site::new().await;
    assert_eq!(listed(&site).await, []);
    let layout = Layout::new(site.dir().join("images"));
    let base = layout.layer(1, 1 << 20);
    let image =
        |arch: &str, seed: u64| layout.manifest(arch, &[&base, &layout.layer(seed, 1 << 20)]);
    let stays = layout.index(&[&image("amd64", 2), &image("arm64", 3)]);
    let goes = layout.index(&[&image("amd64", 4), &image("arm64", 5)]);
    let images = vec![
        entry("quay.io/team/app:1.4", &stays),
        entry("quay.io/team/app:1.3", &goes),
    ];
    converge(&site.push(layout.dir(), images.clone()))
        .await
        .unwrap();

    let held = listed(&site).await;
    let old = held.iter().find(|image| image.tag == "1.3").unwrap();
    assert_eq!(held.len(), 2);
    assert_eq!(old.digest, Some(images[1].digest));
    // An index and two manifests; two configs, and three layers.
    assert_eq!((old.manifests.len(), old.contents.len()), (3, 5));

    let places = old.manifests.iter();
    let manifests: BTreeSet<_> = places
        .map(|digest| (old.repository.clone(), *digest))
        .collect();
    let forget = ForgetImages {
        site: site.registry(),
        login: RegistryLogin::from(site.credentials.clone()),
        manifests,
    };
    let why = converge(&forget).await.unwrap();
    assert_eq!(why.unwrap(), "3 manifests are there");
    assert_eq!(converge(&forget).await.unwrap(), None);
    assert!(site.dir().join("registry/.kubexm-garbage").exists());
    let left = listed(&site).await;
    assert_eq!(left.len(), 1);

    let gone: Vec<_> = old
        .contents
        .keys()
        .filter(|digest| !left[0].contents.contains_key(digest))
        .map(|digest| site.content(*digest))
        .collect();
    assert!(gone.iter().all(|path| path.exists()));
    site.kill();
    let collected = Command::new("docker-registry")
        .args(["garbage-collect", site.dir().join("registry.yml").as_str()])
        .output()
        .unwrap();
    assert!(collected.status.success(), "{collected:?}");
    assert!(gone.iter().all(|path| !path.exists()));
    site.start();
    converge(&site.proof(vec![images[0].clone()]))
        .await
        .unwrap();
}
