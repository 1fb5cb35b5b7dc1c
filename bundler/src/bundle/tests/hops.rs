//! A bundle for an upgrade: several releases in one.

use artifact::{ImageSet, Release};
use cluster::Version;

use super::*;

const SPEC: &str = r#"{"arch": ["amd64"], "kubernetes": {"version": "v1.35.1"}, "network": {"plugin": "bridge"},
    "tools": []}"#;

async fn site(spec: &str, from: &str) -> (Site, Version) {
    let from: Version = from.parse().unwrap();
    let cluster = cluster(spec);
    let upstream = Upstream::of_hops(&cluster, Some(&from)).await;
    let dir = tempfile::tempdir().unwrap();
    let site = Site {
        dir,
        upstream,
        cluster,
    };
    (site, from)
}

fn request(site: &Site, from: &Version, work: &str) -> Request {
    Request {
        upgrade_from: Some(from.clone()),
        ..site.request(work)
    }
}

fn versions(release: &Release) -> String {
    let components = ["kubelet", "etcd", "crictl", "containerd"];
    let versions = components.map(|name| release.version_of(name).unwrap_or("-"));
    let images = [ImageSet::Pause, ImageSet::Coredns];
    let images = images.map(|set| release.images_of(set).join(" "));
    format!(
        "{}: {}; {}",
        release.kubernetes,
        versions.join(" "),
        images.join(" ")
    )
}

#[tokio::test]
async fn every_release_on_the_way_is_in_the_bundle_and_what_they_share_is_there_once() {
    let (site, from) = site(SPEC, "v1.32.4").await;
    let report = run(request(&site, &from, "work"), &Events::nowhere())
        .await
        .unwrap();
    let contents = open(&report);
    let told: Vec<String> = contents.releases.iter().map(versions).collect();
    insta::assert_snapshot!(told.join("\n"));
    let with = |name: &str| {
        let files = contents.files.iter();
        files
            .filter(|file| file.component.as_deref() == Some(name))
            .count()
    };
    assert_eq!((with("kubelet"), with("runc")), (3, 1));
    for release in &contents.releases {
        let of = contents.release(&release.kubernetes, "example").unwrap();
        assert_eq!(contents.programs_of(of, "kubelet", Arch::Amd64).count(), 1);
    }

    let locked = Request {
        lock_mode: LockMode::Locked,
        ..request(&site, &from, "again")
    };
    let again = run(locked, &Events::nowhere()).await.unwrap();
    assert_eq!(report.digest, again.digest, "the lock covers all of it");
}

#[tokio::test]
async fn what_one_release_lacks_is_told_though_another_has_it() {
    let (site, from) = site(SPEC, "v1.33.0").await;
    site.upstream.remove("v1.34.11/bin/linux/amd64/kubelet");
    let error = run(request(&site, &from, "work"), &Events::nowhere())
        .await
        .unwrap_err();
    let said = site.said(&error);
    assert!(said.contains("kubelet v1.34.11 for amd64"), "{said}");
    assert!(!said.contains("v1.35.1"), "{said}");
}

#[tokio::test]
async fn the_plan_tells_which_release_asks_for_what() {
    let (site, from) = site(SPEC, "v1.33.0").await;
    let request = request(&site, &from, "work");
    let (events, cancel) = (Events::nowhere(), CancellationToken::new());
    let plan = Box::pin(plan(&request, &events, &cancel)).await.unwrap();
    let of = |name: &str| -> Vec<String> {
        let rows = plan.rows.iter().filter(|row| row.name.ends_with(name));
        rows.map(|row| {
            let releases: Vec<String> = row.releases.iter().map(Version::with_v).collect();
            format!("{name} {}: {}", row.version, releases.join(" "))
        })
        .collect()
    };
    let told = [of("kubelet"), of("runc"), of("/pause")].concat();
    insta::assert_snapshot!(told.join("\n"));
}
