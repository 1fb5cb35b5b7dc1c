//! What has come, for whoever has sent it: an inventory of what the receiver has now, and of each journey that brought it.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::arrive::Arrived;
use super::{Cargo, as_json};
use crate::{Bundle, Held, INVENTORY, Inventory, Sha256};

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
    /// Who of the trusted signers has signed the list; none where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
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
        let by = arrived.signed_by.as_ref();
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
            signed_by: by.map(|by| by.name.clone()),
            key: by.map(|by| by.fingerprint.clone()),
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
}
