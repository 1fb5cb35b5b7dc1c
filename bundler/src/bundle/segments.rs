//! A bundle in several files: packed whole under a name that counts for nothing, and cut.

use std::fs;

use artifact::{Bundle, PackError, Packed, Packing, Segment, split};
use camino::{Utf8Path, Utf8PathBuf};

const ENDING: &str = ".tar.zst";

/// Packs, and cuts what is too large for one file.
pub(super) fn pack(packing: &Packing<'_>, size: u64) -> Result<(Packed, Vec<Segment>), PackError> {
    let (out, cancel) = (packing.output, packing.cancel);
    let whole = Whole(hidden(out));
    let packed = artifact::pack(&Packing {
        output: &whole.0,
        ..*packing
    })?;
    if packed.size <= size {
        fs::rename(&whole.0, out).map_err(|source| PackError::Write {
            path: out.to_owned(),
            source,
        })?;
        return Ok((packed, Vec::new()));
    }
    let bundle = Bundle::open(&whole.0)?;
    let segments = split(&bundle, size, |n, of| named(out, n, of), cancel)?;
    let size = segments.iter().map(|segment| segment.size).sum();
    Ok((Packed { size, ..packed }, segments))
}

/// What is cut, and goes then.
struct Whole(Utf8PathBuf);

impl Drop for Whole {
    fn drop(&mut self) {
        // Its name counts for nothing, and the next run replaces it.
        let _ = fs::remove_file(&self.0);
    }
}

fn hidden(out: &Utf8Path) -> Utf8PathBuf {
    out.with_file_name(format!(".{}.whole", out.file_name().unwrap_or_default()))
}

/// `site.2-of-3.tar.zst`
fn named(out: &Utf8Path, n: u32, of: u32) -> Utf8PathBuf {
    let name = out.file_name().unwrap_or_default();
    let (stem, ending) = match name.strip_suffix(ENDING) {
        Some(stem) => (stem, ENDING),
        None => (name, ""),
    };
    out.with_file_name(format!("{stem}.{n}-of-{of}{ending}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_named_by_their_number() {
        let name = |out: &str| named(out.into(), 2, 3);
        assert_eq!(name("/media/site.tar.zst"), "/media/site.2-of-3.tar.zst");
        assert_eq!(name("site-v1.36"), "site-v1.36.2-of-3");
    }
}
