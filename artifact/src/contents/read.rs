//! `bundle.json` is read in one way, out of a bundle and out of a tree alike. Packing reads what it is about to write, so
//! that nothing is packed that nobody could open.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::check::check;
use crate::bundle::ListingError;
use crate::text::{too_many_commas, unprintable};
use crate::{Contents, FORMAT};

/// What `requires` may name: what a reader must know besides this format. Nothing so far.
const KNOWN_REQUIREMENTS: [&str; 0] = [];

/// The first frame holds the contents and its signature, and no more than this.
pub(crate) const HEAD_MAX: u64 = 16 << 20;

/// `bundle.json` is not what it should be, or is for a newer kubexm.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    #[error("bundle.json is larger than any that is read: it has more than {0}")]
    TooLarge(&'static str),
    #[error("bundle.json has format {0}; this kubexm reads up to {FORMAT}")]
    Newer(u32),
    #[error("bundle.json has format 0, and the first is 1")]
    NoFormat,
    #[error("bundle.json requires {}, which this kubexm does not know", quoted(.0))]
    Requires(Vec<String>),
    #[error("bundle.json cannot be understood: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Listing(#[from] ListingError),
    #[error("bundle.json: {what} {why}")]
    Wrong { what: String, why: &'static str },
}

fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    words.join(", ")
}

impl ContentsError {
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Newer(_) | Self::Requires(_) => {
                "it was made by a newer kubexm: use the one that came with it"
            }
            Self::TooLarge(_)
            | Self::NoFormat
            | Self::Json(_)
            | Self::Listing(_)
            | Self::Wrong { .. } => "a bundle is what `kubexm bundle` writes",
        }
    }
}

impl Contents {
    /// Reads and checks the bytes of `bundle.json`.
    ///
    /// Keys that are not known are passed over: a later kubexm may add some. What must not be passed over stands in
    /// `requires`.
    pub fn read(bytes: &[u8]) -> Result<Self, ContentsError> {
        /// All that can be relied on in a format not known.
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            #[serde(default)]
            requires: Vec<String>,
        }
        if bytes.len() as u64 > HEAD_MAX {
            return Err(ContentsError::TooLarge("16 MiB"));
        }
        if too_many_commas(bytes) {
            return Err(ContentsError::TooLarge("2^20 commas"));
        }
        let Head {
            format,
            mut requires,
        } = serde_json::from_slice(bytes)?;
        if format == 0 {
            return Err(ContentsError::NoFormat);
        }
        if format > FORMAT {
            return Err(ContentsError::Newer(format));
        }
        requires.retain(|word| !KNOWN_REQUIREMENTS.contains(&word.as_str()));
        if !requires.is_empty() {
            return Err(ContentsError::Requires(requires));
        }
        serde_json::from_slice::<Clean>(bytes)?;
        let contents: Self = serde_json::from_slice(bytes)?;
        check(&contents)?;
        Ok(contents)
    }
}

/// Any JSON of which no text, known or not, does anything to a terminal, and no object has a key twice.
pub(crate) struct Clean;

impl<'de> Deserialize<'de> for Clean {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl Clean {
    fn text<E: Error>(text: &str) -> Result<Self, E> {
        match text.chars().find(|c| unprintable(*c)) {
            None => Ok(Self),
            Some(c) => Err(E::custom(format_args!(
                "a text has the character U+{:04X}, which is not to be seen",
                u32::from(c)
            ))),
        }
    }
}

impl<'de> Visitor<'de> for Clean {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self, E> {
        Self::text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = object.next_key::<String>()? {
            Self::text::<A::Error>(&key)?;
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!(
                    "the key {key:?} is there twice"
                )));
            }
            keys.insert(key);
            object.next_value::<Self>()?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(more: &str) -> String {
        let contents = String::from_utf8(Contents::new("c", "0.1.0").to_bytes()).unwrap();
        let body = contents.trim_end().strip_suffix('}').unwrap();
        format!("{body}{more}}}")
    }

    fn refused(more: &str) -> String {
        Contents::read(text(more).as_bytes())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_a_later_kubexm_adds_is_passed_over_unless_it_is_required() {
        let read = Contents::read(text(r#", "later": {"a": [1, "b", null, 0.5]}"#).as_bytes());
        assert_eq!(read.unwrap(), Contents::new("c", "0.1.0"));
        let requiring = Contents {
            requires: vec!["parity".into(), "a\u{202e}b".into()],
            ..Contents::new("c", "0.1.0")
        };
        let error = Contents::read(&requiring.to_bytes()).unwrap_err();
        insta::assert_snapshot!(
            format!("{error}\n{}", error.hint()),
            @r#"
        bundle.json requires "parity", "a\u{202e}b", which this kubexm does not know
        it was made by a newer kubexm: use the one that came with it
        "#
        );
    }

    #[test]
    fn formats_begin_with_one_and_end_with_what_is_known() {
        let of = |format| {
            let contents = Contents {
                format,
                ..Contents::new("c", "0.1.0")
            };
            Contents::read(&contents.to_bytes())
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(format!("{}\n{}", of(0), of(FORMAT + 1)), @"
        bundle.json has format 0, and the first is 1
        bundle.json has format 2; this kubexm reads up to 1
        ");
    }

    #[test]
    fn no_text_does_anything_to_a_terminal() {
        for c in [
            "\\u001b", "\\n", "\\u0085", "\u{202e}", "\u{200b}", "\u{feff}",
        ] {
            for more in [
                format!(r#", "later": "a{c}b""#),
                format!(r#", "later": [{{"a{c}b": 1}}]"#),
            ] {
                let said = refused(&more);
                assert!(said.contains("a text has the character U+"), "{said}");
            }
        }
        assert!(Contents::read(text(r#", "later": "ä 漢 \ud83d\ude00""#).as_bytes()).is_ok());
    }

    #[test]
    fn no_key_is_there_twice() {
        assert!(
            refused(r#", "cluster": "other""#).contains("duplicate field `cluster`")
                || refused(r#", "cluster": "other""#).contains("\"cluster\" is there twice")
        );
        let said = refused(r#", "later": {"a": 1, "a": 2}"#);
        assert!(said.contains(r#"the key "a" is there twice"#), "{said}");
    }
}
