//! The bytes of a bundle as they are stored, in one pass from wherever they come, against the seal. Nothing is decoded, so
//! that a medium is as fast as it can be.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;

use crate::bundle::error::BundleError;
use crate::bundle::fault::Fault;
use crate::bundle::open::Bundle;

/// Takes all bytes of a bundle, in order.
#[derive(Debug)]
pub(crate) struct Stored<'a> {
    bundle: &'a Bundle,
    at: u64,
    frame: usize,
    crc: crc32fast::Hasher,
    faults: BTreeSet<Fault>,
    /// Seal and seek table.
    end: Vec<u8>,
}

impl Bundle {
    pub(crate) fn stored(&self) -> Stored<'_> {
        Stored {
            bundle: self,
            at: 0,
            frame: 0,
            crc: crc32fast::Hasher::new(),
            faults: BTreeSet::new(),
            end: Vec::new(),
        }
    }
}

impl Stored<'_> {
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some(frame) = self.bundle.frames.get(self.frame) else {
                // What was opened is as long as this; more is a fault that its length tells.
                self.end.extend_from_slice(bytes);
                self.at += bytes.len() as u64;
                return;
            };
            let left = usize::try_from(frame.stored.end - self.at).unwrap_or(usize::MAX);
            let (here, rest) = bytes.split_at(left.min(bytes.len()));
            self.crc.update(here);
            self.at += here.len() as u64;
            bytes = rest;
            if self.at == frame.stored.end {
                let crc = std::mem::take(&mut self.crc);
                if crc.finalize() != frame.checksum {
                    self.damaged();
                }
                self.frame += 1;
            }
        }
    }

    fn damaged(&mut self) {
        let bundle = self.bundle;
        let files = bundle.layout.files(&bundle.frames[self.frame].content);
        if files.is_empty() {
            self.faults.insert(Fault::End);
        }
        for file in files {
            let member = bundle.members[file].path.to_string();
            self.faults.insert(Fault::Damaged { member });
        }
    }

    /// Fails where anything was not as it was packed.
    pub(crate) fn finish(mut self) -> Result<(), BundleError> {
        let bundle = self.bundle;
        let read = |source| BundleError::read(bundle.path(), source);
        // The seal was judged when the bundle was opened: what came now must be the same.
        let mut opened = vec![0; self.end.len()];
        let start = self.at - self.end.len() as u64;
        bundle
            .file
            .read_exact_at(&mut opened, start)
            .map_err(read)?;
        if self.at != bundle.size() || opened != self.end {
            self.faults.insert(Fault::End);
        }
        if self.faults.is_empty() {
            return Ok(());
        }
        Err(BundleError::Faulty {
            path: bundle.path().to_owned(),
            faults: self.faults.into_iter().collect(),
        })
    }
}
