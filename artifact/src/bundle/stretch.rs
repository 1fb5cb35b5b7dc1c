//! A stretch of one file, straight from the frames that hold it.

use std::io;
use std::ops::Range;

use camino::Utf8Path;

use crate::bundle::decode::{Decoder, Undecoded};
use crate::bundle::error::BundleError;
use crate::bundle::fault::Fault;
use crate::bundle::members::Member;
use crate::bundle::open::Bundle;
use crate::bundle::walk::Stop;

/// Why a stretch came to its end before its time.
#[derive(Debug, thiserror::Error)]
pub enum StretchError {
    #[error(transparent)]
    Bundle(BundleError),
    /// Whoever takes it takes no more.
    #[error(transparent)]
    Taker(io::Error),
}

impl Bundle {
    /// Gives these bytes of a file, as they are decoded. Frames are compared with the seal; the file's digest is for whoever
    /// takes all of it. Nothing is given of a file that is not in here.
    pub fn stretch(
        &self,
        path: &Utf8Path,
        range: Range<u64>,
        mut sink: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), StretchError> {
        let Some(place) = self.members.iter().position(|it| is_whole(it, path)) else {
            return Ok(());
        };
        let content = self.layout.content(place);
        let end = content.end.min(content.start.saturating_add(range.end));
        let mut next = content.start.saturating_add(range.start);
        let mut frames = Decoder::default();
        for (number, frame) in self.frames.iter().enumerate() {
            if frame.content.end <= next || next >= end {
                continue;
            }
            let mut at = frame.content.start;
            let mut stopped = None;
            let decoded = frames.decode(self, frame, |bytes| {
                let here = at..at + bytes.len() as u64;
                at = here.end;
                let from = next.clamp(here.start, here.end) - here.start;
                let to = end.clamp(here.start, here.end) - here.start;
                let wanted = &bytes[to_usize(from)..to_usize(to.max(from))];
                next += wanted.len() as u64;
                let taken = sink(wanted);
                if taken.is_err() || next >= end {
                    stopped = Some(taken);
                    // The rest of a large frame is nobody's.
                    return Err(Stop::Odd);
                }
                Ok(())
            });
            match (stopped, decoded) {
                (Some(taken), _) => taken.map_err(StretchError::Taker)?,
                (None, decoded) => decoded.map_err(|why| self.undecoded(number, place, why))?,
            }
        }
        Ok(())
    }

    fn undecoded(&self, number: usize, place: usize, why: Undecoded) -> StretchError {
        let fault = match why {
            Undecoded::Stopped(Stop::Failed(error)) => return StretchError::Bundle(error),
            Undecoded::Stopped(Stop::Odd) | Undecoded::Damaged => Fault::Damaged {
                member: self.members[place].path.to_string(),
            },
            Undecoded::Odd(why) => Fault::Frame { number, why },
        };
        StretchError::Bundle(BundleError::Faulty {
            path: self.path().to_owned(),
            faults: vec![fault],
        })
    }
}

fn is_whole(member: &Member, path: &Utf8Path) -> bool {
    member.patch.is_none() && member.path == path
}

fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
