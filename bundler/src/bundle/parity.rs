//! Parity of what was packed, as one unit of the run that people see.

use std::sync::Arc;
use std::time::Instant;

use artifact::{Cancel, PARITY_ENDING, ParityError, ParityFile, Segment, Sparing, make_parity};
use camino::{Utf8Path, Utf8PathBuf};
use event::{Event, Events, Outcome, Unit};
use tokio_util::sync::CancellationToken;

use super::Prepared;
use super::run::on_thread;
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
        let id = events.next_id();
        events.emit(&Event::Started(Unit {
            id,
            stage: "pack".to_owned(),
            task: None,
            host: None,
            title: format!("parity of {}", self.request.out),
            bytes: None,
            after: None,
        }));
        let began = Instant::now();
        let stop = Cancel::default();
        let (this, stopped) = (Arc::clone(self), stop.clone());
        let mut work = std::pin::pin!(on_thread(move || {
            let sparing = Sparing {
                files: &files,
                share,
                largest: this.request.segment_size.unwrap_or(u64::MAX),
                kubexm: env!("CARGO_PKG_VERSION"),
                cancel: &stopped,
            };
            make_parity(&sparing, |n, of| named(&this.request.out, n, of))
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
                reason: "made".to_owned(),
            },
            Err(ParityError::Cancelled) => Outcome::Interrupted,
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
