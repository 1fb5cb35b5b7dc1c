//! What a server may answer, and what comes of it.

use super::*;

#[tokio::test]
async fn a_file_comes_once_and_is_then_satisfied() {
    let case = Case::with(|r| Reply::file(r, &content(), TAG)).await;
    let first = case.fetch(known()).await.unwrap();
    assert_eq!((first.size, first.change), (262_144, Change::Downloaded));
    case.assert_done();
    let again = case.fetch(known()).await.unwrap();
    assert_eq!(
        again,
        Fetched {
            change: Change::Satisfied,
            ..first
        }
    );
    assert_eq!(case.server.log(), ["GET /x.bin"]);
    assert_eq!(
        case.seen.endings(),
        [
            "files: x: Some(Changed { reason: \"not here yet\" })",
            "files: x: Some(Satisfied)",
        ]
    );
    let total = case.seen.all().into_iter().filter_map(|event| match event {
        Event::Progress { done, total, .. } => Some((done, total)),
        _ => None,
    });
    assert_eq!(total.max(), Some((262_144, Some(262_144))));
}

#[tokio::test]
async fn what_lies_there_wrong_is_replaced() {
    let case = Case::with(|r| Reply::file(r, &content(), TAG)).await;
    std::fs::create_dir_all(case.dest().parent().unwrap()).unwrap();
    std::fs::write(case.dest(), "stale").unwrap();
    case.fetch(known()).await.unwrap();
    case.assert_done();
    assert_eq!(
        case.seen.endings(),
        ["files: x: Some(Changed { reason: \"its content was not the expected\" })"]
    );
}

#[tokio::test]
async fn a_file_larger_than_it_may_be_is_refused_and_leaves_nothing() {
    let case = Case::with(|_| Reply::ok(vec![7; (1 << 20) + 1])).await;
    let error = case.fetch(Checksum::FirstSeen).await.unwrap_err();
    insta::assert_snapshot!(case.said(&error), @r"
    http://up/x.bin: larger than the 1048576 bytes that it may have
    hint: upstream or a mirror serves something else than was published or locked; do not use it before you know why
    ");
    assert_eq!(case.files(), Vec::<String>::new());
}

#[tokio::test]
async fn a_body_without_an_announced_length_is_limited_as_well() {
    let chunk = || Ok::<_, FetchError>(bytes::Bytes::from_static(b"1234"));
    let body = futures::stream::iter([chunk(), chunk(), chunk()]);
    let body = part::limited(body, 2, 10, "http://up/x".to_owned());
    let came: Vec<_> = futures::StreamExt::collect(body).await;
    assert!(came[0].is_ok() && came[1].is_ok());
    assert!(matches!(
        came[2],
        Err(FetchError::TooLarge { limit: 10, .. })
    ));
}

#[tokio::test]
async fn a_proxys_own_page_is_not_taken_for_a_file() {
    let case = Case::with(|_| Reply::ok("<html>log in").with("Content-Type", "text/html")).await;
    let error = case.fetch(Checksum::FirstSeen).await.unwrap_err();
    insta::assert_snapshot!(case.said(&error), @r"
    http://up/x.bin: a web page came in place of the file
    hint: a proxy may want a login, or refuse this; look at it in a browser
    ");
    assert_eq!(case.files(), Vec::<String>::new());
}

#[rstest]
#[case::unavailable(503)]
#[case::limited(429)]
#[tokio::test]
async fn what_may_pass_is_tried_again(#[case] status: u16) {
    let case = Case::with(move |r| match r.before {
        0..2 => Reply::status(status).with("Retry-After", "9999"),
        _ => Reply::file(r, &content(), TAG),
    })
    .await;
    case.fetch(known()).await.unwrap();
    case.assert_done();
    assert_eq!(case.seen.retries(), 2);
}

#[rstest]
#[case::gone(404)]
#[case::forbidden(403)]
#[case::unauthorized(401)]
#[tokio::test]
async fn what_cannot_pass_is_told_at_once(#[case] status: u16) {
    let case = Case::with(move |_| Reply::status(status)).await;
    let error = case.fetch(known()).await.unwrap_err();
    assert!(
        case.said(&error).starts_with("http://up/x.bin: "),
        "{error}"
    );
    assert_eq!(case.server.log(), ["GET /x.bin"]);
    assert_eq!(case.files(), Vec::<String>::new());
}

#[tokio::test]
async fn a_server_that_stays_broken_is_given_up() {
    let case = Case::with(|_| Reply::status(502)).await;
    let error = case.fetch(known()).await.unwrap_err();
    insta::assert_snapshot!(case.said(&error), @r"
    http://up/x.bin: the server answered 502
    hint: run again: what has come is kept, and the fetch continues there
    ");
    assert_eq!(case.server.log().len(), 4);
}

#[tokio::test]
async fn nobody_listening_is_said_so() {
    let mut case = Case::with(|_| Reply::status(500)).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    case.server.url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = case.fetch(known()).await.unwrap_err();
    insta::assert_snapshot!(case.said(&error), @r"
    http://up/x.bin: cannot be reached: client error (Connect): tcp connect error: Connection refused (os error 111)
    hint: check the name, the network and the proxy settings; --mirror HOST=URL fetches from elsewhere
    ");
}

#[tokio::test]
async fn wrong_content_is_fetched_once_more_and_then_refused() {
    let case = Case::with(|r| Reply::file(r, b"something else", TAG)).await;
    let error = case.fetch(known()).await.unwrap_err();
    insta::assert_snapshot!(case.said(&error), @r"
    http://up/x.bin: wrong content: sha256:a9a97edb65aa33b422367f97bc4f5171abcd57fe425e7e57f186d92b9f7e0376 is expected (pinned by the lock file), sha256:f41f3fa625ff120ddca7ef456bf66371ecea23c129f4e4c32367101edb516cf8 came, twice
    hint: upstream or a mirror serves something else than was published or locked; do not use it before you know why
    ");
    assert_eq!(case.server.log(), ["GET /x.bin", "GET /x.bin"]);
    assert_eq!(case.files(), Vec::<String>::new());
}

#[tokio::test]
async fn a_full_disk_says_where_and_how_much() {
    let case = Case::with(|r| Reply::file(r, &content(), TAG)).await;
    std::fs::create_dir_all(case.dest().parent().unwrap()).unwrap();
    let part = Part::of(&case.dest());
    std::os::unix::fs::symlink("/dev/full", &part.path).unwrap();
    let full = part.append(Digests::default());
    full.write(content().into()).await;
    let error = full.finish().await.err().unwrap().needing(Some(262_144));
    insta::assert_snapshot!(case.said(&error), @r"
    DIR/sub/x.bin.part: no space left on the disk: 262144 bytes more are needed
    hint: free some space or choose another --work-dir; the next run continues
    ");
}

#[tokio::test]
async fn published_checksums_are_read_once_for_all_files() {
    let case = Case::with(|r| match r.path.as_str() {
        "/SHA256SUMS" => {
            let digest = Sha256::of(&content());
            Reply::ok(format!(
                "{digest}  ./a\n{digest} *b\n{}  c\n",
                Sha256::of(b"")
            ))
        }
        _ => Reply::file(r, &content(), TAG),
    })
    .await;
    let job = |name: &str| FileJob {
        title: name.to_owned(),
        url: case.address(&format!("/{name}")),
        dest: case.dest().with_file_name(name),
        checksum: Checksum::Published {
            url: case.address("/SHA256SUMS"),
            file: name.to_owned(),
        },
        size: None,
        limit: 1 << 20,
    };
    let fetcher = Fetcher::new(options()).unwrap();
    let cancel = CancellationToken::new();
    let jobs = ["a", "b", "c", "d"].map(job).to_vec();
    let failures = fetcher
        .fetch_all(jobs, &case.events, &cancel)
        .await
        .unwrap_err();
    let said = failures.to_string().replace(&case.server.url, "http://up");
    insta::assert_snapshot!(said, @r"
    c: http://up/c: wrong content: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 is expected (published at http://up/SHA256SUMS), sha256:a9a97edb65aa33b422367f97bc4f5171abcd57fe425e7e57f186d92b9f7e0376 came, twice
    d: http://up/SHA256SUMS: names no SHA-256 or SHA-512 for d
    ");
    let documents = case
        .server
        .log()
        .iter()
        .filter(|line| line.contains("SUMS"))
        .count();
    assert_eq!(documents, 1);
    assert_eq!(case.files(), ["a", "b"]);
    let files = fetcher
        .fetch_all(vec![job("a")], &case.events, &cancel)
        .await
        .unwrap();
    let from = format!("{}/SHA256SUMS", case.server.url);
    assert_eq!(files[0].checksum_from.as_deref(), Some(from.as_str()));
}

#[tokio::test]
async fn a_mirror_is_asked_for_file_and_checksum_with_its_own_login() {
    let case = Case::with(|r| match r.path.as_str() {
        "/up.example/x.sha512" => Reply::ok(hex::encode(<sha2::Sha512 as sha2::Digest>::digest(
            content(),
        ))),
        "/up.example/x" => Reply::file(r, &content(), TAG),
        _ => Reply::status(404),
    })
    .await;
    let mirror = case.server.url.replace("http://", "*=http://me:secret@");
    let options = FetchOptions {
        mirrors: Mirrors::parse([mirror.as_str()]).unwrap(),
        ..options()
    };
    let fetcher = Fetcher::new(options).unwrap();
    let upstream =
        |path: &str| -> Address { format!("https://up.example/{path}").parse().unwrap() };
    let mut job = FileJob {
        url: upstream("x"),
        ..case.job(Checksum::Published {
            url: upstream("x.sha512"),
            file: "x".into(),
        })
    };
    let cancel = CancellationToken::new();
    let files = fetcher
        .fetch_all(vec![job.clone()], &case.events, &cancel)
        .await
        .unwrap();
    case.assert_done();
    assert_eq!(
        files[0].checksum_from.as_deref(),
        Some("https://up.example/x.sha512")
    );
    let login = Some("Basic bWU6c2VjcmV0");
    assert!(
        case.server
            .requests()
            .iter()
            .all(|r| r.header("authorization") == login)
    );

    job.url = upstream("y");
    job.checksum = known();
    job.dest = case.dest().with_file_name("y");
    let error = fetcher
        .fetch_all(vec![job], &case.events, &cancel)
        .await
        .unwrap_err();
    let said = format!("{error} {error:?} {:?}", case.seen.all());
    assert!(said.contains("/up.example/y: not found (404)"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[tokio::test]
async fn sizes_and_texts_are_asked_without_a_file() {
    let case = Case::with(|r| match r.path.as_str() {
        "/x.bin" => Reply::file(r, &content(), TAG),
        "/latest" if r.before == 0 => Reply::status(503),
        "/latest" => Reply::ok("v1.34.2\n"),
        "/no-head" => Reply::status(405),
        "/binary" => Reply::ok([0xff, 0xfe]),
        _ => Reply::status(404),
    })
    .await;
    let fetcher = Fetcher::new(options()).unwrap();
    assert_eq!(
        fetcher.head_size(&case.address("/x.bin")).await,
        Ok(Some(262_144))
    );
    assert_eq!(fetcher.head_size(&case.address("/no-head")).await, Ok(None));
    assert_eq!(
        fetcher.fetch_text(&case.address("/latest")).await.unwrap(),
        "v1.34.2\n"
    );
    let error = fetcher
        .fetch_text(&case.address("/binary"))
        .await
        .unwrap_err();
    assert_eq!(case.said(&error), "http://up/binary: is not text");
    let error = fetcher.head_size(&case.address("/none")).await.unwrap_err();
    assert!(matches!(error, FetchError::NotFound { .. }));
}

#[test]
fn a_ca_file_that_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(dir.path().join("ca.pem")).unwrap();
    let said = |text: Option<&str>| {
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let mut options = options();
        options.http.ca_file = Some(path.clone());
        Fetcher::new(options)
            .unwrap_err()
            .to_string()
            .replace(dir.path().to_str().unwrap(), "DIR")
    };
    insta::assert_snapshot!(said(None), @"cannot read DIR/ca.pem: No such file or directory (os error 2)");
    insta::assert_snapshot!(said(Some("none")), @"the certificates in DIR/ca.pem cannot be used: no certificate in it");
}
