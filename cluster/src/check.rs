//! The untyped tree against the schema of the types: every mistake at once, and what is left as typed data.

mod mapping;
mod scalar;

use serde_json::Value as Json;

use crate::KeyPath;
use crate::places::{Place, Places};
use crate::schema::{self, type_of};
use crate::tree::{Node, Span, Value};

/// What became of a tree.
pub(crate) struct Checked {
    /// What the types can take. Refused values are left out, or stand as empty ones where they are needed.
    pub value: Option<Json>,
    pub places: Places,
    pub mistakes: Vec<Mistake>,
    /// Where secrets stand.
    pub secrets: Vec<Span>,
}

/// A value or key that the schema refuses.
pub(crate) struct Mistake {
    pub span: Span,
    pub path: KeyPath,
    pub message: String,
    pub hint: Option<String>,
}

/// What of a file could be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// The rest is hidden behind a mistake of syntax: what is missing may be there.
    Beginning,
}

pub(crate) fn check(root: &Node, extent: Extent) -> Checked {
    let schema = schema::bare();
    let mut checker = Checker {
        schema: &schema,
        extent,
        places: Places::default(),
        mistakes: Vec::new(),
        secrets: Vec::new(),
        hosts_named: 0,
    };
    let at = At {
        typed: KeyPath::default(),
        shown: KeyPath::default(),
    };
    let value = checker.value(root, &schema, &at);
    let Checker {
        places,
        mistakes,
        secrets,
        ..
    } = checker;
    Checked {
        value,
        places,
        mistakes,
        secrets,
    }
}

/// A path in the typed config, and the same as it was written.
#[derive(Clone)]
struct At {
    typed: KeyPath,
    shown: KeyPath,
}

impl At {
    fn key(&self, key: &str) -> Self {
        Self {
            typed: self.typed.key(key),
            shown: self.shown.key(key),
        }
    }
}

struct Checker<'s> {
    schema: &'s Json,
    extent: Extent,
    places: Places,
    mistakes: Vec<Mistake>,
    secrets: Vec<Span>,
    /// How many hosts all patterns up to here stand for.
    hosts_named: usize,
}

impl<'s> Checker<'s> {
    /// The value as the schema's type takes it; none where it was refused.
    fn value(&mut self, node: &Node, schema: &'s Json, at: &At) -> Option<Json> {
        let schema = self.resolve(schema);
        if schema.get("writeOnly") == Some(&Json::Bool(true)) && node.text().is_some() {
            self.secrets.push(node.span);
        }
        if let Some(branches) = schema.get("anyOf").and_then(Json::as_array) {
            return self.any_of(node, branches, at);
        }
        if let Some(choices) = scalar::Choices::of(schema) {
            return self.choice(node, &choices, at);
        }
        match (type_of(schema), &node.value) {
            (None, _) => Some(self.untyped(node, at)),
            (Some("object"), Value::Map(entries)) => Some(self.mapping(node, entries, schema, at)),
            (Some("array"), Value::List(items)) => self.list(node, items, schema, at),
            (Some("string"), Value::Scalar { text, .. }) => self.string(node, text, schema, at),
            (Some("integer"), Value::Scalar { text, plain }) => {
                self.integer(node, text, *plain, schema, at)
            }
            (Some("boolean"), Value::Scalar { text, plain }) => {
                self.boolean(node, text, *plain, at)
            }
            (Some(kind), _) => {
                let hint = (kind == "array").then(|| "start each item with '- '".to_owned());
                self.refuse(
                    node,
                    at,
                    format!("expected {}, found {}", named(kind), node.kind()),
                    hint,
                )
            }
        }
    }

    fn list(&mut self, node: &Node, items: &[Node], schema: &'s Json, at: &At) -> Option<Json> {
        let mut out = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let here = At {
                typed: at.typed.index(out.len()),
                shown: at.shown.index(index),
            };
            let place = Place {
                key: item.span,
                value: item.span,
                shown: here.shown.clone(),
                filled: filled(item),
            };
            self.places.put(&here.typed, place);
            let value = if item.is_null() {
                self.refuse(item, &here, "an empty item".to_owned(), None)
            } else {
                match schema.get("items") {
                    Some(schema) => self.value(item, schema, &here),
                    None => Some(self.untyped(item, &here)),
                }
            };
            match value {
                Some(value) => out.push(value),
                None => self.places.cut(&at.typed, &here.typed),
            }
        }
        let least = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        if (items.len() as u64) < least {
            return self.refuse(node, at, "the list is empty".to_owned(), None);
        }
        Some(Json::Array(out))
    }

    /// The one branch that the value can be meant for judges it.
    fn any_of(&mut self, node: &Node, branches: &'s [Json], at: &At) -> Option<Json> {
        let branches: Vec<&'s Json> = branches.iter().map(|branch| self.resolve(branch)).collect();
        let fitting: Vec<&'s Json> = branches
            .iter()
            .copied()
            .filter(|branch| fits(node, branch))
            .collect();
        match fitting.as_slice() {
            [] => {
                let mut kinds: Vec<_> = branches
                    .iter()
                    .filter_map(|branch| type_of(branch))
                    .map(named)
                    .collect();
                kinds.retain(|kind| *kind != "nothing");
                kinds.dedup();
                let message = format!("expected {}, found {}", kinds.join(" or "), node.kind());
                self.refuse(node, at, message, None)
            }
            [one] => self.value(node, one, at),
            [first, ..] => {
                let likely = fitting
                    .iter()
                    .find(|branch| mapping::shares_key(node, branch));
                self.value(node, likely.unwrap_or(first), at)
            }
        }
    }

    fn resolve(&self, schema: &'s Json) -> &'s Json {
        schema::resolve(self.schema, schema)
    }

    fn refuse(
        &mut self,
        node: &Node,
        at: &At,
        message: String,
        hint: Option<String>,
    ) -> Option<Json> {
        self.places.mark_broken(&at.typed);
        self.tell(node.span, at, message, hint);
        None
    }

    fn tell(&mut self, span: Span, at: &At, message: String, hint: Option<String>) {
        self.mistakes.push(Mistake {
            span,
            path: at.shown.clone(),
            message,
            hint,
        });
    }
}

fn fits(node: &Node, schema: &Json) -> bool {
    if scalar::Choices::of(schema).is_some() || schema.get("anyOf").is_some() {
        return true;
    }
    match type_of(schema) {
        None => true,
        Some("object") => matches!(node.value, Value::Map(_)),
        Some("array") => matches!(node.value, Value::List(_)),
        Some("null") => node.is_null(),
        Some(_) => matches!(node.value, Value::Scalar { .. }),
    }
}

fn named(kind: &str) -> &'static str {
    match kind {
        "object" => "a mapping",
        "array" => "a list",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "null" => "nothing",
        _ => "a text",
    }
}

fn filled(node: &Node) -> bool {
    match &node.value {
        Value::Scalar { text, .. } => !text.trim().is_empty() && !node.is_null(),
        Value::List(items) => !items.is_empty(),
        Value::Map(entries) => !entries.is_empty(),
    }
}
