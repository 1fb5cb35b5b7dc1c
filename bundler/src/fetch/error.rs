use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::watch::Passing;
use crate::error::Fault;

/// Why something could not be fetched. Addresses in it hold no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("{url}: not found ({status})")]
    NotFound { url: String, status: u16 },
    #[error("{url}: the archive does not have it any more ({status})")]
    Gone { url: String, status: u16 },
    #[error("{url}: access refused ({status})")]
    Refused { url: String, status: u16 },
    #[error("{url}: too many requests (429){}", wait(*.retry_after))]
    Limited {
        url: String,
        retry_after: Option<Duration>,
    },
    #[error("{url}: the server answered {status}")]
    Status {
        url: String,
        status: u16,
        retry_after: Option<Duration>,
    },
    #[error("{url}: cannot be reached: {cause}")]
    Unreachable { url: String, cause: String },
    #[error("{url}: its certificate is not trusted here: {cause}")]
    Untrusted { url: String, cause: String },
    #[error("{url}: nothing came for {} s", .after.as_secs_f32())]
    Stalled { url: String, after: Duration },
    #[error("{url}: cut off after {got} bytes{}: {cause}", of(*.total))]
    Cut {
        url: String,
        got: u64,
        total: Option<u64>,
        cause: String,
    },
    #[error("{url}: the server answers a partial request in a way that does not fit it")]
    Unresumable { url: String },
    #[error("{url}: redirects without end or to nowhere: {cause}")]
    Redirect { url: String, cause: String },
    #[error("{url}: wrong content: {expected} is expected ({source_of_truth}), {got} came, twice")]
    Mismatch {
        url: String,
        expected: String,
        got: String,
        source_of_truth: String,
    },
    #[error("{document}: names no SHA-256 or SHA-512 for {file}")]
    NotListed { document: String, file: String },
    #[error("{url}: larger than the {limit} bytes that a text may have here")]
    TooLong { url: String, limit: usize },
    #[error("{url}: larger than the {limit} bytes that it may have")]
    TooLarge { url: String, limit: u64 },
    #[error("{url}: a web page came in place of the file")]
    WebPage { url: String },
    #[error("{url}: is not text")]
    NotText { url: String },
    #[error("{path}: no space left on the disk{}", more(*.need))]
    DiskFull {
        path: Utf8PathBuf,
        need: Option<u64>,
    },
    #[error("cannot {act} {path}: {cause}")]
    Io {
        act: &'static str,
        path: Utf8PathBuf,
        cause: String,
    },
    #[error("the certificates in {path} cannot be used: {cause}")]
    Certificates { path: Utf8PathBuf, cause: String },
    #[error("cannot set up an HTTP client: {cause}")]
    Client { cause: String },
    #[error("interrupted")]
    Interrupted,
}

impl FetchError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotFound { .. } => {
                "check that this version exists for this architecture; a mirror may not have it"
            }
            Self::Gone { .. } => {
                "archives drop older packages: choose anew with --update systems, or name a --mirror that keeps them"
            }
            Self::Refused { .. } => {
                "a mirror's login is written into its address: --mirror HOST=https://USER:PASSWORD@MIRROR"
            }
            Self::Limited { .. } => {
                "wait, fetch fewer at a time with --jobs, or name a --mirror; the next run continues"
            }
            Self::Unreachable { .. } => {
                "check the name, the network and the proxy settings; --mirror HOST=URL fetches from elsewhere"
            }
            Self::Status { .. }
            | Self::Stalled { .. }
            | Self::Cut { .. }
            | Self::Unresumable { .. } => {
                "run again: what has come is kept, and the fetch continues there"
            }
            Self::Mismatch { .. } | Self::TooLarge { .. } => {
                "upstream or a mirror serves something else than was published or locked; do not use it before you know why"
            }
            Self::NotListed { .. } => {
                "the project may have renamed its files or checksums in this version"
            }
            Self::DiskFull { .. } => {
                "free some space or choose another --work-dir; the next run continues"
            }
            Self::Untrusted { .. } => {
                "add the CA that signed it to this machine's, or point SSL_CERT_FILE at it; a proxy may have one of its own"
            }
            Self::WebPage { .. } => {
                "a proxy may want a login, or refuse this; look at it in a browser"
            }
            Self::Certificates { .. } => "a file with PEM certificates is expected",
            Self::Redirect { .. }
            | Self::TooLong { .. }
            | Self::NotText { .. }
            | Self::Io { .. }
            | Self::Client { .. }
            | Self::Interrupted => return None,
        };
        Some(hint.to_owned())
    }

    /// Of a file that an index lists: what is not found was there once.
    pub(crate) fn gone(self) -> Self {
        match self {
            Self::NotFound { url, status } => Self::Gone { url, status },
            other => other,
        }
    }

    pub(crate) const fn fault(&self) -> Fault {
        match self {
            Self::Mismatch { .. } | Self::TooLarge { .. } => Fault::Integrity,
            _ => Fault::Other,
        }
    }

    pub(crate) fn io(act: &'static str, path: &Utf8Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull {
                path: path.to_owned(),
                need: None,
            },
            _ => Self::Io {
                act,
                path: path.to_owned(),
                cause: error.to_string(),
            },
        }
    }

    /// The same, knowing how many bytes are still to be written.
    #[must_use]
    pub(crate) fn needing(self, bytes: Option<u64>) -> Self {
        match self {
            Self::DiskFull { path, .. } => Self::DiskFull { path, need: bytes },
            other => other,
        }
    }
}

impl Passing for FetchError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Limited { .. }
            | Self::Unreachable { .. }
            | Self::Stalled { .. }
            | Self::Cut { .. }
            | Self::Unresumable { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 408,
            _ => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited { retry_after, .. } | Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| {
        format!("; it asks to wait {} s", wait.as_secs())
    })
}

fn of(total: Option<u64>) -> String {
    total.map_or_else(String::new, |total| format!(" of {total}"))
}

fn more(need: Option<u64>) -> String {
    need.map_or_else(String::new, |need| {
        format!(": {need} bytes more are needed")
    })
}

/// Whether a connection failed over a certificate. The TLS library is not ours to name, so its words have to do.
pub(crate) fn is_untrusted(cause: &str) -> bool {
    cause.contains("invalid peer certificate")
}

/// An error with all its causes, in one line and without the address, which the message around it names.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use artifact::Sha256;

    use super::*;

    #[test]
    fn every_message_says_what_and_why() {
        let url = "https://up/x".to_owned();
        let path = Utf8PathBuf::from("tree/x.part");
        let digest = |text: &[u8]| Sha256::of(text).oci();
        let all = [
            FetchError::NotFound {
                url: url.clone(),
                status: 404,
            },
            FetchError::Refused {
                url: url.clone(),
                status: 403,
            },
            FetchError::Limited {
                url: url.clone(),
                retry_after: Some(Duration::from_secs(30)),
            },
            FetchError::Status {
                url: url.clone(),
                status: 503,
                retry_after: None,
            },
            FetchError::Unreachable {
                url: url.clone(),
                cause: "connection refused".into(),
            },
            FetchError::Untrusted {
                url: url.clone(),
                cause: "invalid peer certificate: UnknownIssuer".into(),
            },
            FetchError::Stalled {
                url: url.clone(),
                after: Duration::from_secs(30),
            },
            FetchError::Cut {
                url: url.clone(),
                got: 3,
                total: Some(9),
                cause: "connection reset".into(),
            },
            FetchError::Unresumable { url: url.clone() },
            FetchError::Redirect {
                url: url.clone(),
                cause: "too many redirects".into(),
            },
            FetchError::Mismatch {
                url: url.clone(),
                expected: digest(b"a"),
                got: digest(b"b"),
                source_of_truth: "published at https://up/SHA256SUMS".into(),
            },
            FetchError::NotListed {
                document: "https://up/SHA256SUMS".into(),
                file: "x".into(),
            },
            FetchError::TooLong {
                url: url.clone(),
                limit: 9,
            },
            FetchError::WebPage { url: url.clone() },
            FetchError::NotText { url },
            FetchError::DiskFull {
                path: path.clone(),
                need: Some(7),
            },
            FetchError::io(
                "write",
                &path,
                &io::Error::from(io::ErrorKind::PermissionDenied),
            ),
            FetchError::Certificates {
                path: "ca.pem".into(),
                cause: "no certificate in it".into(),
            },
            FetchError::Client {
                cause: "no CA certificates".into(),
            },
            FetchError::Interrupted,
        ];
        let said: Vec<String> = all
            .iter()
            .map(|e| {
                e.hint()
                    .map_or_else(|| e.to_string(), |hint| format!("{e}\n  hint: {hint}"))
            })
            .collect();
        insta::assert_snapshot!(said.join("\n"));
    }
}
