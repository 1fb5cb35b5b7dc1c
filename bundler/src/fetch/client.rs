use std::time::{Duration, SystemTime};

use camino::Utf8PathBuf;
use futures::StreamExt;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};

use super::error::{causes, is_untrusted};
use super::{Address, FetchError};

/// A checksum document, a chart index: what is read as text is small.
const TEXT_LIMIT: usize = 16 << 20;

/// How the outside is talked to. The proxy is the environment's (`HTTPS_PROXY`, `NO_PROXY`), except for this very machine.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    pub connect_timeout: Duration,
    /// A connection on which nothing comes for this long is given up.
    pub stall_timeout: Duration,
    /// Certificates to trust besides the system's, as PEM.
    pub ca_file: Option<Utf8PathBuf>,
    pub retry: Retry,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_mins(1),
            ca_file: None,
            retry: Retry::default(),
        }
    }
}

impl HttpOptions {
    /// The PEM bytes of the extra certificates.
    pub(crate) fn certificates(&self) -> Result<Option<Vec<u8>>, FetchError> {
        let Some(path) = &self.ca_file else {
            return Ok(None);
        };
        std::fs::read(path)
            .map(Some)
            .map_err(|e| FetchError::io("read", path, &e))
    }
}

/// How often and how patiently a fault that may pass is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Attempts without any progress in between before it is given up.
    pub attempts: usize,
    pub first_delay: Duration,
    /// Also the longest that a server's `Retry-After` is obeyed.
    pub longest_delay: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// The delays between attempts.
    pub(crate) fn delays(&self) -> backon::ExponentialBackoff {
        use backon::BackoffBuilder;
        backon::ExponentialBuilder::new()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.longest_delay)
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter()
            .build()
    }

    /// Waits at least as long as the server asks, within reason.
    pub(crate) fn wait(&self, delay: Duration, asked: Option<Duration>) -> Duration {
        delay.max(asked.unwrap_or_default()).min(self.longest_delay)
    }
}

/// Two clients: one as the environment says, one past any proxy for this very machine.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    outside: reqwest::Client,
    loopback: reqwest::Client,
    pub(crate) options: HttpOptions,
}

impl Http {
    pub(crate) fn new(options: HttpOptions) -> Result<Self, FetchError> {
        let mut extra = Vec::new();
        if let (Some(path), Some(pem)) = (&options.ca_file, options.certificates()?) {
            let bad = |cause: String| FetchError::Certificates {
                path: path.clone(),
                cause,
            };
            extra = reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| bad(causes(&e)))?;
            if extra.is_empty() {
                return Err(bad("no certificate in it".to_owned()));
            }
        }
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("kubexm/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(options.connect_timeout)
                .read_timeout(options.stall_timeout)
                .default_headers(HeaderMap::from_iter([(
                    ACCEPT_ENCODING,
                    HeaderValue::from_static("identity"),
                )]))
                .tls_certs_merge(extra.clone())
        };
        let client = |e: reqwest::Error| FetchError::Client { cause: causes(&e) };
        Ok(Self {
            outside: builder().build().map_err(client)?,
            loopback: builder().no_proxy().build().map_err(client)?,
            options,
        })
    }

    /// Sends one request and turns every answer but success, 206 and 416 into its error.
    pub(crate) async fn send(
        &self,
        method: Method,
        address: &Address,
        headers: HeaderMap,
    ) -> Result<Response, FetchError> {
        let client = if address.is_loopback() {
            &self.loopback
        } else {
            &self.outside
        };
        let request = client
            .request(method, address.url().clone())
            .headers(headers);
        let response = address
            .authorize(request)
            .send()
            .await
            .map_err(|e| self.fault(address, &e, None))?;
        let status = response.status();
        if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(response);
        }
        let (url, code) = (address.to_string(), status.as_u16());
        let retry_after = retry_after(response.headers());
        Err(match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => FetchError::NotFound { url, status: code },
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                FetchError::Refused { url, status: code }
            }
            StatusCode::TOO_MANY_REQUESTS => FetchError::Limited { url, retry_after },
            _ => FetchError::Status {
                url,
                status: code,
                retry_after,
            },
        })
    }

    /// What a fault of the transport means. `got` is how much of a body had come.
    pub(crate) fn fault(
        &self,
        address: &Address,
        error: &reqwest::Error,
        got: Option<(u64, Option<u64>)>,
    ) -> FetchError {
        let url = address.to_string();
        // The inner error says the cause; reqwest's own text repeats the address, with what must not be shown.
        let cause =
            std::error::Error::source(error).map_or_else(|| "no more is known".to_owned(), causes);
        if is_untrusted(&cause) {
            FetchError::Untrusted { url, cause }
        } else if error.is_connect() {
            FetchError::Unreachable { url, cause }
        } else if error.is_timeout() {
            FetchError::Stalled {
                url,
                after: self.options.stall_timeout,
            }
        } else if error.is_redirect() {
            FetchError::Redirect { url, cause }
        } else if let Some((got, total)) = got {
            FetchError::Cut {
                url,
                got,
                total,
                cause,
            }
        } else {
            FetchError::Unreachable { url, cause }
        }
    }

    /// A small document, whole.
    pub(crate) async fn text(&self, address: &Address) -> Result<String, FetchError> {
        let response = self.send(Method::GET, address, HeaderMap::new()).await?;
        let total = response.content_length();
        let mut bytes = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            bytes.extend_from_slice(
                &chunk.map_err(|e| self.fault(address, &e, Some((got, total))))?,
            );
            if bytes.len() > TEXT_LIMIT {
                return Err(FetchError::TooLong {
                    url: address.to_string(),
                    limit: TEXT_LIMIT,
                });
            }
        }
        String::from_utf8(bytes).map_err(|_| FetchError::NotText {
            url: address.to_string(),
        })
    }

    /// How large the file is, where the server tells without sending it.
    pub(crate) async fn size(&self, address: &Address) -> Result<Option<u64>, FetchError> {
        match self.send(Method::HEAD, address, HeaderMap::new()).await {
            // A HEAD's own body is empty: only the header tells.
            Ok(response) => Ok(response
                .headers()
                .get(reqwest::header::CONTENT_LENGTH)
                .and_then(|value| value.to_str().ok()?.parse().ok())),
            Err(FetchError::Status {
                status: 405 | 501, ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Seconds or a date, as RFC 9110 has it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    SystemTime::from(date.timestamp())
        .duration_since(SystemTime::now())
        .ok()
}
