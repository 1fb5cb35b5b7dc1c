use std::sync::atomic::{AtomicUsize, Ordering};

use artifact::{ParseDigestError, Sha256};
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use packages::solve::Wish;
use tempfile::TempDir;

use super::{Chooser, PackageError, PackageRequest};
use crate::error::BundleError;
use crate::fetch::{
    Checksum, DOCUMENT_LIMIT, FetchError, FetchFailures, FileFailure, FileJob, INDEX_LIMIT, address,
};
use crate::lock::LockedSystem;

/// Indexes of one system's archives, fetched as any other file is, and kept for as long as this lives.
pub(super) struct Indexes<'a> {
    chooser: &'a Chooser<'a>,
    pub(super) request: &'a PackageRequest,
    /// What was locked before.
    before: Option<&'a LockedSystem>,
    dir: TempDir,
    next: AtomicUsize,
}

/// An index that another one vouches for.
pub(super) struct Listed {
    pub url: String,
    pub sha256: Sha256,
    pub size: Option<u64>,
    /// The address of the one that does.
    pub by: String,
}

impl<'a> Indexes<'a> {
    pub(super) fn new(
        chooser: &'a Chooser<'a>,
        request: &'a PackageRequest,
        before: Option<&'a LockedSystem>,
    ) -> Result<Self, BundleError> {
        let dir = tempfile::tempdir().map_err(|e| BundleError::io("create", "a directory", &e))?;
        Ok(Self {
            chooser,
            request,
            before,
            dir,
            next: AtomicUsize::new(0),
        })
    }

    /// Fails where an index is older than the one that was locked: not every archive says how long an index is good for,
    /// and whoever keeps back a newer one keeps back what it mends.
    pub(super) fn not_older(&self, at: &str, date: Timestamp) -> Result<(), BundleError> {
        let locked = self.before.and_then(|before| before.dates.get(at));
        match locked.filter(|locked| date < **locked) {
            Some(locked) => Err(self.request.fails(PackageError::Older {
                at: at.to_owned(),
                date,
                locked: *locked,
            })),
            None => Ok(()),
        }
    }

    /// Those of the wishes that the config names itself: they travel, whatever a bare system has.
    pub(super) fn named(&self, names: &[String], wishes: &[Wish]) -> Vec<Wish> {
        let own = names.iter().zip(wishes);
        let own = own.filter(|(name, _)| self.request.wishes.named.contains(*name));
        own.map(|(_, wish)| wish.clone()).collect()
    }

    /// A document that no index vouches for.
    pub(super) async fn document(&self, url: &str) -> Result<Vec<u8>, BundleError> {
        let job = self.job(url, Checksum::FirstSeen, None, DOCUMENT_LIMIT)?;
        Ok(self.bytes(vec![job]).await?.concat())
    }

    /// A small document that an archive may have or not; none only where the archive says so.
    pub(super) async fn present(&self, url: &str) -> Result<Option<String>, BundleError> {
        let Chooser {
            fetcher, cancel, ..
        } = self.chooser;
        let address = address(url)?;
        let answer = cancel.run_until_cancelled(fetcher.fetch_text(&address));
        match answer.await.unwrap_or(Err(FetchError::Interrupted)) {
            Ok(text) => Ok(Some(text)),
            Err(FetchError::NotFound { .. }) => Ok(None),
            Err(error) => {
                let title = self.title(url);
                Err(FetchFailures(vec![FileFailure { title, error }]).into())
            }
        }
    }

    pub(super) async fn listed(
        &self,
        listed: impl IntoIterator<Item = &Listed>,
    ) -> Result<Vec<Vec<u8>>, BundleError> {
        let jobs = listed.into_iter().map(
            |Listed {
                 url,
                 sha256,
                 size,
                 by,
             }| {
                let index = by.clone();
                let checksum = Checksum::Listed {
                    sha256: *sha256,
                    index,
                };
                self.job(url, checksum, *size, size.unwrap_or(INDEX_LIMIT))
            },
        );
        self.bytes(jobs.collect::<Result<_, _>>()?).await
    }

    async fn bytes(&self, jobs: Vec<FileJob>) -> Result<Vec<Vec<u8>>, BundleError> {
        let Chooser {
            fetcher,
            events,
            cancel,
            ..
        } = self.chooser;
        let files = fetcher.fetch_all(jobs, events, cancel).await?;
        files.iter().map(|file| take(&file.dest)).collect()
    }

    fn job(
        &self,
        url: &str,
        checksum: Checksum,
        size: Option<u64>,
        limit: u64,
    ) -> Result<FileJob, BundleError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let dir = Utf8Path::from_path(self.dir.path()).unwrap_or(Utf8Path::new("."));
        let dest: Utf8PathBuf = dir.join(number.to_string());
        Ok(FileJob {
            title: self.title(url),
            url: address(url)?,
            dest,
            checksum,
            size,
            limit,
        })
    }

    fn title(&self, url: &str) -> String {
        let PackageRequest { os, arch, .. } = self.request;
        format!("index {url} of {os} for {arch}")
    }

    /// The wishes, as a system's packages are asked for them.
    pub(super) fn wishes<E: ToString>(
        &self,
        wish: impl Fn(&str, &str) -> Result<Wish, E>,
    ) -> Result<(Vec<String>, Vec<Wish>), BundleError> {
        let names: Vec<String> = self.request.names().map(str::to_owned).collect();
        let wishes = names.iter().map(|name| {
            let by = self.request.wanted_by(name).join(", ");
            wish(name, &by).map_err(|error| {
                self.request.fails(PackageError::Name {
                    name: name.clone(),
                    by,
                    cause: error.to_string(),
                })
            })
        });
        let wishes = wishes.collect::<Result<_, _>>()?;
        Ok((names, wishes))
    }

    /// Something came that the distribution has not signed.
    pub(super) fn untrusted(
        &self,
        at: &str,
        cause: &impl ToString,
        hint: Option<&str>,
    ) -> BundleError {
        self.request.fails(PackageError::Untrusted {
            at: at.to_owned(),
            cause: cause.to_string(),
            hint: hint.map(str::to_owned),
        })
    }

    /// Something is right and cannot be used.
    pub(super) fn unusable(
        &self,
        at: &str,
        cause: &impl ToString,
        hint: Option<&str>,
    ) -> BundleError {
        self.request.fails(PackageError::Unusable {
            at: at.to_owned(),
            cause: cause.to_string(),
            hint: hint.map(str::to_owned),
        })
    }
}

fn take(path: &Utf8Path) -> Result<Vec<u8>, BundleError> {
    let bytes = std::fs::read(path).map_err(|e| BundleError::io("read", path, &e));
    // Best effort: the directory is removed at the end.
    let _ = std::fs::remove_file(path);
    bytes
}

/// A digest as an index has it.
pub(super) fn sha256(indexes: &Indexes<'_>, at: &str, text: &str) -> Result<Sha256, BundleError> {
    let digest = text.parse();
    digest.map_err(|error: ParseDigestError| indexes.untrusted(at, &error, None))
}
