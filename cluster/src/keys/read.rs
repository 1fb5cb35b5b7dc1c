use serde::Deserialize;
use serde_json::Value;

use super::kind::kind;
use super::{Below, Choice, Key, KeyDefault, Shape};
use crate::Acts;
use crate::schema::{ACTS, DEFAULT, UNIT, aliases, branches, resolve, something, type_of, words};

/// The whole file as one key.
pub(super) fn file(root: &Value) -> Key {
    Reader { root }.key("", root, KeyDefault::Required, Acts::Yes)
}

struct Reader<'s> {
    root: &'s Value,
}

impl<'s> Reader<'s> {
    /// Reads a property of a mapping. What it does not say of itself, its type says, or the key above.
    fn key(&self, name: &str, property: &'s Value, default: KeyDefault, above: Acts) -> Key {
        let held = self.held(property);
        let acts = acts(property).unwrap_or(above);
        let unit = text(property, UNIT).map_or_else(String::new, |unit| format!(", {unit}"));
        Key {
            name: name.to_owned(),
            aliases: aliases(property).map(str::to_owned).collect(),
            kind: kind(self.root, property) + &unit,
            default,
            acts,
            meaning: text(property, "description")
                .or_else(|| text(held, "description"))
                .unwrap_or_default()
                .to_owned(),
            choices: choices(held.get("items").map_or(held, |items| self.held(items))),
            below: self.below(property, acts),
        }
    }

    fn below(&self, property: &'s Value, acts: Acts) -> Below {
        let held = self.held(property);
        let (in_it, of): (&Value, fn(Shape) -> Below) =
            match (held.get("items"), held.get("additionalProperties")) {
                (Some(items), _) => (items, Below::Items),
                (None, Some(values @ Value::Object(_))) => (values, Below::Named),
                (None, Some(Value::Bool(false))) if property.get("anyOf").is_none() => {
                    (property, Below::Keys)
                }
                _ => (property, Below::Mapping),
            };
        self.shape(in_it, acts).map_or(Below::Nothing, of)
    }

    /// The keys of a mapping, those first that must be written.
    fn shape(&self, schema: &'s Value, acts: Acts) -> Option<Shape> {
        let held = self.mapping(self.held(schema));
        let properties = held.get("properties")?.as_object()?;
        let required = held.get("required").and_then(Value::as_array);
        let required = |name: &str| required.is_some_and(|all| all.iter().any(|key| key == name));
        let (mut keys, mut others) = (Vec::new(), Vec::new());
        for (name, property) in properties {
            if required(name) {
                keys.push(self.key(name, property, KeyDefault::Required, acts));
            } else {
                others.push(self.key(name, property, self.default(property), acts));
            }
        }
        keys.append(&mut others);
        let of = text(something(schema), "$ref").unwrap_or_default();
        Some(Shape {
            of: of.to_owned(),
            keys,
        })
    }

    fn default(&self, property: &'s Value) -> KeyDefault {
        if let Some(words) = text(property, DEFAULT) {
            return KeyDefault::Told(words.to_owned());
        }
        match property.get("default") {
            Some(Value::Object(_) | Value::Array(_) | Value::Null) => KeyDefault::None,
            Some(value) => KeyDefault::Value(value.clone()),
            // Left out where it is false.
            None if type_of(self.held(property)) == Some("boolean") => {
                KeyDefault::Value(false.into())
            }
            None => KeyDefault::None,
        }
    }

    /// Of what may be written in several ways, the way that has keys. A secret's are no keys of the config.
    fn mapping(&self, held: &'s Value) -> &'s Value {
        let branches = held.get("anyOf").and_then(Value::as_array);
        let secret = held.get("writeOnly") == Some(&Value::Bool(true));
        let ways = branches.filter(|_| !secret).into_iter().flatten();
        let mut ways = ways.map(|branch| self.held(branch));
        ways.find(|way| way.get("properties").is_some())
            .unwrap_or(held)
    }

    /// What a schema holds where it holds anything.
    fn held(&self, schema: &'s Value) -> &'s Value {
        resolve(self.root, something(schema))
    }
}

fn text<'s>(schema: &'s Value, attribute: &str) -> Option<&'s str> {
    schema.get(attribute).and_then(Value::as_str)
}

fn acts(schema: &Value) -> Option<Acts> {
    schema
        .get(ACTS)
        .and_then(|acts| Acts::deserialize(acts).ok())
}

fn choices(schema: &Value) -> Vec<Choice> {
    let of = |branch| {
        words(branch).map(move |name| Choice {
            name: name.to_owned(),
            aliases: aliases(branch).map(str::to_owned).collect(),
            acts: acts(branch).unwrap_or_default(),
            meaning: branch
                .get("const")
                .and(text(branch, "description"))
                .map(str::to_owned),
        })
    };
    branches(schema).iter().flat_map(of).collect()
}
