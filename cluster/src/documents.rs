use serde_json::Value;

use crate::yaml;

/// A text that is not a row of YAML documents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not YAML: {0}")]
pub struct NotDocuments(String);

/// The documents of a Kubernetes manifest, as data; empty ones are left out.
pub fn documents(text: &str) -> Result<Vec<Value>, NotDocuments> {
    let mut documents = yaml::documents(text).map_err(NotDocuments)?;
    documents.retain(|document| !document.is_null());
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_data_and_empty_ones_nothing() {
        let text = "# a note\n---\nkind: A\ndata: {x: \"1\", y: |-\n  {\n  }\n}\n";
        assert!(documents(text).is_err(), "a block in a flow");
        let text =
            "# a note\n---\n---\nkind: A\ndata:\n  x: \"1\"\n  y: |-\n    {}\n---\nkind: B\n---\n";
        assert_eq!(
            documents(text).unwrap(),
            [
                json!({"kind": "A", "data": {"x": "1", "y": "{}"}}),
                json!({"kind": "B"})
            ]
        );
        assert_eq!(documents("").unwrap(), Vec::<Value>::new());
    }

    #[test]
    fn what_is_not_yaml_is_told_with_its_place() {
        let error = documents("kind: A\n---\na: b: c\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 3"), "{error}");
    }
}
