//! Connections that break, runs that are killed, blobs that are not what they should be.

use super::*;

#[tokio::test]
async fn a_cut_blob_is_resumed_within_the_run() {
    let server = world()
        .serve(
            |request, reply| match (request.path.contains("/blobs/"), request.before) {
                (true, 0..2) => reply.cut_after(70_000),
                _ => reply,
            },
        )
        .await;
    let case = Case::at(&server.url);
    case.copy(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await
        .unwrap();
    case.assert_sound();
    let asked = blobs_asked(&server);
    let froms: Vec<&str> = asked
        .iter()
        .filter_map(|line| line.split_once(" from ").map(|(_, n)| n))
        .collect();
    assert_eq!(froms, ["70000", "140000"]);
}

#[rstest]
#[case::good(false, &["100000"])]
#[case::spoilt(true, &["100000"])]
#[tokio::test]
async fn the_next_run_continues_a_blob_that_a_killed_one_left(
    #[case] spoilt: bool,
    #[case] froms: &[&str],
) {
    let server = world().serve(as_is).await;
    let case = Case::at(&server.url);
    let shared = layer(1, 200_000);
    let part = format!("{}.part", case.blob(&Sha256::of(&shared)));
    std::fs::create_dir_all(case.layout().join("blobs/sha256")).unwrap();
    let left = if spoilt {
        vec![7; 100_000]
    } else {
        shared[..100_000].to_vec()
    };
    std::fs::write(part, left).unwrap();
    case.copy(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await
        .unwrap();
    case.assert_sound();
    let asked = blobs_asked(&server);
    let resumed: Vec<&str> = asked
        .iter()
        .filter_map(|line| line.split_once(" from ").map(|(_, n)| n))
        .collect();
    assert_eq!(resumed, froms);
}

/// Stops the run as soon as 70,000 bytes have been seen.
struct Stop(CancellationToken);

impl event::Sink for Stop {
    fn on(&self, _: jiff::Timestamp, event: &Event) {
        if matches!(event, Event::Progress { done: 70_000.., .. }) {
            self.0.cancel();
        }
    }
}

#[tokio::test]
async fn a_stopped_run_keeps_what_has_come() {
    let server = world()
        .serve(
            |request, reply| match (request.path.contains("/blobs/"), request.before) {
                (true, 0) => reply.stall_after(70_000),
                _ => reply,
            },
        )
        .await;
    let mut case = Case::at(&server.url);
    case.events = Events::to(vec![Arc::new(Stop(case.cancel.clone()))]);
    let single = &["registry.k8s.io/single:v1"];
    assert!(
        case.copy(single, &[Arch::Amd64])
            .await
            .unwrap_err()
            .interrupted()
    );
    assert!(!case.layout().join("index.json").exists());
    case.cancel = CancellationToken::new();
    case.copy(single, &[Arch::Amd64]).await.unwrap();
    case.assert_sound();
    assert!(
        blobs_asked(&server)
            .iter()
            .any(|line| line.contains(" from 70000"))
    );
}

#[tokio::test]
async fn a_damaged_blob_of_the_layout_is_fetched_again() {
    let server = world().serve(as_is).await;
    let case = Case::at(&server.url);
    case.copy(&[PAUSE], BOTH).await.unwrap();
    let shared = case.blob(&Sha256::of(&layer(1, 200_000)));
    let mut bytes = std::fs::read(&shared).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&shared, bytes).unwrap();
    let before = blobs_asked(&server).len();
    let copied = case.copy(&[PAUSE], BOTH).await.unwrap();
    assert_eq!(copied[0].change, Change::Downloaded);
    case.assert_sound();
    assert_eq!(blobs_asked(&server).len(), before + 1);
}

#[tokio::test]
async fn a_registry_that_serves_other_content_is_refused() {
    let blob = Sha256::of(&layer(1, 200_000)).oci();
    let spoil = blob.clone();
    let server = world()
        .serve(move |request, reply| {
            if request.path.ends_with(&spoil) {
                Reply::ok(vec![7; 201_728])
            } else {
                reply
            }
        })
        .await;
    let case = Case::at(&server.url);
    let said = case
        .refused(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await;
    let said = said
        .replace(&server.url.replace("http://", ""), "HOST")
        .replace(&blob, "sha256:BLOB");
    insta::assert_snapshot!(said, @r"
    registry.k8s.io/single:v1: blob sha256:BLOB came with other content from HOST/single, twice
      hint: the registry or a mirror is damaged or dishonest; do not use it before you know why
    ");
    case.assert_sound();
    assert!(!case.layout().join("index.json").exists());
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let server = world()
        .serve(
            |request, reply| match (request.path.as_str(), request.before) {
                ("/v2/", _) => reply,
                (_, 0) => Reply::status(503),
                _ => reply,
            },
        )
        .await;
    let case = Case::at(&server.url);
    case.copy(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await
        .unwrap();
    case.assert_sound();
}
