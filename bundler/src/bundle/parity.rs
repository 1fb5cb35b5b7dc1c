//! Parity of what was packed.

use std::sync::Arc;

use artifact::{PARITY_ENDING, ParityFile, Segment, Sparing, make_parity};
use camino::{Utf8Path, Utf8PathBuf};
use event::Events;
use tokio_util::sync::CancellationToken;

use super::Prepared;
use super::piece::Piece;
use crate::error::BundleError;

impl Prepared {
    /// Nothing where none was asked for.
    pub(super) async fn spare(
        self: &Arc<Self>,
        segments: &[Segment],
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Vec<ParityFile>, BundleError> {
        let Some(share) = self.request.parity else {
            return Ok(Vec::new());
        };
        let files: Vec<Utf8PathBuf> = match segments {
            [] => vec![self.request.out.clone()],
            segments => segments.iter().map(|one| one.path.clone()).collect(),
        };
        let piece = Piece {
            title: format!("parity of {}", self.request.out),
            bytes: None,
            done: "made",
        };
        let this = Arc::clone(self);
        let made = piece.run(events, cancel, move |_, cancel| {
            let sparing = Sparing {
                files: &files,
                share,
                largest: this.request.segment_size.unwrap_or(u64::MAX),
                kubexm: env!("CARGO_PKG_VERSION"),
                cancel,
            };
            make_parity(&sparing, |n, of| named(&this.request.out, n, of))
        });
        made.await
    }
}

/// `site.parity`, or `site.1-of-2.parity` where a medium is too small for all of it.
fn named(out: &Utf8Path, n: u32, of: u32) -> Utf8PathBuf {
    let name = out.file_name().unwrap_or_default();
    let stem = name.strip_suffix(".tar.zst").unwrap_or(name);
    let part = match of {
        1 => String::new(),
        of => format!(".{n}-of-{of}"),
    };
    out.with_file_name(format!("{stem}{part}{PARITY_ENDING}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parity_is_called_as_its_bundle() {
        let name = |n, of| named("/media/site.tar.zst".into(), n, of);
        assert_eq!(name(1, 1), "/media/site.parity");
        assert_eq!(name(2, 3), "/media/site.2-of-3.parity");
    }
}
