//! Before a medium leaves: all that is on it is read back from the medium itself.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;
use jiff::Timestamp;
use sha2::Digest;

use super::error::{JourneyError, Wrong};
use super::past_cache::{self, Past};
use super::{Cargo, JOURNEY, JOURNEY_LIST, JOURNEY_SIGNATURE, Journey, listing};
use crate::bundle::read_list;
use crate::{Bundle, BundleError, Cancel, Held, Purpose, Sha256, Signer, replace, signature};

/// A medium that may leave.
#[derive(Debug)]
pub struct Departed {
    pub journey: Journey,
    /// As little as is sure of all files.
    pub past: Past,
}

/// Reads back every file of a medium, and fails with all that are not as they were written.
pub fn depart(
    medium: &Utf8Path,
    (kubexm, now): (&str, Timestamp),
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Departed, JourneyError> {
    let mut journey = Journey {
        journey: JOURNEY,
        kubexm: kubexm.to_owned(),
        departed: now,
        bundles: Vec::new(),
        files: Vec::new(),
    };
    let mut past = Past::Direct;
    let mut wrong = Vec::new();
    for path in listing::files(medium)? {
        match read_back(medium, &path, progress, cancel) {
            Ok(Back {
                held,
                cargo,
                past: of,
            }) => {
                past = past.max(of);
                journey.files.push(held);
                journey.bundles.extend(cargo);
            }
            Err(_) if cancel.is_cancelled() => return Err(JourneyError::Cancelled),
            Err(why) => wrong.push((path, why)),
        }
    }
    if !wrong.is_empty() {
        let medium = medium.to_owned();
        return Err(JourneyError::Wrong { medium, wrong });
    }
    if journey.bundles.is_empty() {
        return Err(JourneyError::Empty(medium.to_owned()));
    }
    Ok(Departed { journey, past })
}

/// The custom name of bundles.
const BUNDLE: &str = ".tar.zst";

/// A file as the medium gave it back.
struct Back {
    held: Held,
    cargo: Option<Cargo>,
    past: Past,
}

fn read_back(
    medium: &Utf8Path,
    path: &Utf8Path,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Back, Wrong> {
    let at = medium.join(path);
    // Whoever has written other files has them in memory still; a bundle knows by itself what it should be.
    let before = match Bundle::open(&at) {
        Ok(_) => None,
        // What is called a bundle and is none may be what a medium has made of one.
        Err(BundleError::NotABundle { .. }) if !path.as_str().ends_with(BUNDLE) => {
            Some(digest_of(&at, cancel).map_err(Wrong::Unreadable)?)
        }
        Err(error) => return Err(Wrong::Bundle(error)),
    };
    let file = past_cache::let_go(&at).map_err(Wrong::Unreadable)?;
    let bundle = match before {
        Some(_) => None,
        // Once more, as the medium has it.
        None => Some(Bundle::open(&at).map_err(Wrong::Bundle)?),
    };
    let mut stored = bundle.as_ref().map(Bundle::stored);
    let (mut hasher, mut size) = (sha2::Sha256::new(), 0);
    let past = past_cache::read(&at, file, cancel, |bytes| {
        hasher.update(bytes);
        size += bytes.len() as u64;
        if let Some(stored) = &mut stored {
            stored.feed(bytes);
        }
        progress.add(bytes.len() as u64);
        Ok(())
    });
    let past = past.map_err(Wrong::Unreadable)?;
    if let Some(stored) = stored {
        stored.finish().map_err(Wrong::Bundle)?;
    }
    let sha256 = Sha256::from(hasher);
    if before.is_some_and(|before| before != sha256) {
        return Err(Wrong::Unfaithful);
    }
    let path = path.to_owned();
    Ok(Back {
        cargo: bundle.map(|bundle| Cargo::of(path.clone(), &bundle)),
        held: Held { path, size, sha256 },
        past,
    })
}

fn digest_of(path: &Utf8Path, cancel: &Cancel) -> io::Result<Sha256> {
    let mut hasher = sha2::Sha256::new();
    let file = crate::open_regular(path)?;
    past_cache::read_cached(file, cancel, |bytes| {
        hasher.update(bytes);
        Ok(())
    })?;
    Ok(Sha256::from(hasher))
}

impl Journey {
    /// Writes the list onto the medium, signed if there is somebody to sign, and reads it back as well. A list that says the
    /// same already stays, with its signatures, and is signed by one more.
    pub fn write(
        &self,
        medium: &Utf8Path,
        signer: Option<&Signer>,
        cancel: &Cancel,
    ) -> Result<Utf8PathBuf, JourneyError> {
        let list = medium.join(JOURNEY_LIST);
        let beside = medium.join(JOURNEY_SIGNATURE);
        let before = self.before(&list, &beside);
        let (bytes, mut signatures) = match &before {
            Some((bytes, signatures)) => (bytes.clone(), signatures.clone()),
            None => (self.to_bytes(), Vec::new()),
        };
        if let Some(signer) = signer.filter(|signer| !signature::by(&signatures, signer)) {
            let one = signer.sign(Purpose::Journey, &bytes);
            let one = one.map_err(|source| JourneyError::Sign {
                path: list.clone(),
                source,
            })?;
            signatures.extend(one.as_bytes());
        }
        if before.is_none() {
            // A signature of an earlier list must not stand beside this one.
            match std::fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(JourneyError::write(&beside, error));
                }
                _ => {}
            }
            put(&list, &bytes, cancel)?;
        }
        if !signatures.is_empty() {
            put(&beside, &signatures, cancel)?;
        }
        Ok(list)
    }

    /// The list that is there and its signatures, if it says the same and they are over it.
    fn before(&self, list: &Utf8Path, beside: &Utf8Path) -> Option<(Vec<u8>, Vec<u8>)> {
        let bytes = read_list(list).ok()?;
        let there = listing::read(list, &bytes).ok()?;
        if (&there.bundles, &there.files) != (&self.bundles, &self.files) {
            return None;
        }
        let signatures = match read_list(beside) {
            Ok(signatures) => signatures,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(_) => return None,
        };
        signature::are_sound(Purpose::Journey, &bytes, &signatures).then_some((bytes, signatures))
    }
}

fn put(path: &Utf8Path, bytes: &[u8], cancel: &Cancel) -> Result<(), JourneyError> {
    use io::Write;
    replace(path, 0o644, |file| file.write_all(bytes))
        .map_err(|source| JourneyError::write(path, source))?;
    let mut back = Vec::new();
    past_cache::let_go(path)
        .and_then(|file| {
            past_cache::read(path, file, cancel, |bytes| {
                back.extend_from_slice(bytes);
                Ok(())
            })
        })
        .map_err(|source| JourneyError::read(path, source))?;
    if back == bytes {
        return Ok(());
    }
    Err(JourneyError::Wrong {
        medium: path.parent().unwrap_or(path).to_owned(),
        wrong: vec![(path.to_owned(), Wrong::Unfaithful)],
    })
}
