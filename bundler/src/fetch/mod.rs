//! Files over HTTP: in parallel, resumed after a cut, verified while they stream.
//!
//! A file has its final name only when all of it is there and right. Until then it is `<name>.part`, with
//! `<name>.part.json` telling what it was begun from, so that the next attempt or the next run goes on behind what has
//! come. What may pass is tried again; what cannot is told at once; the end tells every failure together.

mod address;
mod client;
mod download;
mod error;
mod part;
mod published;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use artifact::Sha256;
use camino::{Utf8Path, Utf8PathBuf};
use event::{Event, Events, Outcome, Unit};
use futures::StreamExt;
use tokio::sync::{Mutex, OnceCell};
use tokio_util::sync::CancellationToken;

pub use address::{Address, Login, ParseAddressError};
pub use client::{HttpOptions, Retry};
pub use error::FetchError;
pub use published::Digest;

pub(crate) use address::redact;
pub(crate) use download::{Shown, Watch, receive};
pub(crate) use error::{causes, is_untrusted};
pub(crate) use part::{Digests, Part, blocking, digests_of};

use crate::mirror::Mirrors;
use client::Http;
use download::{Download, Expected};
use part::Sums;

/// The stage that files are reported under.
pub const STAGE: &str = "files";

/// A file to be fetched.
#[derive(Clone, Debug)]
pub struct FileJob {
    /// What people call it: `etcd v3.5.24 for amd64`.
    pub title: String,
    /// Upstream's address; mirrors are applied here.
    pub url: Address,
    pub dest: Utf8PathBuf,
    pub checksum: Checksum,
    /// Its size, where that is known beforehand.
    pub size: Option<u64>,
}

/// What a file is compared with.
#[derive(Clone, Debug)]
pub enum Checksum {
    /// The lock file pins it.
    Known(Sha256),
    /// Upstream publishes it in a document, under this file name.
    Published { url: Address, file: String },
    /// Nobody publishes one: what comes is taken, and recorded.
    FirstSeen,
}

/// A file that is there, whole and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub dest: Utf8PathBuf,
    pub sha256: Sha256,
    pub size: u64,
    /// Where upstream publishes the digest that it was compared with just now.
    pub checksum_from: Option<String>,
    /// Whether any byte had to come.
    pub change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Satisfied,
    Downloaded,
}

/// Everything that could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(.0))]
pub struct FetchFailures(pub Vec<FileFailure>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{title}: {error}")]
pub struct FileFailure {
    pub title: String,
    pub error: FetchError,
}

impl FetchFailures {
    /// Whether the person stopped it; whatever else failed is told all the same.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.0
            .iter()
            .any(|failure| failure.error == FetchError::Interrupted)
    }
}

fn list(failures: &[FileFailure]) -> String {
    failures
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// How files are fetched.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// How many at a time.
    pub jobs: usize,
    pub mirrors: Mirrors,
    pub http: HttpOptions,
}

/// Fetches files. Checksum documents are read once for as long as it lives.
#[derive(Debug)]
pub struct Fetcher {
    http: Http,
    mirrors: Mirrors,
    jobs: usize,
    documents: Mutex<HashMap<String, Arc<Document>>>,
}

type Document = OnceCell<Result<String, FetchError>>;

impl Fetcher {
    pub fn new(options: FetchOptions) -> Result<Self, FetchError> {
        Ok(Self {
            http: Http::new(options.http)?,
            mirrors: options.mirrors,
            jobs: options.jobs.max(1),
            documents: Mutex::default(),
        })
    }

    /// Brings every file under its final name; the results are in the order of the jobs.
    pub async fn fetch_all(
        &self,
        jobs: Vec<FileJob>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Vec<Fetched>, FetchFailures> {
        let mut outcomes: Vec<_> = futures::stream::iter(jobs.into_iter().enumerate())
            .map(|(place, job)| async move {
                let outcome = self.unit(&job, events, cancel).await;
                (
                    place,
                    outcome.map_err(|error| FileFailure {
                        title: job.title,
                        error,
                    }),
                )
            })
            .buffer_unordered(self.jobs)
            .collect()
            .await;
        outcomes.sort_by_key(|(place, _)| *place);
        let (mut fetched, mut failures) = (Vec::new(), Vec::new());
        for (_, outcome) in outcomes {
            match outcome {
                Ok(file) => fetched.push(file),
                Err(failure) => failures.push(failure),
            }
        }
        if failures.is_empty() {
            Ok(fetched)
        } else {
            Err(FetchFailures(failures))
        }
    }

    /// A small text document: a list of versions, a chart index.
    pub async fn fetch_text(&self, url: &Address) -> Result<String, FetchError> {
        let address = self.mirrors.file(url);
        self.patiently(|| self.http.text(&address)).await
    }

    /// How large a file is, where the server tells without sending it.
    pub async fn head_size(&self, url: &Address) -> Result<Option<u64>, FetchError> {
        let address = self.mirrors.file(url);
        self.patiently(|| self.http.size(&address)).await
    }

    /// The digest that a checksum document gives for a file.
    pub async fn published(&self, document: &Address, file: &str) -> Result<Digest, FetchError> {
        let key = document.url().to_string();
        let cell = Arc::clone(self.documents.lock().await.entry(key).or_default());
        // A failure is kept as well: twenty files of one list need not each wait for it to fail.
        let text = cell
            .get_or_init(|| self.fetch_text(document))
            .await
            .as_ref()
            .map_err(Clone::clone)?;
        published::find(text, file).ok_or_else(|| FetchError::NotListed {
            document: self.mirrors.file(document).to_string(),
            file: file.to_owned(),
        })
    }

    async fn patiently<T, F>(&self, request: impl Fn() -> F) -> Result<T, FetchError>
    where
        F: Future<Output = Result<T, FetchError>>,
    {
        let retry = &self.http.options.retry;
        let mut delays = retry.delays();
        loop {
            match request().await {
                Err(error) if error.may_pass() => match delays.next() {
                    Some(delay) => tokio::time::sleep(retry.wait(delay, error.retry_after())).await,
                    None => return Err(error),
                },
                outcome => return outcome,
            }
        }
    }

    async fn unit(
        &self,
        job: &FileJob,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Fetched, FetchError> {
        let id = events.next_id();
        let unit = Unit {
            id,
            stage: STAGE.to_owned(),
            host: None,
            title: job.title.clone(),
            bytes: job.size,
        };
        if cancel.is_cancelled() {
            events.emit(&Event::Skipped {
                unit,
                because: "interrupted".to_owned(),
            });
            return Err(FetchError::Interrupted);
        }
        events.emit(&Event::Started(unit));
        let began = Instant::now();
        let result = self
            .obtain(
                job,
                Watch {
                    unit: id,
                    events,
                    cancel,
                },
            )
            .await;
        let outcome = match &result {
            Ok((_, None)) => Outcome::Satisfied,
            Ok((_, Some(reason))) => Outcome::Changed {
                reason: reason.clone(),
            },
            Err(FetchError::Interrupted) => Outcome::Interrupted,
            Err(error) => Outcome::Failed {
                error: error.to_string(),
                hint: error.hint(),
            },
        };
        events.emit(&Event::Finished {
            id,
            outcome,
            took: began.elapsed(),
        });
        result.map(|(fetched, _)| fetched)
    }

    /// The file, and why it had to be fetched, if so.
    async fn obtain(
        &self,
        job: &FileJob,
        watch: Watch<'_>,
    ) -> Result<(Fetched, Option<String>), FetchError> {
        let expected = watch
            .unless_cancelled(self.expected(&job.checksum))
            .await??;
        let checksum_from = match &job.checksum {
            Checksum::Published { url, .. } => Some(url.to_string()),
            Checksum::Known(_) | Checksum::FirstSeen => None,
        };
        let fetched = |sums: Sums, change| Fetched {
            dest: job.dest.clone(),
            sha256: sums.sha256,
            size: sums.len,
            checksum_from: checksum_from.clone(),
            change,
        };
        let present = present(&job.dest, expected.as_ref()).await?;
        if let Present::Right(sums) = present {
            Part::of(&job.dest).discard_all().await?;
            return Ok((fetched(sums, Change::Satisfied), None));
        }
        if let Some(dir) = job.dest.parent() {
            let made = tokio::fs::create_dir_all(dir).await;
            made.map_err(|e| FetchError::io("create", dir, &e))?;
        }
        let address = self.mirrors.file(&job.url);
        let download = Download {
            http: &self.http,
            address: &address,
            dest: &job.dest,
            expected: expected.as_ref(),
            watch,
        };
        let (sums, before) = download.run().await?;
        let reason = match (present, before) {
            (Present::Wrong, _) => "its content was not the expected".to_owned(),
            (_, 0) => "not here yet".to_owned(),
            (_, before) => format!("continued after {before} bytes"),
        };
        Ok((fetched(sums, Change::Downloaded), Some(reason)))
    }

    async fn expected(&self, checksum: &Checksum) -> Result<Option<Expected>, FetchError> {
        Ok(match checksum {
            Checksum::FirstSeen => None,
            Checksum::Known(sha256) => Some(Expected {
                digest: Digest::Sha256(*sha256),
                source: "pinned by the lock file".to_owned(),
            }),
            Checksum::Published { url, file } => Some(Expected {
                digest: self.published(url, file).await?,
                source: format!("published at {}", self.mirrors.file(url)),
            }),
        })
    }
}

enum Present {
    Nothing,
    Wrong,
    Right(Sums),
}

async fn present(dest: &Utf8Path, expected: Option<&Expected>) -> Result<Present, FetchError> {
    let digest = expected.map(|expected| &expected.digest);
    let Some(digests) = digests_of(dest, Digests::wanted_by(digest)).await? else {
        return Ok(Present::Nothing);
    };
    let sums = digests.finish();
    let right = digest.is_none_or(|digest| sums.like(digest) == *digest);
    Ok(if right {
        Present::Right(sums)
    } else {
        Present::Wrong
    })
}
