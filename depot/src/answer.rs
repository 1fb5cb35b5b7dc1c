//! What goes back.

use std::fmt::Write;
use std::ops::Range;

use artifact::FileEntry;

use crate::range::{self, Asked};
use crate::request::Request;

#[derive(Debug)]
pub struct Answer<'a> {
    pub status: u16,
    pub body: Body<'a>,
    pub headers: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub enum Body<'a> {
    Text(Vec<u8>),
    File(&'a FileEntry, Range<u64>),
}

impl<'a> Answer<'a> {
    pub fn text(kind: &str, text: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            body: Body::Text(text.into()),
            headers: vec![("Content-Type", kind.to_owned())],
        }
    }

    pub fn refused(status: u16) -> Self {
        let text = format!("{}\n", reason(status));
        let mut answer = Self::text("text/plain; charset=utf-8", text).with_status(status);
        if status == 405 {
            answer.headers.push(("Allow", "GET, HEAD".to_owned()));
        }
        answer
    }

    /// A file or a part of it. Its digest is its tag, so a client can go on where it was cut off.
    pub fn file(file: &'a FileEntry, kind: &str, request: &Request) -> Self {
        let tag = format!("\"{}\"", file.sha256);
        let is_same = request.if_range.as_ref().is_none_or(|known| *known == tag);
        let range = request.range.as_deref().filter(|_| is_same);
        let mut headers = vec![
            ("Accept-Ranges", "bytes".to_owned()),
            ("ETag", tag),
            ("Content-Type", kind.to_owned()),
        ];
        let size = file.size;
        let (status, range) = match range::asked(range, size) {
            Asked::All => (200, 0..size),
            Asked::Part(part) => {
                let (from, to) = (part.start, part.end - 1);
                headers.push(("Content-Range", format!("bytes {from}-{to}/{size}")));
                (206, part)
            }
            Asked::Beyond => {
                let mut answer = Self::refused(416);
                answer
                    .headers
                    .push(("Content-Range", format!("bytes */{size}")));
                return answer;
            }
        };
        Self {
            status,
            body: Body::File(file, range),
            headers,
        }
    }

    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// All before the body.
    pub fn head(&self, request: &Request) -> String {
        let length = match &self.body {
            Body::Text(text) => text.len() as u64,
            Body::File(_, range) => range.end - range.start,
        };
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let connection = if request.is_last() {
            "close"
        } else {
            "keep-alive"
        };
        let always = [
            ("Content-Length", length.to_string()),
            ("Connection", connection.to_owned()),
        ];
        for (name, value) in self.headers.iter().chain(&always) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        _ => "Unknown",
    }
}
