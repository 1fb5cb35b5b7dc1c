//! Which files of a medium travel, and what its list may say.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::error::JourneyError;
use super::{JOURNEY, JOURNEY_LIST, JOURNEY_SIGNATURE, Journey, RECEIPT_PREFIX};
use crate::contents::{Clean, HEAD_MAX};
use crate::text::{too_many_commas, unprintable};

/// What operating systems put onto media by themselves, beside names with a dot at their beginning.
const OF_SYSTEMS: [&str; 4] = [
    "system volume information",
    "$recycle.bin",
    "lost+found",
    "found.000",
];
/// A medium with more is somebody's home.
const FILES_MAX: usize = 1 << 16;
/// FAT and its kin have no names with these.
const NOT_IN_NAMES: [char; 8] = ['\\', ':', '*', '?', '"', '<', '>', '|'];

/// The bytes of all files that travel.
pub fn size(medium: &Utf8Path) -> Result<u64, JourneyError> {
    let files = files(medium)?;
    let sizes = files.iter().map(|path| {
        let at = medium.join(path);
        let meta = std::fs::metadata(&at).map_err(|source| JourneyError::read(&at, source))?;
        Ok(meta.len())
    });
    sizes.sum()
}

/// Every file that travels, sorted.
pub(super) fn files(medium: &Utf8Path) -> Result<Vec<Utf8PathBuf>, JourneyError> {
    let mut found = Vec::new();
    let mut folders = vec![Utf8PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let dir = medium.join(&folder);
        let read = |source| JourneyError::read(&dir, source);
        for entry in std::fs::read_dir(&dir).map_err(read)? {
            let entry = entry.map_err(read)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(JourneyError::Name {
                    path: folder.join(name.to_string_lossy().as_ref()).to_string(),
                    why: "it is no UTF-8",
                });
            };
            if is_of_a_system(name) || (folder == "" && is_ours(name)) {
                continue;
            }
            let path = folder.join(name);
            let kind = entry.file_type().map_err(read)?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                require_name(name, &path)?;
                found.push(path);
            }
            if found.len() + folders.len() > FILES_MAX {
                return Err(JourneyError::Name {
                    path: medium.to_string(),
                    why: "there are more than 65536 files",
                });
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_of_a_system(name: &str) -> bool {
    name.starts_with('.') || OF_SYSTEMS.contains(&name.to_lowercase().as_str())
}

fn is_ours(name: &str) -> bool {
    let lists = [JOURNEY_LIST, JOURNEY_SIGNATURE];
    let receipt = name.get(..RECEIPT_PREFIX.len());
    lists.iter().any(|ours| ours.eq_ignore_ascii_case(name))
        || receipt.is_some_and(|begin| begin.eq_ignore_ascii_case(RECEIPT_PREFIX))
}

fn require_name(name: &str, path: &Utf8Path) -> Result<(), JourneyError> {
    let why = if name.contains(NOT_IN_NAMES) {
        "FAT and exFAT have no names with \\ : * ? \" < > |"
    } else if name.ends_with(['.', ' ']) {
        "FAT and exFAT drop a dot or a blank at its end"
    } else if name.chars().any(unprintable) {
        "it has characters that are not to be seen"
    } else if name.encode_utf16().count() > 255 {
        "it is longer than 255 characters"
    } else {
        return Ok(());
    };
    Err(JourneyError::Name {
        path: path.as_str().escape_debug().to_string(),
        why,
    })
}

/// Reads the bytes of a list. It comes from a medium, and may say anything.
pub(super) fn read(path: &Utf8Path, bytes: &[u8]) -> Result<Journey, JourneyError> {
    #[derive(serde::Deserialize)]
    struct Version {
        journey: u32,
    }
    let strange = |why: String| JourneyError::Strange {
        path: path.to_owned(),
        why,
    };
    if bytes.len() as u64 > HEAD_MAX || too_many_commas(bytes) {
        return Err(strange("it is larger than any that is read".into()));
    }
    let unlike = |error: serde_json::Error| strange(error.to_string());
    serde_json::from_slice::<Clean>(bytes).map_err(unlike)?;
    let Version { journey: found } = serde_json::from_slice(bytes).map_err(unlike)?;
    if found > JOURNEY {
        return Err(JourneyError::Newer {
            path: path.to_owned(),
            found,
        });
    }
    let journey: Journey = serde_json::from_slice(bytes).map_err(unlike)?;
    let sorted = journey.files.is_sorted_by(|a, b| a.path < b.path)
        && journey.bundles.is_sorted_by(|a, b| a.path < b.path);
    if !sorted {
        return Err(strange("its lists are not sorted".into()));
    }
    if let Some(file) = journey.files.iter().find(|file| !is_below(&file.path)) {
        return Err(strange(format!("{} leads out of the medium", file.path)));
    }
    let listed = |path: &Utf8PathBuf| {
        let found = journey.files.binary_search_by(|file| file.path.cmp(path));
        found.is_ok()
    };
    match journey.bundles.iter().find(|cargo| !listed(&cargo.path)) {
        Some(cargo) => Err(strange(format!("{} is not among its files", cargo.path))),
        None => Ok(journey),
    }
}

fn is_below(path: &Utf8Path) -> bool {
    let mut parts = path.components();
    !path.as_str().is_empty() && parts.all(|part| matches!(part, Utf8Component::Normal(_)))
}
