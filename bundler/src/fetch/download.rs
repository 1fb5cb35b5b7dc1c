//! One file: asked for, resumed, tried again, verified, and only then given its name.

use camino::Utf8Path;
use futures::TryStreamExt;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};

use super::client::Http;
use super::digests::{Digests, Sums};
use super::origin::Origin;
use super::part::{Part, limited, receive};
use super::published::Digest;
use super::seen::Seen;
use super::watch::{Patience, Shown, Watch};
use super::{Address, FetchError};

/// The digest that a file must have, and who says so.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) digest: Digest,
    pub(crate) source: String,
}

/// Fetches one file to one place.
#[derive(Debug)]
pub(crate) struct Download<'a> {
    pub(crate) http: &'a Http,
    pub(crate) address: &'a Address,
    pub(crate) dest: &'a Utf8Path,
    pub(crate) expected: Option<&'a Expected>,
    /// As many bytes may come.
    pub(crate) limit: u64,
    /// Upstream's address, where what comes must be remembered as seen there.
    pub(crate) seen: Option<&'a Address>,
    pub(crate) watch: Watch<'a>,
}

/// How far a file has come.
struct Arrived {
    digests: Digests,
    origin: Option<Origin>,
}

impl Download<'_> {
    /// Brings the file under its final name. Also tells how many bytes were there from before.
    pub(crate) async fn run(&self) -> Result<(Sums, u64), FetchError> {
        let part = Part::of(self.dest);
        let mut arrived = self.found(&part).await?;
        let before = arrived.digests.len();
        let mut sums = self.fetch(&part, &mut arrived).await?;
        if let Some(expected) = self.expected
            && sums.like(&expected.digest) != expected.digest
        {
            // A prefix from another day or a byte flipped underway: once more, from nothing.
            part.discard_all().await?;
            arrived = self.nothing();
            sums = self.fetch(&part, &mut arrived).await?;
            let got = sums.like(&expected.digest);
            if got != expected.digest {
                part.discard_all().await?;
                return Err(FetchError::Mismatch {
                    url: self.address.to_string(),
                    expected: expected.digest.to_string(),
                    got: got.to_string(),
                    source_of_truth: expected.source.clone(),
                });
            }
        }
        if let Some(upstream) = self.seen {
            Seen::of(upstream, sums.sha256).write(self.dest).await?;
        }
        part.complete().await?;
        Ok((sums, before))
    }

    fn nothing(&self) -> Arrived {
        let digests = Digests::wanted_by(self.expected.map(|expected| &expected.digest));
        Arrived {
            digests,
            origin: None,
        }
    }

    /// What an earlier run left, if it can be continued.
    async fn found(&self, part: &Part) -> Result<Arrived, FetchError> {
        let mut arrived = self.nothing();
        if let Some(origin) = Origin::read(part).await
            && origin.url == self.address.to_string()
            && self.resumable(&origin)
        {
            arrived.digests = part.so_far(arrived.digests).await?;
            arrived.origin = Some(origin);
        }
        Ok(arrived)
    }

    /// Bytes of two different files must never be joined: either the server can tell that the file is still the same,
    /// or the digest of the whole will.
    fn resumable(&self, origin: &Origin) -> bool {
        origin.validator().is_some() || self.expected.is_some()
    }

    async fn fetch(&self, part: &Part, arrived: &mut Arrived) -> Result<Sums, FetchError> {
        let mut patience = Patience::new(&self.watch, &self.http.options.retry);
        loop {
            let before = arrived.digests.len();
            let Err(error) = self.attempt(part, arrived).await else {
                return Ok(arrived.digests.clone().finish());
            };
            if arrived.digests.len() > before {
                patience.renew();
            }
            patience.bear(error).await?;
        }
    }

    async fn attempt(&self, part: &Part, arrived: &mut Arrived) -> Result<(), FetchError> {
        if arrived
            .origin
            .as_ref()
            .is_none_or(|origin| !self.resumable(origin))
        {
            *arrived = self.nothing();
        }
        let offset = arrived.digests.len();
        let known = arrived.origin.as_ref().and_then(|origin| origin.total);
        if offset > 0 && known == Some(offset) {
            return Ok(());
        }
        let headers = range(offset, arrived.origin.as_ref());
        let sent = self.http.send(Method::GET, self.address, headers);
        let response = self.watch.unless_cancelled(sent).await??;

        let total = match self.position(&response, offset, arrived.origin.as_ref()) {
            Position::Complete => return Ok(()),
            Position::Continues { total } => total.or(known),
            Position::Lost => {
                part.discard_all().await?;
                *arrived = self.nothing();
                return Err(FetchError::Unresumable {
                    url: self.address.to_string(),
                });
            }
            Position::Starts => {
                if self.expected.is_none() && is_web_page(&response) {
                    return Err(FetchError::WebPage {
                        url: self.address.to_string(),
                    });
                }
                part.discard_all().await?;
                *arrived = self.nothing();
                let origin = Origin::of(self.address, &response);
                origin.write(part).await?;
                let total = origin.total;
                arrived.origin = Some(origin);
                total
            }
        };
        if total.is_some_and(|total| total > self.limit) {
            part.discard_all().await?;
            return Err(self.too_large());
        }
        let mut shown = Shown::on(self.watch.events.progress(self.watch.unit, total));
        let body = response
            .bytes_stream()
            .map_err(|error| self.http.fault(self.address, &error, Some((0, total))));
        let start = arrived.digests.clone();
        let body = limited(body, start.len(), self.limit, self.address.to_string());
        let left = total.map(|total| total.saturating_sub(start.len()));
        let (digests, outcome) = receive(&self.watch, &mut shown, (part, start), body)
            .await
            .map_err(|e| e.needing(left))?;
        arrived.digests = digests;
        let got = arrived.digests.len();
        match outcome {
            Err(FetchError::Cut {
                url, total, cause, ..
            }) => Err(FetchError::Cut {
                url,
                got,
                total,
                cause,
            }),
            Err(error @ FetchError::TooLarge { .. }) => {
                part.discard_all().await?;
                Err(error)
            }
            Err(error) => Err(error),
            Ok(()) if total.is_some_and(|total| total != got) => Err(FetchError::Cut {
                url: self.address.to_string(),
                got,
                total,
                cause: "the connection was closed".to_owned(),
            }),
            Ok(()) => Ok(()),
        }
    }

    fn too_large(&self) -> FetchError {
        FetchError::TooLarge {
            url: self.address.to_string(),
            limit: self.limit,
        }
    }

    /// What part of the file an answer brings.
    fn position(&self, response: &Response, offset: u64, origin: Option<&Origin>) -> Position {
        let range = response
            .headers()
            .get(CONTENT_RANGE)
            .and_then(content_range);
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let new = Origin::of(self.address, response);
                let same = origin.is_none_or(|old| new.etag.is_none() || new.etag == old.etag);
                match range {
                    Some((Some(start), total)) if offset > 0 && start == offset && same => {
                        Position::Continues { total }
                    }
                    _ => Position::Lost,
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => match range {
                Some((None, Some(total))) if offset > 0 && total == offset => Position::Complete,
                _ => Position::Lost,
            },
            _ => Position::Starts,
        }
    }
}

enum Position {
    Starts,
    Continues { total: Option<u64> },
    Complete,
    Lost,
}

fn range(offset: u64, origin: Option<&Origin>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if offset > 0 {
        if let Ok(range) = HeaderValue::from_str(&format!("bytes={offset}-")) {
            headers.insert(RANGE, range);
        }
        if let Some(Ok(validator)) = origin
            .and_then(Origin::validator)
            .map(HeaderValue::from_str)
        {
            headers.insert(IF_RANGE, validator);
        }
    }
    headers
}

/// A proxy's own page in place of a file; where there is a digest, it tells as well.
fn is_web_page(response: &Response) -> bool {
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/html"))
}

/// `bytes 5-9/10`, `bytes 5-9/*`, `bytes */10`: where it starts, and how large the whole is.
fn content_range(value: &HeaderValue) -> Option<(Option<u64>, Option<u64>)> {
    let (range, total) = value
        .to_str()
        .ok()?
        .strip_prefix("bytes ")?
        .split_once('/')?;
    let start = range
        .split_once('-')
        .and_then(|(start, _)| start.parse().ok());
    Some((start, total.parse().ok()))
}
