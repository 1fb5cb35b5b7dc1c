//! Packs the tree, as one unit of the run that people see.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use artifact::{Cancel, Contents, Packed, Packing, Segment};
use event::{Event, Events, Outcome, Unit};
use tokio_util::sync::CancellationToken;

use super::Prepared;
use super::run::on_thread;
use super::segments::{self, whole_of};
use crate::error::BundleError;

impl Prepared {
    pub(super) async fn pack(
        self: &Arc<Self>,
        contents: &Arc<Contents>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<(Packed, Vec<Segment>), BundleError> {
        let id = events.next_id();
        let total = contents.content_size();
        events.emit(&Event::Started(Unit {
            id,
            stage: "pack".to_owned(),
            task: None,
            host: None,
            title: format!("pack {}", self.request.out),
            bytes: Some(total),
            after: None,
        }));
        let began = Instant::now();
        let stop = Cancel::default();
        let (this, contents) = (Arc::clone(self), Arc::clone(contents));
        let (progress, stopped) = (events.progress(id, Some(total)), stop.clone());
        let mut work = std::pin::pin!(on_thread(move || {
            let packing = Packing {
                tree: &this.tree,
                contents: &contents,
                output: &this.request.out,
                since: this.request.since.as_ref().map(|since| &since.base),
                signer: this.request.signer.as_ref(),
                jobs: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
                progress: &progress,
                cancel: &stopped,
            };
            match this.request.segment_size {
                None => Ok((artifact::pack(&packing)?, Vec::new())),
                Some(size) => segments::pack(&packing, &whole_of(&this.tree), size),
            }
        }));
        let result = tokio::select! {
            result = &mut work => result,
            () = cancel.cancelled() => {
                stop.cancel();
                work.await
            }
        };
        let outcome = match &result {
            Ok(_) => Outcome::Changed {
                reason: "packed".to_owned(),
            },
            Err(artifact::PackError::Cancelled) => Outcome::Interrupted,
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
        Ok(result?)
    }
}
