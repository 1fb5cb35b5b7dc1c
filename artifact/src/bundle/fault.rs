//! What is wrong inside of a bundle, or missing beside it, as people read it.

use camino::Utf8PathBuf;

use crate::Sha256;

/// So many faults are told one by one.
const SHOWN_MAX: usize = 50;
/// So many files that are missing are named.
const LACKS_SHOWN: usize = 10;
/// So many letters of a name are shown.
const NAME_SHOWN: usize = 256;

/// One thing that is wrong inside a bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Fault {
    #[error("{} is damaged: the bytes stored for it changed after packing", shown(.member))]
    Damaged { member: String },
    #[error("{} has another content than bundle.json lists (SHA-256 differs)", shown(.member))]
    Content { member: String },
    #[error("{} is {kind}; only regular files may be in a bundle", shown(.member))]
    Kind { member: String, kind: String },
    #[error("{} leads out of the tree", shown(.member))]
    Escapes { member: String },
    #[error("{} is not listed in bundle.json", shown(.member))]
    Unlisted { member: String },
    #[error("{} is there twice", shown(.member))]
    Repeated { member: String },
    #[error("{} has {found} bytes, bundle.json lists {listed}", shown(.member))]
    Size {
        member: String,
        listed: u64,
        found: u64,
    },
    #[error("{} has a header that differs from bundle.json (mode, owner, time or order)", shown(.member))]
    Header { member: String },
    #[error("image {} cannot be used: {why}", shown(.reference))]
    Image { reference: String, why: String },
    #[error("{} is listed in bundle.json but missing", shown(.member))]
    Missing { member: String },
    #[error("{} does not become what bundle.json lists when its patch is applied", shown(.member))]
    Patch { member: String },
    #[error("the end of the archive is damaged")]
    End,
    #[error("frame {number} is not as the format says: {why}")]
    Frame { number: usize, why: &'static str },
    #[error("the archive is not laid out as bundle.json says")]
    Layout,
}

/// A file that a delta builds on and the receiver has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The file of the bundle that cannot be had without it.
    pub file: Utf8PathBuf,
    /// What is looked for: that file, or the one that it is made from.
    pub sha256: Sha256,
    pub size: u64,
}

pub(super) fn lacks(lacking: &[Lack]) -> String {
    let size = lacking
        .iter()
        .fold(0_u64, |sum, lack| sum.saturating_add(lack.size));
    let lines = lacking.iter().take(LACKS_SHOWN).map(|lack| {
        let digest = lack.sha256.oci();
        format!("\n  {digest} for {}", shown(lack.file.as_str()))
    });
    let more = match lacking.len().saturating_sub(LACKS_SHOWN) {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    format!(
        "{} missing, {size} bytes{}{more}",
        match lacking.len() {
            1 => "1 file is".to_owned(),
            many => format!("{many} files are"),
        },
        lines.collect::<String>()
    )
}

pub(super) fn several(faults: &[Fault]) -> String {
    if let [one] = faults {
        return one.to_string();
    }
    let mut lines: Vec<String> = faults
        .iter()
        .take(SHOWN_MAX)
        .map(Fault::to_string)
        .collect();
    if faults.len() > SHOWN_MAX {
        lines.push(format!("and {} more", faults.len() - SHOWN_MAX));
    }
    format!("{} faults:\n  {}", faults.len(), lines.join("\n  "))
}

/// A name from a bundle as messages show it: quoted, and its middle left out where nobody would read it.
pub(crate) fn shown(name: &str) -> String {
    let len = name.chars().count();
    if len <= NAME_SHOWN {
        return format!("{name:?}");
    }
    let start: String = name.chars().take(NAME_SHOWN / 2).collect();
    let end: String = name.chars().skip(len - NAME_SHOWN / 2).collect();
    format!("{start:?}...{end:?} ({} bytes)", name.len())
}
