//! What has come, for whoever has sent it: an inventory of what the receiver has now, and of each journey that brought it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::arrive::Arrived;
use super::error::JourneyError;
use super::{Cargo, RECEIPT_PREFIX, as_json};
use crate::{Bundle, Held, INVENTORY, Inventory, Purpose, Sha256, Signer, replace};

/// What has come of one bundle. It is an inventory as well, so that `bundle --since` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    #[serde(flatten)]
    pub inventory: Inventory,
    pub receipt: Trip,
}

/// The journeys that have brought it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    /// The digest of the `bundle.json` that they have brought, all of it or a part.
    pub of: Sha256,
    pub arrivals: Vec<Arrival>,
}

/// One journey at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The digest of its list.
    pub journey: Sha256,
    pub departed: Timestamp,
    pub arrived: Timestamp,
    pub medium: Utf8PathBuf,
    pub cluster: String,
    pub bundles: Vec<Cargo>,
    pub files: u64,
    pub bytes: u64,
    /// Who of the trusted signers have signed the list; none where nobody asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed_by: Vec<SignedBy>,
}

/// Somebody whose signature was good when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBy {
    pub name: String,
    pub key: String,
}

impl Arrival {
    /// What of a journey was for one cluster.
    #[must_use]
    pub fn of(arrived: &Arrived, bundle: Sha256, medium: Utf8PathBuf, now: Timestamp) -> Self {
        let bundles = arrived.journey.bundles.iter();
        let bundles: Vec<Cargo> = bundles.filter(|it| it.bundle == bundle).cloned().collect();
        let files = arrived.journey.files.iter();
        let files = files.filter(|file| bundles.iter().any(|cargo| cargo.path == file.path));
        let (number, size) = files.fold((0, 0_u64), |(number, size), file| {
            (number + 1, size.saturating_add(file.size))
        });
        let signed_by = arrived.signed_by.iter().map(|by| SignedBy {
            name: by.name.clone(),
            key: by.fingerprint.clone(),
        });
        Self {
            journey: arrived.digest,
            departed: arrived.journey.departed,
            arrived: now,
            medium,
            cluster: bundles
                .first()
                .map_or_else(String::new, |cargo| cargo.cluster.clone()),
            bundles,
            files: number,
            bytes: size,
            signed_by: signed_by.collect(),
        }
    }
}

impl Receipt {
    /// Adds what these files of one bundle have brought to what had come of it before. `rest` is what the receiver's tree was
    /// seen to hold of it.
    #[must_use]
    pub fn of(
        bundles: &[&Bundle],
        before: Option<Self>,
        rest: &[Held],
        arrival: Arrival,
        kubexm: &str,
    ) -> Option<Self> {
        let first = bundles.first()?;
        let digest = first.digest();
        let before = before.filter(|before| before.receipt.of == digest);
        let (held, mut arrivals) = match before {
            Some(before) => (before.inventory.files, before.receipt.arrivals),
            None => (Vec::new(), Vec::new()),
        };
        arrivals.retain(|known| known.journey != arrival.journey);
        arrivals.push(arrival);
        let carried = bundles.iter().flat_map(|bundle| bundle.carried());
        let carried = carried.filter(|carried| !carried.is_patch);
        let files: BTreeMap<Utf8PathBuf, Held> = held
            .into_iter()
            .chain(rest.iter().cloned())
            .chain(carried.map(|carried| Held::from(carried.file)))
            .map(|held| (held.path.clone(), held))
            .collect();
        let all = first.contents().files.iter();
        let all_there = all.clone().all(|file| {
            let held = files.get(&file.path);
            held.is_some_and(|held| held.sha256 == file.sha256)
        });
        Some(Self {
            inventory: Inventory {
                inventory: INVENTORY,
                cluster: first.contents().cluster.clone(),
                kubexm: kubexm.to_owned(),
                bundle: all_there.then_some(digest),
                files: files.into_values().collect(),
            },
            receipt: Trip {
                of: digest,
                arrivals,
            },
        })
    }

    /// As it is written: JSON that people can read as well.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        as_json(self)
    }

    /// Writes it where it is carried back from, signed if there is somebody to sign.
    pub fn write(
        &self,
        dir: &Utf8Path,
        signer: Option<&Signer>,
    ) -> Result<Utf8PathBuf, JourneyError> {
        let bytes = self.to_bytes();
        let path = dir.join(format!("{RECEIPT_PREFIX}{}.json", self.inventory.cluster));
        let signature = signer
            .map(|signer| signer.sign(Purpose::Receipt, &bytes))
            .transpose()
            .map_err(|source| JourneyError::Sign {
                path: path.clone(),
                source,
            })?;
        let beside = Utf8PathBuf::from(format!("{path}.sig"));
        // A signature of an earlier one must not stand beside this one.
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(JourneyError::write(&beside, error));
            }
            _ => {}
        }
        let put = |path: &Utf8Path, bytes: &[u8]| {
            replace(path, 0o644, |file| file.write_all(bytes))
                .map_err(|source| JourneyError::write(path, source))
        };
        put(&path, &bytes)?;
        if let Some(signature) = signature {
            put(&beside, signature.as_bytes())?;
        }
        Ok(path)
    }
}
