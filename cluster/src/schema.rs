//! The JSON schema, made from the types.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::Cluster;

/// Other spellings of a key or of a value, beside the schema of it.
pub(crate) const ALIASES: &str = "x-aliases";

/// The JSON schema (draft 2020-12) of a config, for editors and other tools.
#[must_use]
pub fn schema() -> Value {
    let mut schema = bare();
    expand_aliases(&mut schema);
    schema
}

/// The schema as the types give it, with aliases beside what they stand for.
pub(crate) fn bare() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Cluster>()
        .to_value()
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
        if let Some(property) = property.as_object_mut() {
            property.remove(ALIASES);
        }
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
    for choice in choices.iter_mut() {
        for alias in aliases(choice) {
            more.push(json!({ "type": "string", "const": alias }));
        }
        if let Some(choice) = choice.as_object_mut() {
            choice.remove(ALIASES);
        }
    }
    choices.extend(more);
}
