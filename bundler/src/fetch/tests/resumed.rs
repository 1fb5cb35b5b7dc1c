//! What was begun is continued, and never joined with something else.

use super::*;

#[rstest]
#[case::known(known())]
#[case::first_seen(Checksum::FirstSeen)]
#[tokio::test]
async fn a_cut_connection_is_resumed_where_it_broke(#[case] checksum: Checksum) {
    // Cut more often than there are attempts: progress renews them.
    let case = Case::with(|r| match r.before {
        0..8 => Reply::file(r, &content(), TAG).cut_after(30_000),
        _ => Reply::file(r, &content(), TAG),
    })
    .await;
    let fetched = case.fetch(checksum).await.unwrap();
    assert_eq!(fetched.sha256, Sha256::of(&content()));
    case.assert_done();
    let expected: Vec<String> = (0..9)
        .map(|n| {
            if n == 0 {
                "GET /x.bin".into()
            } else {
                format!("GET /x.bin from {}", n * 30_000)
            }
        })
        .collect();
    assert_eq!(case.server.log(), expected);
    assert!(
        case.server.requests()[1..]
            .iter()
            .all(|r| r.header("if-range") == Some(TAG))
    );
    assert_eq!(case.seen.retries(), 8);
}

#[rstest]
#[case::known(known())]
#[case::first_seen(Checksum::FirstSeen)]
#[tokio::test]
async fn the_next_run_continues_what_a_killed_one_left(#[case] checksum: Checksum) {
    let case = Case::with(|r| Reply::file(r, &content(), TAG)).await;
    case.leave(&content()[..100_000], TAG);
    case.fetch(checksum).await.unwrap();
    case.assert_done();
    assert_eq!(case.server.log(), ["GET /x.bin from 100000"]);
    assert_eq!(
        case.seen.endings(),
        ["files: x: Some(Changed { reason: \"continued after 100000 bytes\" })"]
    );
}

#[tokio::test]
async fn a_run_killed_before_the_rename_only_renames() {
    let case = Case::with(|_| Reply::status(500)).await;
    case.leave(&content(), TAG);
    case.fetch(known()).await.unwrap();
    case.assert_done();
    assert_eq!(case.server.log(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_changed_upstream_starts_anew() {
    let case = Case::with(|r| Reply::file(r, &content(), TAG)).await;
    case.leave(&vec![7; 100_000], "\"v0\"");
    case.fetch(Checksum::FirstSeen).await.unwrap();
    case.assert_done();
}

#[tokio::test]
async fn a_server_without_ranges_starts_anew() {
    let case = Case::with(|r| match r.before {
        0 => Reply::ok(content()).cut_after(50_000),
        _ => Reply::ok(content()),
    })
    .await;
    case.fetch(known()).await.unwrap();
    case.assert_done();
}

#[tokio::test]
async fn without_validator_and_digest_nothing_is_joined() {
    let case = Case::with(|r| match r.before {
        0 => Reply::ok(vec![7; 262_144]).cut_after(50_000),
        _ => Reply::ok(content()),
    })
    .await;
    case.fetch(Checksum::FirstSeen).await.unwrap();
    case.assert_done();
    assert_eq!(case.server.log(), ["GET /x.bin", "GET /x.bin"]);
}

#[tokio::test]
async fn a_changed_file_behind_a_server_that_ignores_if_range_starts_anew() {
    let case = Case::with(|r| {
        let careless = Request {
            headers: r.headers.clone(),
            ..r.clone()
        };
        let mut careless = careless;
        careless.headers.remove("if-range");
        Reply::file(&careless, &content(), TAG)
    })
    .await;
    case.leave(&vec![7; 100_000], "\"v0\"");
    case.fetch(Checksum::FirstSeen).await.unwrap();
    case.assert_done();
    assert_eq!(case.server.log(), ["GET /x.bin from 100000", "GET /x.bin"]);
}

#[tokio::test]
async fn a_range_that_cannot_be_had_starts_anew() {
    let case = Case::with(|r| match r.from() {
        0 => Reply::file(r, &content(), TAG),
        _ => Reply::status(416).with("Content-Range", "bytes */5"),
    })
    .await;
    case.leave(&content()[..100_000], TAG);
    case.fetch(known()).await.unwrap();
    case.assert_done();
}

#[tokio::test]
async fn a_stall_is_given_up_and_resumed() {
    let case = Case::with(|r| match r.before {
        0 => Reply::file(r, &content(), TAG).stall_after(60_000),
        _ => Reply::file(r, &content(), TAG),
    })
    .await;
    case.fetch(known()).await.unwrap();
    case.assert_done();
    assert_eq!(case.server.log(), ["GET /x.bin", "GET /x.bin from 60000"]);
}

#[tokio::test]
async fn a_spoilt_prefix_costs_one_fetch_from_the_start() {
    let case = Case::with(|r| Reply::file(r, &content(), TAG)).await;
    case.leave(&vec![7; 100_000], TAG);
    case.fetch(known()).await.unwrap();
    case.assert_done();
    assert_eq!(case.server.log(), ["GET /x.bin from 100000", "GET /x.bin"]);
}

/// Stops the run as soon as 60,000 bytes have been seen.
struct Stop(CancellationToken);

impl event::Sink for Stop {
    fn on(&self, _: jiff::Timestamp, event: &Event) {
        if matches!(event, Event::Progress { done: 60_000.., .. }) {
            self.0.cancel();
        }
    }
}

#[tokio::test]
async fn a_stopped_run_keeps_what_has_come() {
    let case = Case::with(|r| match r.before {
        0 => Reply::file(r, &content(), TAG).stall_after(60_000),
        _ => Reply::file(r, &content(), TAG),
    })
    .await;
    let mut slow = options();
    slow.http.stall_timeout = Duration::from_mins(10);
    let fetcher = Fetcher::new(slow).unwrap();
    let cancel = CancellationToken::new();
    let events = Events::to(vec![Arc::new(Stop(cancel.clone()))]);
    let jobs = vec![case.job(known())];
    let failures = fetcher
        .fetch_all(jobs.clone(), &events, &cancel)
        .await
        .unwrap_err();
    assert!(failures.interrupted());
    assert_eq!(case.files(), ["x.bin.part", "x.bin.part.json"]);
    fetcher
        .fetch_all(jobs, &events, &CancellationToken::new())
        .await
        .unwrap();
    case.assert_done();
    assert_eq!(case.server.log(), ["GET /x.bin", "GET /x.bin from 60000"]);
}
