//! The control file of a `.deb`, read as a stream: an `ar` archive whose second member is a tar with it.

use std::io::{self, Read};

use deb822_fast::Paragraph;
use flate2::read::GzDecoder;
use liblzma::read::XzDecoder;

use crate::checked::{Checked, Checksum};

/// The largest control file that is read; real ones have some kilobytes.
const LIMIT: u64 = 4 << 20;

/// A package file: its control fields and its checksum.
#[derive(Clone, Debug)]
pub struct Deb {
    pub control: Paragraph,
    pub checksum: Checksum,
}

/// Why a file is no package.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    #[error("this is no .deb: {why}")]
    Malformed { why: String },
    #[error("reading a .deb: {0}")]
    Io(#[from] io::Error),
}

impl Deb {
    /// Reads a package file to its end.
    pub fn read(bytes: impl Read) -> Result<Self, DebError> {
        let mut bytes = Checked::new(bytes);
        let mut magic = [0; 8];
        fill(&mut bytes, &mut magic)?;
        if &magic != b"!<arch>\n" {
            return Err(malformed("it is no ar archive"));
        }
        let control = loop {
            let (name, size) = header(&mut bytes)?;
            let mut member = bytes.by_ref().take(size);
            if let Some(suffix) = name.strip_prefix("control.tar") {
                let control = read_tar(suffix, &mut member)?;
                break control;
            }
            io::copy(&mut member, &mut io::sink())?;
            // Members begin at even places.
            io::copy(&mut bytes.by_ref().take(size % 2), &mut io::sink())?;
        };
        Ok(Self {
            control,
            checksum: bytes.finish()?,
        })
    }

    /// A control field that every package has.
    pub(super) fn field(&self, name: &'static str) -> &str {
        self.control.get(name).unwrap_or_default()
    }
}

fn malformed(why: &str) -> DebError {
    DebError::Malformed {
        why: why.to_owned(),
    }
}

fn fill(bytes: &mut impl Read, buffer: &mut [u8]) -> Result<(), DebError> {
    bytes
        .read_exact(buffer)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => malformed("it ends before its control file"),
            _ => error.into(),
        })
}

/// A member's name and size.
fn header(bytes: &mut impl Read) -> Result<(String, u64), DebError> {
    let mut header = [0; 60];
    fill(bytes, &mut header)?;
    let text = |range: std::ops::Range<usize>| {
        let text = std::str::from_utf8(&header[range]).unwrap_or_default();
        text.trim_end().trim_end_matches('/').to_owned()
    };
    let size = text(48..58).parse();
    match size {
        Ok(size) if header[58..] == *b"`\n" => Ok((text(0..16), size)),
        _ => Err(malformed("a member of its ar archive has no good header")),
    }
}

fn read_tar(suffix: &str, member: &mut dyn Read) -> Result<Paragraph, DebError> {
    let tar: Box<dyn Read + '_> = match suffix {
        "" => Box::new(member),
        ".gz" => Box::new(GzDecoder::new(member)),
        ".xz" => Box::new(XzDecoder::new(member)),
        ".zst" => Box::new(zstd::Decoder::new(member)?),
        other => {
            return Err(malformed(&format!(
                "control.tar{other} is of an unknown kind"
            )));
        }
    };
    let broken = |error: io::Error| malformed(&format!("control.tar{suffix}: {error}"));
    let mut archive = tar::Archive::new(tar.take(LIMIT));
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if !matches!(&*entry.path_bytes(), b"./control" | b"control") {
            continue;
        }
        let mut text = String::new();
        entry.read_to_string(&mut text).map_err(broken)?;
        let control: Paragraph = text.parse().map_err(|error: deb822_fast::Error| {
            malformed(&format!("its control file: {error}"))
        })?;
        for field in ["Package", "Version", "Architecture"] {
            if control.get(field).is_none() {
                return Err(malformed(&format!("its control file has no {field}")));
            }
        }
        return Ok(control);
    }
    Err(malformed("there is no control file in it"))
}
