//! Packs the tree.

use std::num::NonZeroUsize;
use std::sync::Arc;

use artifact::{Contents, PackError, Packed, Packing, Segment};
use event::Events;
use tokio_util::sync::CancellationToken;

use super::Prepared;
use super::piece::Piece;
use super::segments::{self, whole_of};
use crate::error::BundleError;

impl Prepared {
    pub(super) async fn pack(
        self: &Arc<Self>,
        contents: &Arc<Contents>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<(Packed, Vec<Segment>), BundleError> {
        let piece = Piece {
            title: format!("pack {}", self.request.out),
            bytes: Some(contents.content_size()),
            done: "packed",
        };
        let (this, contents) = (Arc::clone(self), Arc::clone(contents));
        let packed = piece.run(events, cancel, move |progress, cancel| {
            let packing = Packing {
                tree: &this.tree,
                contents: &contents,
                output: &this.request.out,
                since: this.request.since.as_ref().map(|since| &since.base),
                signer: this.request.signer.as_ref(),
                jobs: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
                progress,
                cancel,
            };
            match this.request.segment_size {
                None => Ok::<_, PackError>((artifact::pack(&packing)?, Vec::new())),
                Some(size) => segments::pack(&packing, &whole_of(&this.tree), size),
            }
        });
        packed.await
    }
}
