//! What the other side says: a request line and headers, one request after the other.

use std::borrow::Cow;
use std::io::{self, Read};
use std::net::TcpStream;

use percent_encoding::percent_decode_str;

/// More than any client sends.
const HEAD_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Other,
}

/// A request, as far as it matters here.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    /// As it was written.
    pub word: String,
    pub target: String,
    /// Without query, decoded.
    pub path: String,
    /// `ns` of the query: the registry that a runtime looks for through this one.
    pub of_registry: Option<String>,
    pub range: Option<String>,
    pub if_range: Option<String>,
    keeps: Keeps,
}

/// Whether another request may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    On,
    Closing,
}

/// Why there is no request.
#[derive(Debug)]
pub enum Unheard {
    Io(io::Error),
    /// It is answered with this status.
    Strange(u16),
}

pub struct Requests<'a> {
    stream: &'a TcpStream,
    heard: Vec<u8>,
}

impl<'a> Requests<'a> {
    pub fn new(stream: &'a TcpStream) -> Self {
        Self {
            stream,
            heard: Vec::new(),
        }
    }

    /// None when the other side has said all.
    pub fn next(&mut self) -> Result<Option<Request>, Unheard> {
        loop {
            if let Some((request, len)) = parse(&self.heard)? {
                self.heard.drain(..len);
                return Ok(Some(request));
            }
            if self.heard.len() >= HEAD_MAX {
                return Err(Unheard::Strange(431));
            }
            let mut more = [0; 4096];
            match self.stream.read(&mut more) {
                Ok(0) => return Ok(None),
                Ok(len) => self.heard.extend_from_slice(&more[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Nobody has said anything for long.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(Unheard::Io(error)),
            }
        }
    }
}

/// The first request and its length, once all of it is there.
fn parse(heard: &[u8]) -> Result<Option<(Request, usize)>, Unheard> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let len = match parsed.parse(heard) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Unheard::Strange(431)),
        Err(_) => return Err(Unheard::Strange(400)),
    };
    let header = |name: &str| {
        let mut found = parsed.headers.iter();
        let found = found.find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    let word = parsed.method.unwrap_or_default();
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = decoded(path).ok_or(Unheard::Strange(400))?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let of_registry = pairs.find(|(name, _)| *name == "ns");
    let of_registry = of_registry.and_then(|(_, value)| decoded(value));
    // A body is nothing that is wanted here: what follows it cannot be told from it.
    let has_body = header("content-length").is_some_and(|length| length.trim() != "0")
        || header("transfer-encoding").is_some();
    let connection = header("connection").unwrap_or_default().to_lowercase();
    let closing = has_body || connection.contains("close") || parsed.version != Some(1);
    let request = Request {
        method: match word {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        },
        word: word.to_owned(),
        target: target.to_owned(),
        path: path.into_owned(),
        of_registry: of_registry.map(Cow::into_owned),
        range: header("range").map(str::to_owned),
        if_range: header("if-range").map(str::to_owned),
        keeps: if closing { Keeps::Closing } else { Keeps::On },
    };
    Ok(Some((request, len)))
}

fn decoded(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

impl Request {
    /// Something that nobody understands.
    pub fn strange() -> Self {
        Self {
            method: Method::Other,
            word: "?".to_owned(),
            target: String::new(),
            path: String::new(),
            of_registry: None,
            range: None,
            if_range: None,
            keeps: Keeps::Closing,
        }
    }

    /// Whether the connection ends with its answer.
    pub fn is_last(&self) -> bool {
        self.keeps == Keeps::Closing
    }
}
