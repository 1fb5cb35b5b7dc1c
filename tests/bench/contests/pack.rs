use std::fs;

use anyhow::Result;
use camino::Utf8PathBuf;

use super::{kubexm, shell};
use crate::contest::Contest;
use crate::data::Data;

/// A tree becomes one file; kubexm compares every byte with the manifest, and ends when the file is on the disk.
pub struct Pack<'a> {
    data: &'a Data,
    outputs: [Utf8PathBuf; 3],
}

impl<'a> Pack<'a> {
    pub fn new(data: &'a Data) -> Result<Self> {
        let dir = data.work.join("packed");
        fs::create_dir_all(&dir)?;
        Ok(Self {
            data,
            outputs: ["bundle.tar.zst", "peer.tar.zst", "synced.tar.zst"]
                .map(|name| dir.join(name)),
        })
    }

    /// What kubexm and its first peer make of the tree.
    pub fn outputs(&self) -> [&Utf8PathBuf; 2] {
        let [ours, peer, _] = &self.outputs;
        [ours, peer]
    }
}

impl Contest for Pack<'_> {
    fn title(&self) -> String {
        format!("pack {} MB", self.data.contents.content_size() / crate::MB)
    }

    fn contestants(&self) -> Vec<String> {
        [
            "kubexm",
            "tar | zstd -T0 -3",
            "tar | zstd -T0 -3, then sync",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn begin(&mut self, who: usize) -> Result<Vec<String>> {
        let (tree, output) = (self.data.tree.root().as_str(), self.outputs[who].as_str());
        if fs::exists(output)? {
            fs::remove_file(output)?;
        }
        if who == 0 {
            return kubexm(&["pack", tree, self.data.listing.as_str(), output]);
        }
        let sync = if who == 1 { "" } else { r#"; sync "$2""# };
        let script = format!(r#"tar -C "$1" -cf - . | zstd -q -T0 -3 -o "$2"{sync}"#);
        Ok(shell(&script, &[tree, output]))
    }

    fn end(&mut self, who: usize) -> Result<Option<u64>> {
        Ok(Some(fs::metadata(&self.outputs[who])?.len()))
    }
}
