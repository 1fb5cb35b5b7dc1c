use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::{At, Checker, Extent, filled, scalar};
use crate::formats;
use crate::places::Place;
use crate::schema::{aliases, type_of};
use crate::source::telltale;
use crate::tree::{Entry, Node, Value};

impl<'s> Checker<'s> {
    pub(super) fn mapping(
        &mut self,
        node: &Node,
        entries: &[Entry],
        schema: &'s Json,
        at: &At,
    ) -> Json {
        let names = Names::of(schema);
        let mut out = Map::new();
        let mut first: BTreeMap<&str, &Entry> = BTreeMap::new();
        for entry in entries {
            let name = names.canonical.get(entry.key.as_str()).copied();
            if let Some(earlier) = first.get(name.unwrap_or(&entry.key)) {
                self.duplicate(entry, earlier, at);
                continue;
            }
            first.insert(name.unwrap_or(&entry.key), entry);
            let here = at.key(name.unwrap_or(&entry.key));
            let Some(value_schema) = name.and_then(|name| names.property(name)).or(names.other)
            else {
                self.unknown(entry, &names, at);
                continue;
            };
            let place = Place {
                key: entry.key_span,
                value: if entry.value.text().is_some() {
                    entry.value.span
                } else {
                    entry.key_span
                },
                shown: here.shown.clone(),
                filled: filled(&entry.value),
            };
            self.places.put(&here.typed, place);
            if name.is_none() {
                self.key_form(entry, schema, &here);
            }
            // A key without a value is as good as none.
            if entry.value.is_null() {
                continue;
            }
            if let Some(value) = self.value(&entry.value, value_schema, &here) {
                out.insert(name.unwrap_or(&entry.key).to_owned(), value);
            }
        }
        self.fill_required(node, schema, &first, &mut out, at);
        Json::Object(out)
    }

    /// Tells what is missing, and puts something empty there so that all else can still be checked.
    fn fill_required(
        &mut self,
        node: &Node,
        schema: &'s Json,
        written: &BTreeMap<&str, &Entry>,
        out: &mut Map<String, Json>,
        at: &At,
    ) {
        for name in schema
            .get("required")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
        {
            if out.contains_key(name) {
                continue;
            }
            let here = at.key(name);
            let refused = written
                .get(name)
                .is_some_and(|entry| !entry.value.is_null());
            if !refused && self.extent == Extent::Whole {
                let span = written.get(name).map_or_else(
                    || {
                        self.places
                            .get(&at.typed)
                            .map_or(node.span, |place| place.key)
                    },
                    |entry| entry.key_span,
                );
                let hint = self.what_is_missing(name, schema);
                self.tell(span, &here, format!("the key '{name}' is missing"), hint);
            }
            self.places.mark_broken(&here.typed);
            let empty = schema
                .pointer(&format!("/properties/{name}"))
                .map(|schema| self.empty(schema));
            out.extend(empty.map(|empty| (name.to_owned(), empty)));
        }
    }

    fn what_is_missing(&self, name: &str, schema: &'s Json) -> Option<String> {
        let property = schema.get("properties")?.get(name)?;
        if let Some(only) =
            scalar::Choices::of(self.resolve(property)).and_then(|choices| choices.only())
        {
            return Some(format!("add '{name}: {only}'"));
        }
        let about = property
            .get("description")
            .or_else(|| self.resolve(property).get("description"));
        let about = about?.as_str()?;
        let sentence = about.split_inclusive(". ").next().unwrap_or(about);
        Some(format!("{name}: {}", sentence.trim_end()))
    }

    /// The emptiest value that the type takes.
    fn empty(&self, schema: &'s Json) -> Json {
        let schema = self.resolve(schema);
        if let Some(first) = scalar::Choices::of(schema).and_then(|choices| choices.first()) {
            return Json::String(first);
        }
        match type_of(schema) {
            Some("array") => Json::Array(Vec::new()),
            Some("object") => {
                let mut out = Map::new();
                for name in schema
                    .get("required")
                    .and_then(Json::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Json::as_str)
                {
                    let empty = schema
                        .pointer(&format!("/properties/{name}"))
                        .map(|schema| self.empty(schema));
                    out.extend(empty.map(|empty| (name.to_owned(), empty)));
                }
                Json::Object(out)
            }
            Some("integer") => Json::from(0),
            Some("boolean") => Json::Bool(false),
            _ => Json::String(String::new()),
        }
    }

    pub(super) fn duplicate(&mut self, entry: &Entry, earlier: &Entry, at: &At) {
        let message = if entry.key == earlier.key {
            format!("the key '{}' stands here twice", entry.key)
        } else {
            format!("'{}' and '{}' are the same key", entry.key, earlier.key)
        };
        let hint = format!("the first is on line {}; remove one", earlier.key_span.line);
        if telltale(&entry.key) {
            self.hide_all(&entry.value);
        }
        self.tell(entry.key_span, &at.key(&entry.key), message, Some(hint));
    }

    fn unknown(&mut self, entry: &Entry, names: &Names<'_>, at: &At) {
        // Without a space after its colon, `password:x` is one word; what follows the colon is not for showing.
        let (key, run_on) = match entry.key.split_once(':') {
            Some((key, _)) => (key, true),
            None => (entry.key.as_str(), false),
        };
        let near = nearest(key, names.canonical.keys().copied());
        // A secret under a misspelt key is still a secret.
        if telltale(near.unwrap_or_default()) || telltale(key) {
            self.hide_all(&entry.value);
        }
        let hint = match near {
            _ if run_on => format!("put a space after the colon: '{key}: '"),
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("the keys here are {}", names.list()),
        };
        let place = if at.shown.is_root() {
            String::new()
        } else {
            format!(" in {}", at.shown.without_indexes())
        };
        let here = at.key(key);
        self.places.mark_broken(&here.typed);
        self.tell(
            entry.key_span,
            &here,
            format!("unknown key '{key}'{place}"),
            Some(hint),
        );
    }

    fn key_form(&mut self, entry: &Entry, schema: &Json, at: &At) {
        let Some(format) = schema
            .pointer("/propertyNames/format")
            .and_then(Json::as_str)
        else {
            return;
        };
        if let (_, Err(wrong)) = formats::check(format, &entry.key) {
            self.tell(entry.key_span, at, wrong.message, wrong.hint);
        }
    }

    fn hide_all(&mut self, node: &Node) {
        match &node.value {
            Value::Scalar { .. } => self.secrets.push(node.span),
            Value::List(items) => items.iter().for_each(|item| self.hide_all(item)),
            Value::Map(entries) => entries.iter().for_each(|entry| self.hide_all(&entry.value)),
        }
    }
}

/// The keys that a mapping may have.
struct Names<'s> {
    /// Each spelling with the key it stands for.
    canonical: BTreeMap<&'s str, &'s str>,
    properties: Option<&'s Map<String, Json>>,
    /// What other keys hold, if there may be any.
    other: Option<&'s Json>,
}

impl<'s> Names<'s> {
    fn of(schema: &'s Json) -> Self {
        let properties = schema.get("properties").and_then(Json::as_object);
        let mut canonical = BTreeMap::new();
        for (name, property) in properties.into_iter().flatten() {
            canonical.insert(name.as_str(), name.as_str());
            canonical.extend(aliases(property).map(|alias| (alias, name.as_str())));
        }
        let closed = schema.get("additionalProperties") == Some(&Json::Bool(false));
        let other = schema
            .get("additionalProperties")
            .unwrap_or(&Json::Bool(true));
        Self {
            canonical,
            properties,
            other: (!closed).then_some(other),
        }
    }

    fn property(&self, name: &str) -> Option<&'s Json> {
        self.properties?.get(name)
    }

    fn list(&self) -> String {
        let names: Vec<&str> = self
            .properties
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect();
        names.join(", ")
    }
}

/// What was probably meant by a word that is not among the known ones.
pub(super) fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let word = word.to_lowercase();
    known
        .map(|known| {
            (
                strsim::damerau_levenshtein(&word, &known.to_lowercase()),
                known,
            )
        })
        .filter(|(distance, known)| *distance <= known.len().max(word.len()) / 3)
        .min_by_key(|(distance, known)| (*distance, Reverse(known.len())))
        .map(|(_, known)| known)
}

/// Whether the mapping has a key that the schema knows.
pub(super) fn shares_key(node: &Node, schema: &Json) -> bool {
    let Value::Map(entries) = &node.value else {
        return false;
    };
    let known: BTreeSet<&str> = schema
        .get("properties")
        .and_then(Json::as_object)
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
        .collect();
    entries
        .iter()
        .any(|entry| known.contains(entry.key.as_str()))
}
