use reqwest::Response;
use reqwest::header::{ETAG, HeaderName, LAST_MODIFIED};
use serde::{Deserialize, Serialize};

use super::part::Part;
use super::{Address, FetchError};

/// What a `.part` file was begun from: `<name>.part.json` beside it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) url: String,
    pub(crate) etag: Option<String>,
    last_modified: Option<String>,
    pub(crate) total: Option<u64>,
}

impl Origin {
    pub(crate) fn of(address: &Address, response: &Response) -> Self {
        let text = |name: HeaderName| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        Self {
            url: address.to_string(),
            etag: text(ETAG),
            last_modified: text(LAST_MODIFIED),
            total: response.content_length(),
        }
    }

    /// What `If-Range` may carry: a strong `ETag`, or the date.
    pub(crate) fn validator(&self) -> Option<&str> {
        self.etag
            .as_deref()
            .filter(|etag| !etag.starts_with("W/"))
            .or(self.last_modified.as_deref())
    }

    /// None also where it is damaged: then the file starts anew.
    pub(crate) async fn read(part: &Part) -> Option<Self> {
        serde_json::from_slice(&tokio::fs::read(part.origin()).await.ok()?).ok()
    }

    pub(crate) async fn write(&self, part: &Part) -> Result<(), FetchError> {
        let path = part.origin();
        let text = serde_json::to_vec(self).expect("strings and numbers are always JSON");
        tokio::fs::write(&path, text)
            .await
            .map_err(|e| FetchError::io("write", &path, &e))
    }
}
