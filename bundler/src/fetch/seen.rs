use artifact::Sha256;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::{Address, FetchError};

/// What was downloaded where nobody publishes a digest: `<name>.seen.json` beside it. Only such a record proves that a
/// file which nothing pins is what upstream served.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    url: String,
    sha256: Sha256,
}

impl Seen {
    pub(crate) fn of(upstream: &Address, sha256: Sha256) -> Self {
        Self {
            url: upstream.to_string(),
            sha256,
        }
    }

    /// None also where it is damaged: then the file is fetched anew.
    pub(crate) async fn read(dest: &Utf8Path) -> Option<Self> {
        serde_json::from_slice(&tokio::fs::read(beside(dest)).await.ok()?).ok()
    }

    pub(crate) async fn write(&self, dest: &Utf8Path) -> Result<(), FetchError> {
        let path = beside(dest);
        let text = serde_json::to_vec(self).expect("strings are always JSON");
        tokio::fs::write(&path, text)
            .await
            .map_err(|e| FetchError::io("write", &path, &e))
    }
}

fn beside(dest: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{dest}.seen.json"))
}
