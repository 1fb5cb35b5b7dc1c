use serde_json::Value;

use crate::schema::{branches, resolve, something, type_of, words};

/// A form of text: what one is called, and several.
type Form = (&'static str, &'static str);

/// The forms that are more than a text, by their format.
const FORMS: &[(&str, Form)] = &[
    ("absolute-path", ("path", "paths")),
    ("cidr-block", ("network", "networks")),
    ("cidr-pair", ("network pair", "network pairs")),
    ("data-directory", ("data directory", "data directories")),
    ("dns-label", ("DNS label", "DNS labels")),
    ("dns-name", ("DNS name", "DNS names")),
    ("host-pattern", HOSTS),
    ("http-url", ("URL", "URLs")),
    ("image", ("image", "images")),
    ("ip-or-name", ("IP or name", "IPs or names")),
    ("ip-pair", ("address pair", "address pairs")),
    ("ip-port", ("IP", "IPs")),
    ("node-name", ("DNS name", "DNS names")),
    ("os", ("system", "systems")),
    ("registry-domain", ("domain", "domains")),
    ("tag", ("version", "versions")),
    ("version", ("version", "versions")),
    ("zone", ("domain", "domains")),
];

/// A list of them has a name of its own.
const HOSTS: Form = ("hosts", "hosts");

/// What people call the type of a value.
pub(super) fn kind(root: &Value, schema: &Value) -> String {
    let held = resolve(root, something(schema));
    if let Some(branches) = held.get("anyOf").and_then(Value::as_array)
        && !is_secret(held)
    {
        let kinds: Vec<&str> = branches.iter().map(|branch| form(root, branch).0).collect();
        return kinds.join(" or ");
    }
    let several = |schema| form(root, schema).1;
    match (held.get("items"), held.get("additionalProperties")) {
        (Some(items), _) if form(root, items) == HOSTS => HOSTS.1.to_owned(),
        (Some(items), _) => format!("list of {}", several(items)),
        (None, Some(values @ Value::Object(_))) => format!("mapping of {}", several(values)),
        _ => form(root, held).0.to_owned(),
    }
}

fn form(root: &Value, schema: &Value) -> Form {
    let held = resolve(root, something(schema));
    if is_secret(held) {
        return ("secret", "secrets");
    }
    if branches(held)
        .iter()
        .any(|branch| words(branch).next().is_some())
    {
        return ("choice", "choices");
    }
    match type_of(held) {
        Some("boolean") => ("boolean", "booleans"),
        Some("integer") => ("number", "numbers"),
        Some("array") => ("list", "lists"),
        Some("string") => {
            let format = held.get("format").and_then(Value::as_str);
            let known = FORMS.iter().find(|(name, _)| Some(*name) == format);
            known.map_or(("text", "texts"), |(_, form)| *form)
        }
        _ => ("mapping", "mappings"),
    }
}

fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
}
