//! The schema says what the types say, and says it about every key.

use serde_json::Value;

/// Every mapping of the schema, with a name for it.
fn objects(schema: &Value) -> Vec<(String, &Value)> {
    let defs = schema["$defs"].as_object().unwrap();
    let mut found: Vec<_> = defs.iter().map(|(name, def)| (name.clone(), def)).collect();
    found.push(("Cluster".to_owned(), schema));
    found.retain(|(_, def)| def["properties"].is_object());
    found
}

#[test]
fn every_key_is_described() {
    let schema = cluster::schema();
    let described = |property: &Value| {
        let target = property["$ref"]
            .as_str()
            .and_then(|at| schema.pointer(at.trim_start_matches('#')));
        property["description"].is_string()
            || target.is_some_and(|target| target["description"].is_string())
            || property["anyOf"]
                .as_array()
                .is_some_and(|any| any.iter().any(|one| one["$ref"].is_string()))
    };
    for (name, object) in objects(&schema) {
        for (key, property) in object["properties"].as_object().unwrap() {
            assert!(described(property), "{name}.{key}: {property}");
        }
    }
}

#[test]
fn the_schema_is_strict_and_knows_the_other_spellings() {
    let schema = cluster::schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    let open: Vec<_> = objects(&schema)
        .into_iter()
        .filter(|(_, object)| object["additionalProperties"] != false)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        open,
        ["KubeProxyConfiguration", "KubeProxyIpvs"],
        "they are kube-proxy's own format"
    );
    let defs = &schema["$defs"];
    assert!(defs["RoleGroups"]["properties"]["control-plane"].is_object());
    assert!(defs["ControlPlaneEndpoint"]["properties"]["address"].is_object());
    assert!(defs["Arch"].to_string().contains("aarch64"));
    assert!(!schema.to_string().contains("x-aliases"));
}
