//! Blobs on their way into the layout: each is fetched once, however many images share it.

use std::collections::HashMap;
use std::sync::Arc;

use artifact::Sha256;
use event::Progress;
use futures::{StreamExt, future};
use tokio::sync::{Mutex, OnceCell, Semaphore};

use super::ImageError;
use super::document::Blob;
use super::layout::Layout;
use super::source::Source;
use crate::fetch::{
    Change, Digests, Part, Patience, Retry, Shown, Watch, blocking, digests_of, receive,
};

pub(crate) struct Blobs {
    pub(crate) layout: Layout,
    under_way: Mutex<HashMap<Sha256, Arc<OnceCell<()>>>>,
    transfers: Semaphore,
}

impl Blobs {
    pub(crate) fn of(layout: Layout, transfers: usize) -> Self {
        let transfers = Semaphore::new(transfers);
        Self {
            layout,
            under_way: Mutex::default(),
            transfers,
        }
    }

    /// Makes sure that a blob is in the layout and undamaged. Whoever asks for one that another image is fetching
    /// waits for that, and fetches it from its own source only if the other could not.
    pub(crate) async fn ensure(
        &self,
        blob: &Blob,
        source: &Source,
        watch: &Watch<'_>,
        retry: &Retry,
        progress: &Progress,
    ) -> Result<Change, ImageError> {
        let mut shown = Shown::on(progress.clone());
        let mut change = Change::Satisfied;
        let cell = Arc::clone(self.under_way.lock().await.entry(blob.digest).or_default());
        let fetch = async {
            let permit = watch.unless_cancelled(self.transfers.acquire()).await?;
            if !self.undamaged(blob).await? {
                change = Change::Downloaded;
                let transfer = Transfer {
                    blob,
                    source,
                    watch,
                    retry,
                    layout: &self.layout,
                };
                transfer.run(&mut shown).await?;
            }
            drop(permit);
            Ok::<(), ImageError>(())
        };
        cell.get_or_try_init(|| fetch).await?;
        shown.reach(blob.size);
        Ok(change)
    }

    /// Keeps a manifest.
    pub(crate) async fn store(&self, bytes: Vec<u8>) -> Result<(), ImageError> {
        let layout = self.layout.clone();
        Ok(blocking(move || layout.write(&bytes)).await?)
    }

    async fn undamaged(&self, blob: &Blob) -> Result<bool, ImageError> {
        if !self.layout.holds(blob) {
            return Ok(false);
        }
        let digests = digests_of(&self.layout.blob(&blob.digest), Digests::default()).await?;
        Ok(digests.is_some_and(|digests| digests.finish().sha256 == blob.digest))
    }
}

/// One blob from one repository.
struct Transfer<'a> {
    blob: &'a Blob,
    source: &'a Source,
    watch: &'a Watch<'a>,
    retry: &'a Retry,
    layout: &'a Layout,
}

impl Transfer<'_> {
    async fn run(&self, shown: &mut Shown) -> Result<(), ImageError> {
        let part = Part::of(&self.layout.blob(&self.blob.digest));
        // A blob's name is its digest: whatever an earlier run left can be tried.
        let left = part.so_far(Digests::default()).await?;
        for start in [left, Digests::default()] {
            if self.fetch(&part, start, shown).await? == self.blob.digest {
                return Ok(part.complete().await?);
            }
            part.discard_all().await?;
        }
        Err(ImageError::Corrupt {
            at: self.source.at(),
            what: "blob",
            digest: self.blob.digest.oci(),
        })
    }

    /// Brings all bytes, and tells their digest.
    async fn fetch(
        &self,
        part: &Part,
        mut arrived: Digests,
        shown: &mut Shown,
    ) -> Result<Sha256, ImageError> {
        let mut patience = Patience::new(self.watch, self.retry);
        while arrived.len() < self.blob.size || self.blob.size == 0 {
            let before = arrived.len();
            let Err(error) = self.attempt(part, &mut arrived, shown).await else {
                break;
            };
            if arrived.len() > before {
                patience.renew();
            }
            patience.bear(error).await?;
        }
        Ok(arrived.finish().sha256)
    }

    async fn attempt(
        &self,
        part: &Part,
        arrived: &mut Digests,
        shown: &mut Shown,
    ) -> Result<(), ImageError> {
        if self.blob.size == 0 {
            // No range of nothing can be asked for.
            let nothing = futures::stream::empty::<Result<_, ImageError>>();
            receive(self.watch, shown, (part, Digests::default()), nothing)
                .await?
                .1?;
            return Ok(());
        }
        // The client's future is large.
        let answer = Box::pin(self.source.blob(&self.blob.digest, arrived.len()));
        let (start, body) = self.watch.unless_cancelled(answer).await??;
        if start != arrived.len() {
            *arrived = Digests::default();
        }
        let need = self.blob.size - arrived.len();
        let (mut room, mut fits) = (need, true);
        // More than announced is not the blob; there is no need to see how much more.
        let body = body.take_while(|chunk| {
            let len = chunk
                .as_ref()
                .map_or(0, |chunk| u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            fits = len <= room;
            room = room.saturating_sub(len);
            future::ready(fits)
        });
        let (digests, outcome) = receive(self.watch, shown, (part, arrived.clone()), body)
            .await
            .map_err(|e| e.needing(Some(need)))?;
        *arrived = digests;
        outcome?;
        if !fits {
            return Ok(());
        }
        if arrived.len() < self.blob.size {
            return Err(ImageError::Cut {
                at: self.source.at(),
                why: format!("{} of {} bytes came", arrived.len(), self.blob.size),
            });
        }
        Ok(())
    }
}
