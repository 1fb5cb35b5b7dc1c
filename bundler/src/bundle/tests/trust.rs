//! Whom a bundle believes: the lock, the config, kubeadm, and what lies in the tree.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn kubeadm_spec() -> String {
    SPEC.replace(
        r#""version": "v1.34.2""#,
        r#""type": "kubeadm", "version": "v1.34.2""#,
    )
}

/// A kubeadm for the machine that the test runs on.
const HERE: &str = if cfg!(target_arch = "x86_64") {
    "amd64/kubeadm"
} else {
    "arm64/kubeadm"
};

const LISTS: &[u8] = b"#!/bin/sh
for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do
    echo registry.k8s.io/$name:v1.34.2
done
echo registry.k8s.io/coredns/coredns:v1.99.0
echo registry.k8s.io/pause:3.99
echo registry.k8s.io/etcd:3.9.9-0
";

async fn kubeadm_site(spec: &str) -> Site {
    let site = Site::new(spec).await;
    site.upstream.publish(HERE, LISTS);
    for image in ["coredns/coredns:v1.99.0", "pause:3.99", "etcd:3.9.9-0"] {
        let image = format!("registry.k8s.io/{image}");
        site.upstream.publish_image(&image, &Arch::ALL);
    }
    site
}

async fn planned(request: &Request) -> Vec<String> {
    let plan = plan(request, &Events::nowhere(), &CancellationToken::new()).await;
    plan.unwrap()
        .rows
        .into_iter()
        .map(|row| row.origin)
        .collect()
}

#[tokio::test]
async fn a_dry_run_never_starts_a_program_that_nobody_vouches_for() {
    let site = kubeadm_site(&kubeadm_spec()).await;
    let request = site.request("work");
    let program = site
        .path("work/.kubexm/example/kubernetes/v1.34.2")
        .join(HERE);
    std::fs::create_dir_all(program.parent().unwrap()).unwrap();
    let mark = site.path("mark");
    std::fs::write(&program, format!("#!/bin/sh\ntouch {mark}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    planned(&request).await;
    assert!(!mark.exists(), "a stranger was started");

    std::fs::write(&program, LISTS).unwrap();
    let rows = planned(&request).await;
    assert!(
        rows.contains(&"registry.k8s.io/pause:3.99".to_owned()),
        "upstream's own is asked: {rows:?}"
    );
}

#[tokio::test]
async fn a_version_that_the_config_names_is_not_for_kubeadm_to_change() {
    let spec = kubeadm_spec().replace(
        r#""tools": []"#,
        r#""tools": [], "versions": {"coredns": "v1.12.0"}"#,
    );
    let site = kubeadm_site(&spec).await;
    let contents = open(&site.bundle("work").await.unwrap());
    let of = |name: &str| -> Vec<&str> {
        let images = contents.images.iter();
        images
            .map(|image| image.reference.as_str())
            .filter(|reference| reference.contains(name))
            .collect()
    };
    assert_eq!(of("coredns"), ["registry.k8s.io/coredns/coredns:v1.12.0"]);
    assert_eq!(of("/pause"), ["registry.k8s.io/pause:3.99"]);
}

#[tokio::test]
async fn a_locked_plan_in_a_fresh_checkout_takes_the_list_out_of_the_lock() {
    let site = kubeadm_site(&kubeadm_spec()).await;
    site.bundle("before").await.unwrap();
    let locked = Request {
        lock_mode: LockMode::Locked,
        ..site.request("fresh")
    };
    let rows = planned(&locked).await;
    assert!(rows.contains(&"registry.k8s.io/pause:3.99".to_owned()));
}

#[tokio::test]
async fn a_file_that_nobody_vouches_for_is_not_taken_for_upstreams() {
    let docker = SPEC.replace(
        r#""version": "v1.34.2""#,
        r#""version": "v1.34.2", "containerRuntime": {"type": "docker"}"#,
    );
    let site = Site::new(&docker).await;
    let report = site.bundle("work").await.unwrap();
    let contents = open(&report);
    let file = contents
        .files_of(&contents.releases[0], "docker", Arch::Amd64)
        .next()
        .cloned();
    let file = file.unwrap();
    let place = site.path("work/.kubexm/example").join(&file.path);

    // It was seen to come from upstream, so it need not come again.
    std::fs::remove_file(site.path("kubexm.lock")).unwrap();
    assert_eq!(site.bundle("work").await.unwrap().fetched, 0);

    std::fs::remove_file(site.path("kubexm.lock")).unwrap();
    std::fs::write(&place, b"somebody else's").unwrap();
    assert_eq!(site.bundle("work").await.unwrap().fetched, 1);
    assert_eq!(Sha256::of(&std::fs::read(&place).unwrap()), file.sha256);
}

#[tokio::test]
async fn pins_are_never_lost_silently() {
    let mut site = Site::new(SPEC).await;
    site.bundle("work").await.unwrap();
    let locked = |site: &Site| {
        let lock = crate::lock::Lock::read(&site.path("kubexm.lock"));
        lock.unwrap().unwrap()
    };
    let both = locked(&site);

    let one = Request {
        arches: BTreeSet::from([Arch::Amd64]),
        ..site.request("work")
    };
    run(one, &Events::nowhere()).await.unwrap();
    assert_eq!(
        locked(&site).files,
        both.files,
        "arm64 may be asked for again"
    );

    site.cluster.spec.images.clear();
    let (seen, events) = Seen::watch();
    run(site.request("work"), &events).await.unwrap();
    let told = seen.all().into_iter().filter(|event| {
        matches!(event, Event::Note { message }
            if message.contains("dropped") && message.ends_with(": ghcr.io/example/app:1"))
    });
    assert_eq!(told.count(), 1);

    site.cluster.metadata.name = "other".to_owned();
    let error = site.bundle("work").await.unwrap_err();
    assert!(error.to_string().contains("'example', not of 'other'"));
}
