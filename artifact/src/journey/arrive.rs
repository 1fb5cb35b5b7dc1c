//! Where a medium has come to: what is on it is compared with what left.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;
use sha2::Digest;

use super::error::{JourneyError, Wrong};
use super::{JOURNEY_LIST, JOURNEY_SIGNATURE, Journey, listing, past_cache};
use crate::bundle::read_list;
use crate::{Bundle, Cancel, Held, Principal, Purpose, Sha256, Trust, verify_signatures};

/// A medium on which all is as it left.
#[derive(Debug)]
pub struct Arrived {
    pub journey: Journey,
    /// Of the list.
    pub digest: Sha256,
    /// Who of the signers have signed the list, where it was asked for.
    pub signed_by: Vec<Principal>,
    /// In the order of the list.
    pub bundles: Vec<Bundle>,
    /// Files that have not left with it.
    pub strangers: Vec<Utf8PathBuf>,
}

/// Reads all that a medium has brought. Where somebody is trusted, the list must be by them, and nothing else is looked at
/// before that.
pub fn arrive(
    medium: &Utf8Path,
    trust: Option<Trust<'_>>,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Arrived, JourneyError> {
    let path = medium.join(JOURNEY_LIST);
    let bytes = match read_list(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && medium.is_dir() => {
            return Err(JourneyError::Unlisted(medium.to_owned()));
        }
        bytes => bytes.map_err(|source| JourneyError::read(&path, source))?,
    };
    let signed_by = match trust {
        Some(trust) => signed_by(medium, &bytes, trust)?,
        None => Vec::new(),
    };
    let journey = listing::read(&path, &bytes)?;
    let mut wrong: Vec<(Utf8PathBuf, Wrong)> = Vec::new();
    for held in &journey.files {
        match compare(medium, held, progress, cancel) {
            _ if cancel.is_cancelled() => return Err(JourneyError::Cancelled),
            Ok(()) => {}
            Err(why) => wrong.push((held.path.clone(), why)),
        }
    }
    let mut bundles = Vec::new();
    for cargo in &journey.bundles {
        if wrong.iter().any(|(path, _)| *path == cargo.path) {
            continue;
        }
        match Bundle::open(&medium.join(&cargo.path)) {
            Ok(bundle) if bundle.digest() == cargo.bundle => bundles.push(bundle),
            Ok(_) => wrong.push((cargo.path.clone(), Wrong::Another)),
            Err(error) => wrong.push((cargo.path.clone(), Wrong::Bundle(error))),
        }
    }
    if !wrong.is_empty() {
        let medium = medium.to_owned();
        return Err(JourneyError::Wrong { medium, wrong });
    }
    let mut strangers = listing::files(medium)?;
    strangers.retain(|path| !journey.files.iter().any(|held| held.path == *path));
    Ok(Arrived {
        digest: Sha256::of(&bytes),
        journey,
        signed_by,
        bundles,
        strangers,
    })
}

fn signed_by(
    medium: &Utf8Path,
    bytes: &[u8],
    trust: Trust<'_>,
) -> Result<Vec<Principal>, JourneyError> {
    let path = medium.join(JOURNEY_SIGNATURE);
    let signature = match read_list(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(JourneyError::read(&path, error)),
    };
    verify_signatures(Purpose::Journey, bytes, signature.as_deref(), trust)
        .map_err(|source| JourneyError::Signature { path, source })
}

fn compare(
    medium: &Utf8Path,
    held: &Held,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<(), Wrong> {
    let path = medium.join(&held.path);
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Wrong::Missing,
        _ => Wrong::Unreadable(error),
    };
    let file = past_cache::let_go(&path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?.len();
    if found != held.size {
        let listed = held.size;
        return Err(Wrong::Size { listed, found });
    }
    let mut hasher = sha2::Sha256::new();
    past_cache::read(&path, file, cancel, |bytes| {
        hasher.update(bytes);
        progress.add(bytes.len() as u64);
        Ok(())
    })
    .map_err(unreadable)?;
    if Sha256::from(hasher) == held.sha256 {
        Ok(())
    } else {
        Err(Wrong::Content)
    }
}
