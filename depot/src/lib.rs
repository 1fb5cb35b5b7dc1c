//! Serves what is in a bundle to whoever speaks HTTP, straight from its frames: images by the distribution API, files by their
//! paths. Nothing is unpacked, and nothing can be written.

mod answer;
mod files;
mod range;
mod registry;
mod request;

use std::io::{self, BufWriter, Write};
use std::net::TcpStream;
use std::time::Duration;

use artifact::{Bundle, FileEntry};
use camino::Utf8Path;

use crate::answer::{Answer, Body};
use crate::request::{Method, Request, Requests, Unheard};

pub use artifact::StretchError;

/// How long somebody may say or take nothing.
const PATIENCE: Duration = Duration::from_mins(1);

/// The files of one bundle: one that is whole, or segments.
#[derive(Debug)]
pub struct Depot {
    bundles: Vec<Bundle>,
}

/// A request that was answered.
#[derive(Debug)]
pub struct Served {
    pub method: String,
    /// As it was asked for.
    pub target: String,
    pub status: u16,
    pub bytes: u64,
    /// Why not all of it was sent.
    pub broken: Option<StretchError>,
}

impl Depot {
    /// Segments that are not among them are missing in what is served.
    #[must_use]
    pub fn new(bundles: Vec<Bundle>) -> Self {
        Self { bundles }
    }

    /// Answers all that comes on a connection, and tells of each.
    pub fn serve(&self, stream: &TcpStream, mut told: impl FnMut(Served)) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut requests = Requests::new(stream);
        loop {
            let (request, answer) = match requests.next() {
                Ok(None) => return Ok(()),
                Ok(Some(request)) => {
                    let answer = self.answer(&request);
                    (request, answer)
                }
                Err(Unheard::Io(error)) => return Err(error),
                Err(Unheard::Strange(status)) => (Request::strange(), Answer::refused(status)),
            };
            let is_last = request.is_last();
            let served = self.send(stream, &request, &answer)?;
            let is_broken = served.broken.is_some();
            told(served);
            if is_last || is_broken {
                return Ok(());
            }
        }
    }

    fn answer(&self, request: &Request) -> Answer<'_> {
        match request.method {
            Method::Get | Method::Head => {}
            Method::Other => return Answer::refused(405),
        }
        match request.path.strip_prefix("/v2/") {
            Some(rest) => registry::answer(self, rest, request),
            None if request.path == "/v2" => registry::answer(self, "", request),
            None => files::answer(self, request),
        }
    }

    fn send(
        &self,
        stream: &TcpStream,
        request: &Request,
        answer: &Answer<'_>,
    ) -> io::Result<Served> {
        let mut out = BufWriter::with_capacity(256 << 10, stream);
        out.write_all(answer.head(request).as_bytes())?;
        let mut served = Served {
            method: request.word.clone(),
            target: request.target.clone(),
            status: answer.status,
            bytes: 0,
            broken: None,
        };
        if request.method == Method::Get || answer.status >= 400 && request.method != Method::Head {
            match &answer.body {
                Body::Text(text) => {
                    out.write_all(text)?;
                    served.bytes = text.len() as u64;
                }
                Body::File(file, range) => {
                    let taker = |bytes: &[u8]| {
                        served.bytes += bytes.len() as u64;
                        out.write_all(bytes)
                    };
                    // What was sent is too short, and the connection ends: so the other side knows.
                    served.broken = self.stretch(file, range.clone(), taker).err();
                }
            }
        }
        out.flush()?;
        Ok(served)
    }

    fn stretch(
        &self,
        file: &FileEntry,
        range: std::ops::Range<u64>,
        taker: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), StretchError> {
        match self.holder(&file.path) {
            Some(bundle) => bundle.stretch(&file.path, range, taker),
            None => Ok(()),
        }
    }

    /// The bundle or segment that has a file.
    fn holder(&self, path: &Utf8Path) -> Option<&Bundle> {
        self.bundles.iter().find(|bundle| bundle.carries(path))
    }

    /// A file that can be served.
    fn file(&self, path: &str) -> Option<&FileEntry> {
        let file = self.bundles.first()?.contents().file(path.into())?;
        self.holder(&file.path).map(|_| file)
    }

    fn contents(&self) -> Option<&artifact::Contents> {
        self.bundles.first().map(Bundle::contents)
    }
}
