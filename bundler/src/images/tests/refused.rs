//! What cannot be copied, and how that is said.

use super::*;

#[tokio::test]
async fn platforms_that_are_not_there_are_named() {
    let server = world().serve(as_is).await;
    let case = Case::at(&server.url);
    let mut small = world();
    let only = small.image("only", "linux/amd64", &[]);
    let windows = small.image("only", "windows/amd64", &[]);
    let index = small.index("only", &[only, windows]);
    small.tag("only", "v1", &index);
    let other = small.serve(as_is).await;
    insta::assert_snapshot!(case.refused(&["registry.k8s.io/single:v1"], BOTH).await, @r"
    registry.k8s.io/single:v1: not built for linux/arm64; it exists for linux/amd64
      hint: use another tag or image, or bundle only the architectures that it has; in spec.images, `{image: ..., arch: [amd64]}` is one for these alone
    ");
    insta::assert_snapshot!(Case::at(&other.url).refused(&["registry.k8s.io/only:v1"], BOTH).await, @r"
    registry.k8s.io/only:v1: not built for linux/arm64; it exists for linux/amd64, windows/amd64
      hint: use another tag or image, or bundle only the architectures that it has; in spec.images, `{image: ..., arch: [amd64]}` is one for these alone
    ");
}

#[tokio::test]
async fn every_failing_image_is_told() {
    let server = world()
        .serve(|request, reply| match request.path.split('/').nth(2) {
            Some("limited") => Reply::status(429),
            Some("private") => Reply::status(401),
            Some("broken") => Reply::status(502),
            _ => reply,
        })
        .await;
    let case = Case::at(&server.url);
    let references = [
        PAUSE,
        "Registry.k8s.io/UPPER",
        "registry.k8s.io/none:1",
        "registry.k8s.io/limited:1",
        "registry.k8s.io/private:1",
        "registry.k8s.io/broken:1",
        "registry.k8s.io/pause@sha512:00000000000000000000000000000000",
    ];
    let said = case.refused(&references, BOTH).await;
    insta::assert_snapshot!(said.replace(&server.url.replace("http://", ""), "HOST"), @r#"
    Registry.k8s.io/UPPER: not an image reference: names are written in lower case
      hint: write it like registry.k8s.io/pause:3.10 or docker.io/library/busybox@sha256:…
    registry.k8s.io/pause@sha512:00000000000000000000000000000000: not an image reference: invalid checksum digest length
      hint: write it like registry.k8s.io/pause:3.10 or docker.io/library/busybox@sha256:…
    registry.k8s.io/broken:1: HOST/broken answered 502: no reason given
      hint: the registry has trouble of its own; run again later
    registry.k8s.io/limited:1: HOST/limited answers too many requests (429)
      hint: logged-in users may pull more: give user and password under spec.registry.auths["HOST"]; the next run continues
    registry.k8s.io/none:1: not found at HOST/none
      hint: check name and tag; a mirror may not have it
    registry.k8s.io/private:1: HOST/private does not let this be pulled without a login
      hint: it may be private or not exist: check the name, or give user and password under spec.registry.auths["HOST"]
    "#);
    assert_eq!(case.seen.retries(), 2 + 2);
}

#[tokio::test]
async fn nobody_listening_is_said_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let case = Case::at(&format!("http://{address}"));
    insta::assert_snapshot!(case.refused(&[PAUSE], BOTH).await.replace(&address, "HOST"), @r"
    registry.k8s.io/pause:3.10: HOST/pause cannot be reached: client error (Connect): tcp connect error: Connection refused (os error 111)
      hint: check the name, the network and the proxy settings; --mirror HOST=URL pulls from elsewhere
    ");
}

#[tokio::test]
async fn charts_and_old_schemas_are_no_images() {
    let mut world = World::default();
    let config = world.blob(
        "chart",
        "application/vnd.cncf.helm.config.v1+json",
        b"{}".to_vec(),
    );
    let chart = json!({ "schemaVersion": 2, "config": config, "layers": [] });
    let chart = world.manifest(
        "chart",
        "application/vnd.oci.image.manifest.v1+json",
        &chart,
    );
    world.tag("chart", "v1", &chart);
    let old = json!({ "schemaVersion": 1, "fsLayers": [] });
    let old = world.manifest(
        "old",
        "application/vnd.docker.distribution.manifest.v1+json",
        &old,
    );
    world.tag("old", "v1", &old);
    let server = world.serve(as_is).await;
    let case = Case::at(&server.url);
    let references = ["registry.k8s.io/chart:v1", "registry.k8s.io/old:v1"];
    insta::assert_snapshot!(case.refused(&references, BOTH).await, @r"
    registry.k8s.io/chart:v1: not a container image: its config is application/vnd.cncf.helm.config.v1+json
    registry.k8s.io/old:v1: a schema 1 image, which nothing reads any more
      hint: pull it and push it again with a current tool, or use a newer tag
    ");
}
