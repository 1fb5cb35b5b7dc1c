//! How large everything is, as far as that is known before anything is fetched.

use std::collections::HashMap;

use camino::Utf8Path;
use futures::StreamExt;

use super::{Preparation, job};
use crate::error::{BundleError, Failed};
use crate::fetch::{FetchError, Fetcher};
use crate::images::ResolvedImage;
use crate::lock::Lock;
use crate::resolve::{Wanted, WantedFile};

impl Preparation<'_> {
    /// The size of each file, by address: from the lock, from what lies in the tree, or as the server says.
    pub(super) async fn sizes(
        &self,
        wanted: &Wanted,
        lock: &Lock,
        fetcher: &Fetcher,
    ) -> Result<HashMap<String, u64>, BundleError> {
        let asked = futures::stream::iter(&wanted.files)
            .map(|wanted| async move { (wanted, self.size(wanted, lock, fetcher).await) })
            .buffered(self.request.jobs.get())
            .collect::<Vec<_>>();
        let asked = tokio::select! {
            asked = asked => asked,
            () = self.cancel.cancelled() => return Err(BundleError::Interrupted),
        };
        let mut sizes = HashMap::new();
        let mut failed = Vec::new();
        for (wanted, size) in asked {
            match size {
                Ok(Some(size)) => {
                    sizes.insert(wanted.file.url.clone(), size);
                }
                Ok(None) => {}
                Err(error) => failed.push(Failed {
                    title: wanted.title(),
                    hint: error.hint(),
                    fault: error.fault(),
                    error: error.to_string(),
                }),
            }
        }
        if failed.is_empty() {
            Ok(sizes)
        } else {
            Err(BundleError::Fetch(failed))
        }
    }

    async fn size(
        &self,
        wanted: &WantedFile,
        lock: &Lock,
        fetcher: &Fetcher,
    ) -> Result<Option<u64>, FetchError> {
        if let Some(locked) = lock.files.get(&wanted.file.url) {
            return Ok(Some(locked.size));
        }
        let path = self.tree.path(Utf8Path::new(&wanted.file.path));
        if let Ok(meta) = std::fs::metadata(&path) {
            return Ok(Some(meta.len()));
        }
        let job = job(wanted, self.tree, lock, None)?;
        match fetcher.head_size(&job.url).await {
            // Some servers refuse a HEAD and serve the file all the same.
            Err(FetchError::Refused { .. } | FetchError::Status { .. }) => Ok(None),
            size => size,
        }
    }
}

pub(super) fn of_image(resolved: &[ResolvedImage], reference: &str) -> Option<u64> {
    let image = resolved
        .iter()
        .find(|image| image.reference() == reference)?;
    Some(image.platforms().iter().map(|platform| platform.size).sum())
}
