//! What an archive of Debian's kind signs of a suite: `InRelease`, or `Release` with its signature beside it.

use jiff::Timestamp;
use packages::deb::Release;
use packages::openpgp::Keyring;

use super::PackageError;
use super::index::Indexes;
use crate::error::BundleError;

/// A release that is signed by one of the known keys, and still counts.
pub(super) struct Signed {
    /// The address of what was signed.
    pub url: String,
    pub release: Release,
}

/// The release of the suite at this address, whose last part is its name. The pair is asked for only where there is no `InRelease`, as on small
/// mirrors: one that cannot be fetched, or whose signature does not fit, is told.
pub(super) async fn fetch(
    indexes: &Indexes<'_>,
    at: &str,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Signed, BundleError> {
    let url = format!("{at}/InRelease");
    let (url, text) = match indexes.present(&url).await? {
        Some(document) => {
            let text = keyring
                .verify_cleartext(document.as_bytes(), now)
                .map_err(|error| indexes.untrusted(&url, &error, error.hint()))?;
            (url, text)
        }
        None => pair(indexes, at, keyring, now).await?,
    };
    let release = Release::parse(&text)
        .and_then(|release| release.fresh(now).map(|()| release))
        .and_then(|release| {
            let suite = at.rsplit_once("/dists/").map_or(at, |(_, suite)| suite);
            release.is_of(suite).map(|()| release)
        })
        .map_err(|error| indexes.untrusted(&url, &error, error.hint()))?;
    indexes.not_older(at, release.date)?;
    Ok(Signed { url, release })
}

async fn pair(
    indexes: &Indexes<'_>,
    at: &str,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<(String, String), BundleError> {
    let fails = |error| indexes.request.fails(error);
    let url = format!("{at}/Release");
    let Some(document) = indexes.present(&url).await? else {
        return Err(fails(PackageError::NoRelease { at: at.to_owned() }));
    };
    let Some(signature) = indexes.present(&format!("{url}.gpg")).await? else {
        return Err(fails(PackageError::UnsignedRelease { at: at.to_owned() }));
    };
    keyring
        .verify_detached(document.as_bytes(), signature.as_bytes(), now)
        .map_err(|error| indexes.untrusted(&url, &error, error.hint()))?;
    Ok((url, document))
}
