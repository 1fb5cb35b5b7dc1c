//! Documents that programs read as YAML, written from types: whatever a value holds, it is quoted where it must be.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::TemplateError;

/// One document.
pub(crate) fn document(
    name: &'static str,
    value: &impl Serialize,
) -> Result<String, TemplateError> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| TemplateError::new(name, error))
}

/// One document with settings of somebody else laid over it: maps are merged, null takes away,
/// anything else is replaced.
pub(crate) fn document_with(
    name: &'static str,
    value: &impl Serialize,
    settings: &Map<String, Value>,
) -> Result<String, TemplateError> {
    let mut base = serde_json::to_value(value).map_err(|error| TemplateError::new(name, error))?;
    if let Value::Object(base) = &mut base {
        lay_over(base, settings);
    }
    document(name, &base)
}

fn lay_over(base: &mut Map<String, Value>, settings: &Map<String, Value>) {
    for (key, value) in settings {
        match (base.get_mut(key), value) {
            (_, Value::Null) => {
                base.remove(key);
            }
            (Some(Value::Object(below)), Value::Object(settings)) => lay_over(below, settings),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_win_and_maps_are_merged() {
        let base =
            serde_json::json!({"a": {"keep": 1, "replace": false}, "list": [1, 2], "gone": 1});
        let settings =
            serde_json::json!({"a": {"replace": true}, "list": [], "text": "yes", "gone": null});
        let Value::Object(settings) = settings else {
            unreachable!()
        };
        let text = document_with("x", &base, &settings).unwrap();
        insta::assert_snapshot!(text, @r#"
        a:
          keep: 1
          replace: true
        list: []
        text: "yes"
        "#);
    }
}
