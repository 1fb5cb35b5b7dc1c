use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, ensure};
use camino::Utf8PathBuf;

use super::pack::Pack;
use super::{kubexm, shell};
use crate::contest::Contest;
use crate::data::Data;
use crate::emptied;
use crate::measure::measure;

/// One file becomes a tree again; kubexm compares every byte on the way.
pub struct Unpack<'a> {
    data: &'a Data,
    packed: [Utf8PathBuf; 2],
    /// For sha256sum.
    sums: Utf8PathBuf,
    to: Utf8PathBuf,
}

impl<'a> Unpack<'a> {
    pub fn new(data: &'a Data) -> Result<Self> {
        let mut pack = Pack::new(data)?;
        for who in 0..pack.outputs().len() {
            measure(&pack.begin(who)?, &data.work.join("log"))?;
        }
        let sums = data.work.join("sums");
        let mut text = String::new();
        for file in &data.contents.files {
            writeln!(text, "{}  {}", file.sha256, file.path)?;
        }
        fs::write(&sums, text)?;
        Ok(Self {
            data,
            packed: pack.outputs().map(Clone::clone),
            sums,
            to: data.work.join("unpacked"),
        })
    }
}

impl Contest for Unpack<'_> {
    fn title(&self) -> String {
        format!(
            "verify and unpack {} MB",
            self.data.contents.content_size() / crate::MB
        )
    }

    fn contestants(&self) -> Vec<String> {
        [
            "kubexm",
            "tar --zstd -xf, nothing verified",
            "tar --zstd -xf, then sha256sum -c",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn begin(&mut self, who: usize) -> Result<Vec<String>> {
        emptied(&self.to)?;
        let [bundle, archive] = &self.packed;
        let (archive, to, sums) = (archive.as_str(), self.to.as_str(), self.sums.as_str());
        Ok(match who {
            0 => kubexm(&["unpack", bundle.as_str(), to])?,
            1 => shell(r#"tar --zstd -xf "$1" -C "$2""#, &[archive, to]),
            _ => {
                let script = r#"tar --zstd -xf "$1" -C "$2"; cd "$2"; sha256sum --quiet -c "$3""#;
                shell(script, &[archive, to, sums])
            }
        })
    }

    fn end(&mut self, _: usize) -> Result<Option<u64>> {
        for file in &self.data.contents.files {
            let path = self.to.join(&file.path);
            let size = fs::metadata(&path).with_context(|| path.to_string())?.len();
            ensure!(size == file.size, "{path} has {size} bytes");
        }
        Ok(None)
    }
}
