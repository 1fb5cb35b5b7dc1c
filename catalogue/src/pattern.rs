use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// A text with placeholders in braces. An unknown placeholder does not parse.
#[derive(Clone, Debug)]
pub(crate) struct Pattern<P>(Vec<Piece<P>>);

#[derive(Clone, Debug)]
enum Piece<P> {
    Text(String),
    Placeholder(P),
}

impl<P> Pattern<P> {
    pub(crate) fn fill<'v>(&self, value: impl Fn(&P) -> &'v str) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text,
                Piece::Placeholder(placeholder) => value(placeholder),
            })
            .collect()
    }

    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &P> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Placeholder(placeholder) => Some(placeholder),
        })
    }
}

impl<P: FromStr<Err = String>> FromStr for Pattern<P> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| format!("unclosed brace in '{text}'"))?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Placeholder(name.parse()?));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }
}

impl<'de, P: FromStr<Err = String>> Deserialize<'de> for Pattern<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<P>(PhantomData<P>);

        impl<P: FromStr<Err = String>> serde::de::Visitor<'_> for Visitor<P> {
            type Value = Pattern<P>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text with placeholders in braces")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Pattern<P>, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Visitor(PhantomData))
    }
}
