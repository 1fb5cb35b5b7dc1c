mod answered;
mod resumed;

use std::sync::Arc;
use std::time::Duration;

use event::{Event, Events};
use rstest::rstest;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::testing::{Reply, Request, Seen, Server};
use super::*;

const TAG: &str = "\"v1\"";

/// A quarter of a megabyte that no two places of are alike.
fn content() -> Vec<u8> {
    (0..65_536_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

fn options() -> FetchOptions {
    FetchOptions {
        jobs: 4,
        mirrors: Mirrors::default(),
        http: HttpOptions {
            stall_timeout: Duration::from_millis(200),
            retry: Retry {
                attempts: 4,
                first_delay: Duration::from_millis(1),
                longest_delay: Duration::from_millis(4),
            },
            ..HttpOptions::default()
        },
    }
}

/// One directory, one server, one file.
struct Case {
    dir: TempDir,
    server: Server,
    seen: Arc<Seen>,
    events: Events,
}

impl Case {
    async fn with(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let (seen, events) = Seen::watch();
        let server = Server::start(handler).await;
        Self {
            dir: tempfile::tempdir().unwrap(),
            server,
            seen,
            events,
        }
    }

    fn dest(&self) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.dir.path().join("sub/x.bin")).unwrap()
    }

    fn address(&self, path: &str) -> Address {
        format!("{}{path}", self.server.url).parse().unwrap()
    }

    fn job(&self, checksum: Checksum) -> FileJob {
        FileJob {
            title: "x".to_owned(),
            url: self.address("/x.bin"),
            dest: self.dest(),
            checksum,
            size: None,
            limit: 1 << 20,
        }
    }

    async fn fetch(&self, checksum: Checksum) -> Result<Fetched, FetchError> {
        let fetcher = Fetcher::new(options()).unwrap();
        let cancel = CancellationToken::new();
        match fetcher
            .fetch_all(vec![self.job(checksum)], &self.events, &cancel)
            .await
        {
            Ok(mut files) => Ok(files.remove(0)),
            Err(mut failures) => Err(failures.0.remove(0).error),
        }
    }

    /// As a killed run leaves it.
    fn leave(&self, part: &[u8], etag: &str) {
        let origin = format!(
            r#"{{"url":"{}/x.bin","etag":{etag:?},"last_modified":null,"total":{}}}"#,
            self.server.url,
            content().len()
        );
        std::fs::create_dir_all(self.dest().parent().unwrap()).unwrap();
        std::fs::write(format!("{}.part", self.dest()), part).unwrap();
        std::fs::write(format!("{}.part.json", self.dest()), origin).unwrap();
    }

    fn files(&self) -> Vec<String> {
        let Ok(dir) = std::fs::read_dir(self.dest().parent().unwrap()) else {
            return Vec::new();
        };
        let mut names: Vec<String> = dir
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The file is whole, and nothing else lies about but the record of a digest that nobody publishes.
    fn assert_done(&self) {
        assert_eq!(std::fs::read(self.dest()).unwrap(), content());
        let mut files = self.files();
        files.retain(|name| name != "x.bin.seen.json");
        assert_eq!(files, ["x.bin"]);
    }

    fn said(&self, error: &FetchError) -> String {
        let text = error.hint().map_or_else(
            || error.to_string(),
            |hint| format!("{error}\nhint: {hint}"),
        );
        text.replace(&self.server.url, "http://up")
            .replace(self.dir.path().to_str().unwrap(), "DIR")
    }
}

fn known() -> Checksum {
    Checksum::Known(Sha256::of(&content()))
}
