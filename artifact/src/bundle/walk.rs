//! The content of a frame is walked along the layout: what must be there is compared, the contents go to the target.

use event::Progress;
use sha2::Digest;

use crate::Sha256;
use crate::bundle::error::BundleError;
use crate::bundle::fault::Fault;
use crate::bundle::open::Bundle;
use crate::bundle::receive::Target;
use crate::bundle::stream::{Part, ZEROS, header, span};

/// Why reading on makes no sense.
pub(super) enum Stop {
    /// Something stands where bundle.json says something else does.
    Odd,
    Failed(BundleError),
}

impl From<BundleError> for Stop {
    fn from(error: BundleError) -> Self {
        Self::Failed(error)
    }
}

/// A member on its way to the target.
pub(super) struct Receiving<P> {
    part: P,
    hasher: sha2::Sha256,
}

pub(super) struct Walk<'a, T: Target> {
    bundle: &'a Bundle,
    target: &'a T,
    progress: &'a Progress,
    at: u64,
    receiving: Option<Receiving<T::Part>>,
}

impl<'a, T: Target> Walk<'a, T> {
    /// Begins at this place of the stream. Where the frame before was damaged, the member that is going on there does
    /// not come: it was named then.
    pub(super) fn new(
        bundle: &'a Bundle,
        target: &'a T,
        progress: &'a Progress,
        at: u64,
        receiving: Option<Receiving<T::Part>>,
    ) -> Self {
        Self {
            bundle,
            target,
            progress,
            at,
            receiving,
        }
    }

    /// Goes on with these bytes.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        mut fault: impl FnMut(Fault),
    ) -> Result<(), Stop> {
        let members = &self.bundle.members;
        let end = self.at + bytes.len() as u64;
        let mut received = 0;
        for piece in self.bundle.layout.pieces(self.at..end) {
            let (here, rest) = bytes.split_at(span(0, piece.len).end);
            bytes = rest;
            match piece.part {
                Part::Header { file, from } => {
                    let entry = &members[file];
                    let expected = header(entry.path.as_str(), entry.size, entry.mode);
                    if here != &expected[span(from, piece.len)] {
                        return Err(Stop::Odd);
                    }
                    if piece.first && self.target.wants(file) {
                        let part = self.target.begin(file)?;
                        self.receiving = Some(Receiving {
                            part,
                            hasher: sha2::Sha256::new(),
                        });
                    }
                }
                Part::Content { .. } => {
                    if let Some(receiving) = &mut self.receiving {
                        receiving.hasher.update(here);
                        self.target.write(&mut receiving.part, here)?;
                        received += piece.len;
                    }
                }
                Part::Padding { .. } | Part::Trailer => {
                    if here
                        .chunks(ZEROS.len())
                        .any(|zeros| zeros != &ZEROS[..zeros.len()])
                    {
                        return Err(Stop::Odd);
                    }
                }
            }
            if let Some(file) = piece.completes()
                && let Some(Receiving { part, hasher }) = self.receiving.take()
            {
                if Sha256::from(hasher) == members[file].sha256 {
                    self.target.finish(part)?;
                } else {
                    fault(Fault::Content {
                        member: members[file].path.to_string(),
                    });
                }
            }
        }
        self.at = end;
        self.progress.add(received);
        Ok(())
    }

    /// The member that goes on in the next frame.
    pub(super) fn hand_on(self) -> Option<Receiving<T::Part>> {
        self.receiving
    }
}
