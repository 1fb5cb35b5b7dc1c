//! `carry.json`: what a file carries of the contents that its `bundle.json` names, where that is not all of them. A whole
//! bundle has none. Nothing reads parts so far; but whoever is given one must be told what it is.

use serde::Deserialize;

use crate::Sha256;

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Carriage {
    Delta { base: Vec<Sha256> },
    Segment { segment: Segment },
}

#[derive(Deserialize)]
struct Segment {
    n: u32,
    of: u32,
}

/// What these bytes of `carry.json` say that the file is.
pub(super) fn described(bytes: &[u8]) -> String {
    match serde_json::from_slice(bytes) {
        Ok(Carriage::Delta { base }) => match base.as_slice() {
            [] => "a delta against nothing".to_owned(),
            [base] => format!("a delta against bundle {}", base.oci()),
            [base, more @ ..] => {
                format!(
                    "a delta against bundle {} and {} more",
                    base.oci(),
                    more.len()
                )
            }
        },
        Ok(Carriage::Segment {
            segment: Segment { n, of },
        }) => format!("segment {n} of {of} of a bundle"),
        Err(_) => "a part of a bundle, of a kind not known here".to_owned(),
    }
}
