//! The JSON schema, made from the types.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::Cluster;

/// Other spellings of a key or of a value, beside the schema of it.
pub(crate) const ALIASES: &str = "x-aliases";
/// What a key or a value does in this version, where it is less than everything: see [`Acts`](crate::Acts).
pub(crate) const ACTS: &str = "x-acts";
/// What stands for a key that is not written, where it is no fixed value.
pub(crate) const DEFAULT: &str = "x-default";
/// What a number counts.
pub(crate) const UNIT: &str = "x-unit";

const OWN: [&str; 4] = [ALIASES, ACTS, DEFAULT, UNIT];

/// The JSON schema (draft 2020-12) of a config, for editors and other tools.
#[must_use]
pub fn schema() -> Value {
    let mut schema = bare();
    expand_aliases(&mut schema);
    remove_own(&mut schema);
    schema
}

/// The schema as the types give it, with attributes that only this crate knows.
pub(crate) fn bare() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Cluster>()
        .to_value();
    unwrap_lines(&mut schema);
    schema
}

/// What a schema refers to.
pub(crate) fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let pointer = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|at| at.strip_prefix('#'));
    pointer
        .and_then(|pointer| root.pointer(pointer))
        .unwrap_or(schema)
}

/// A schema without the choice between something and nothing.
pub(crate) fn something(schema: &Value) -> &Value {
    let branches = schema.get("anyOf").and_then(Value::as_array);
    match branches.map(Vec::as_slice) {
        Some([some, none]) if type_of(none) == Some("null") => some,
        _ => schema,
    }
}

/// Where the values of an enumeration are told, some alone and some together.
pub(crate) fn branches(schema: &Value) -> &[Value] {
    let branches = schema.get("oneOf").and_then(Value::as_array);
    branches.map_or(std::slice::from_ref(schema), Vec::as_slice)
}

/// The values that a branch of an enumeration stands for.
pub(crate) fn words(branch: &Value) -> impl Iterator<Item = &str> {
    let several = branch.get("enum").and_then(Value::as_array);
    let all = several.into_iter().flatten().chain(branch.get("const"));
    all.filter_map(Value::as_str)
}

/// The type that a schema allows, beside null.
pub(crate) fn type_of(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null"),
        _ => None,
    }
}

/// Doc comments have lines, descriptions have none.
fn unwrap_lines(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(unwrap_lines),
        Value::Object(object) => {
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            object.values_mut().for_each(unwrap_lines);
        }
        _ => {}
    }
}

fn remove_own(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(remove_own),
        Value::Object(object) => {
            object.retain(|key, _| !OWN.contains(&key.as_str()));
            object.values_mut().for_each(remove_own);
        }
        _ => {}
    }
}

/// The other spellings noted in a schema.
pub(crate) fn aliases(schema: &Value) -> impl Iterator<Item = &str> {
    schema
        .get(ALIASES)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Editors know no aliases: for them each is a key or value of its own.
fn expand_aliases(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(expand_aliases),
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                add_properties(properties);
            }
            if let Some(Value::Array(choices)) = object.get_mut("oneOf") {
                add_choices(choices);
            }
            object.values_mut().for_each(expand_aliases);
        }
        _ => {}
    }
}

fn add_properties(properties: &mut Map<String, Value>) {
    let mut more = Vec::new();
    for (name, property) in properties.iter_mut() {
        let names: Vec<String> = aliases(property).map(str::to_owned).collect();
        for alias in names {
            let mut property = property.clone();
            if let Some(property) = property.as_object_mut() {
                property.insert(
                    "description".to_owned(),
                    json!(format!("Another name of `{name}`.")),
                );
            }
            more.push((alias, property));
        }
    }
    properties.extend(more);
}

fn add_choices(choices: &mut Vec<Value>) {
    let mut more = Vec::new();
    for choice in choices.iter() {
        for alias in aliases(choice) {
            more.push(json!({ "type": "string", "const": alias }));
        }
    }
    choices.extend(more);
}
