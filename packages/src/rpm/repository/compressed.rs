//! A compressed document of a repository, and how `repomd.xml` tells of it.

use std::fmt::Display;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{File, put};
use crate::rpm::checksum::Sha256;

pub(super) struct Compressed {
    kind: &'static str,
    open: Sha256,
    open_size: usize,
    pub(super) file: File,
}

impl Compressed {
    pub(super) fn new(kind: &'static str, path: &'static str, content: &str) -> Self {
        // No name and no time in its header, so that equal contents are equal files.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let written = encoder
            .write_all(content.as_bytes())
            .and_then(|()| encoder.finish());
        Self {
            kind,
            open: Sha256::of(content.as_bytes()),
            open_size: content.len(),
            file: File {
                path,
                bytes: written.expect("a vector takes all bytes"),
            },
        }
    }

    pub(super) fn describe(&self, out: &mut String, time: u64) {
        let kind = self.kind;
        let mut line =
            |indent: &str, text: &dyn Display| put(out, format_args!("{indent}{text}\n"));
        line("  ", &format_args!("<data type=\"{kind}\">"));
        for text in [
            format!(
                "<checksum type=\"sha256\">{}</checksum>",
                Sha256::of(&self.file.bytes)
            ),
            format!(
                "<open-checksum type=\"sha256\">{}</open-checksum>",
                self.open
            ),
            format!("<location href=\"{}\"/>", self.file.path),
            format!("<timestamp>{time}</timestamp>"),
            format!("<size>{}</size>", self.file.bytes.len()),
            format!("<open-size>{}</open-size>", self.open_size),
        ] {
            line("    ", &text);
        }
        line("  ", &"</data>");
    }
}
