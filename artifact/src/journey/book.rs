//! The journal of what has come for one cluster: in its tree, a receipt for each bundle.

use std::fs::{self, File};
use std::io::{self, Read, Write};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use rustix::fs::FlockOperation;

use super::error::JourneyError;
use super::receipt::{Arrival, Receipt};
use crate::contents::{Clean, HEAD_MAX};
use crate::text::too_many_commas;
use crate::{Bundle, Held, Sha256, WorkDir, open_regular, replace};

/// What has come for one cluster.
#[derive(Clone, Debug)]
pub struct Book(Utf8PathBuf);

impl Book {
    /// A name from a bundle must not lead elsewhere.
    pub fn of(work_dir: &WorkDir, cluster: &str) -> Result<Self, JourneyError> {
        let mut parts = Utf8Path::new(cluster).components();
        let is_one = matches!(parts.next(), Some(Utf8Component::Normal(name)) if name == cluster);
        if !is_one || parts.next().is_some() {
            return Err(JourneyError::Cluster(cluster.escape_debug().to_string()));
        }
        Ok(Self(work_dir.tree(cluster).receipts()))
    }

    /// Those of all clusters below a work directory.
    pub fn all(work_dir: &Utf8Path) -> Result<Vec<Self>, JourneyError> {
        let mut dirs = entries(&work_dir.join(".kubexm"))?;
        dirs.retain(|dir| dir.join("receipts").is_dir());
        let books = dirs.into_iter().map(|dir| Self(dir.join("receipts")));
        Ok(books.collect())
    }

    /// The file of each bundle of which something has come.
    pub fn pages(&self) -> Result<Vec<Utf8PathBuf>, JourneyError> {
        let mut pages = entries(&self.0)?;
        pages.retain(|page| {
            page.extension() == Some("json")
                && page.file_name().is_some_and(|name| !name.starts_with('.'))
        });
        Ok(pages)
    }

    pub fn read(page: &Utf8Path) -> Result<Receipt, JourneyError> {
        let mut bytes = Vec::new();
        open_regular(page)
            .and_then(|file| file.take(HEAD_MAX + 1).read_to_end(&mut bytes))
            .map_err(|source| JourneyError::read(page, source))?;
        let strange = |why: String| JourneyError::Strange {
            path: page.to_owned(),
            why,
        };
        if bytes.len() as u64 > HEAD_MAX || too_many_commas(&bytes) {
            return Err(strange("it is larger than any that is read".into()));
        }
        serde_json::from_slice::<Clean>(&bytes)
            .and_then(|_| serde_json::from_slice(&bytes))
            .map_err(|error| strange(error.to_string()))
    }

    /// Where the receipt of a bundle is.
    #[must_use]
    pub fn page(&self, bundle: Sha256) -> Utf8PathBuf {
        self.0.join(format!("{}.json", &bundle.to_string()[..16]))
    }

    /// Enters what these files of one bundle have brought. `rest` is what the tree was seen to hold of it.
    pub fn enter(
        &self,
        bundles: &[&Bundle],
        rest: &[Held],
        arrival: Arrival,
        kubexm: &str,
    ) -> Result<Option<Receipt>, JourneyError> {
        let Some(first) = bundles.first() else {
            return Ok(None);
        };
        let page = self.page(first.digest());
        let write = |source| JourneyError::write(&page, source);
        fs::create_dir_all(&self.0).map_err(write)?;
        // Two media that arrive at the same time must not forget each other.
        let dir = File::open(&self.0).map_err(write)?;
        rustix::fs::flock(&dir, FlockOperation::LockExclusive).map_err(|e| write(e.into()))?;
        let before = match Self::read(&page) {
            Ok(receipt) => Some(receipt),
            Err(JourneyError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                None
            }
            Err(error) => return Err(error),
        };
        let receipt = Receipt::of(bundles, before, rest, arrival, kubexm);
        if let Some(receipt) = &receipt {
            let bytes = receipt.to_bytes();
            replace(&page, 0o644, |file| file.write_all(&bytes)).map_err(write)?;
        }
        Ok(receipt)
    }
}

/// Sorted; none where there is no such directory.
fn entries(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, JourneyError> {
    let read = |source| JourneyError::read(dir, source);
    let listed = match dir.read_dir_utf8() {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(read(error)),
    };
    let mut found = Vec::new();
    for entry in listed {
        found.push(entry.map_err(read)?.into_path());
    }
    found.sort();
    Ok(found)
}
