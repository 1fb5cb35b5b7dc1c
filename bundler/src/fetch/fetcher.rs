use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use event::{Event, Events, Outcome, Unit};
use futures::StreamExt;
use tokio::sync::{Mutex, OnceCell};
use tokio_util::sync::CancellationToken;

use super::client::Http;
use super::digests::{Digests, Sums, digests_of};
use super::download::{Download, Expected};
use super::part::Part;
use super::published::{self, Digest};
use super::seen::Seen;
use super::watch::{Watch, patiently};
use super::{
    Address, Change, Checksum, FetchError, FetchFailures, FetchOptions, Fetched, FileFailure,
    FileJob, STAGE,
};
use crate::mirror::Mirrors;

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
        self.ask(|| self.http.text(&address)).await
    }

    /// How large a file is, where the server tells without sending it.
    pub async fn head_size(&self, url: &Address) -> Result<Option<u64>, FetchError> {
        let address = self.mirrors.file(url);
        self.ask(|| self.http.size(&address)).await
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

    /// Asks something small, for which there is no unit of work of its own.
    async fn ask<T, F>(&self, request: impl Fn() -> F) -> Result<T, FetchError>
    where
        F: Future<Output = Result<T, FetchError>>,
    {
        let (events, cancel) = (Events::nowhere(), CancellationToken::new());
        let watch = Watch {
            unit: events.next_id(),
            events: &events,
            cancel: &cancel,
        };
        patiently(&watch, &self.http.options.retry, request).await
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
            task: None,
            host: None,
            title: job.title.clone(),
            bytes: job.size,
            after: None,
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
            Checksum::Listed { index, .. } => Some(index.clone()),
            Checksum::Known(_) | Checksum::FirstSeen => None,
        };
        let fetched = |sums: Sums, change| Fetched {
            dest: job.dest.clone(),
            sha256: sums.sha256,
            size: sums.len,
            checksum_from: checksum_from.clone(),
            change,
        };
        let present = self.present(job, expected.as_ref()).await?;
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
            limit: job.limit,
            seen: matches!(job.checksum, Checksum::FirstSeen).then_some(&job.url),
            watch,
        };
        let (sums, before) = download.run().await.map_err(|error| match job.checksum {
            Checksum::Listed { .. } => error.gone(),
            _ => error,
        })?;
        let reason = match (present, before) {
            (Present::Wrong, _) => "its content was not the expected".to_owned(),
            (_, 0) => "not here yet".to_owned(),
            (_, before) => format!("continued after {before} bytes"),
        };
        Ok((fetched(sums, Change::Downloaded), Some(reason)))
    }

    /// Whether the file lies there already, with the digest that it must have.
    pub(crate) async fn has(&self, job: &FileJob) -> Result<bool, FetchError> {
        if !job.dest.is_file() {
            return Ok(false);
        }
        let expected = self.expected(&job.checksum).await?;
        let present = self.present(job, expected.as_ref()).await?;
        Ok(matches!(present, Present::Right(_)))
    }

    async fn present(
        &self,
        job: &FileJob,
        expected: Option<&Expected>,
    ) -> Result<Present, FetchError> {
        let digest = expected.map(|expected| &expected.digest);
        let Some(digests) = digests_of(&job.dest, Digests::wanted_by(digest)).await? else {
            return Ok(Present::Nothing);
        };
        let sums = digests.finish();
        let right = match digest {
            Some(digest) => sums.like(digest) == *digest,
            // Nobody else can tell what upstream served.
            None => Seen::read(&job.dest).await == Some(Seen::of(&job.url, sums.sha256)),
        };
        Ok(if right {
            Present::Right(sums)
        } else {
            Present::Wrong
        })
    }

    async fn expected(&self, checksum: &Checksum) -> Result<Option<Expected>, FetchError> {
        Ok(match checksum {
            Checksum::FirstSeen => None,
            Checksum::Known(sha256) => Some(Expected {
                digest: Digest::Sha256(*sha256),
                source: "pinned by the lock file".to_owned(),
            }),
            Checksum::Listed { sha256, index } => Some(Expected {
                digest: Digest::Sha256(*sha256),
                source: format!("listed in {index}"),
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
