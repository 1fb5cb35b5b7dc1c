//! Settings of the config, laid over what kubexm writes.

/// Lays settings of the config over a TOML text: tables are merged, anything else is replaced.
pub(super) fn merged(text: &str, settings: &serde_json::Map<String, serde_json::Value>) -> String {
    let mut table: toml::Table = text.parse().expect("the template is TOML");
    for (key, value) in settings {
        lay_over(&mut table, key, value);
    }
    format!("# Written by kubexm, with the settings of the config.\n{table}")
}

fn lay_over(table: &mut toml::Table, key: &str, value: &serde_json::Value) {
    match (table.get_mut(key), value) {
        (Some(toml::Value::Table(below)), serde_json::Value::Object(settings)) => {
            for (key, value) in settings {
                lay_over(below, key, value);
            }
        }
        _ => {
            if let Ok(value) = toml::Value::try_from(value) {
                table.insert(key.to_owned(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_laid_over_the_template() {
        let text = "version = 3\n[plugins.\"a.b\".runc]\nkeep = 1\nreplace = false\n";
        let settings = serde_json::json!({
            "plugins": { "a.b": { "runc": { "replace": true }, "restrict_oom_score_adj": true } },
            "oom_score": 0,
        });
        let serde_json::Value::Object(settings) = settings else {
            unreachable!()
        };
        let table: toml::Table = merged(text, &settings).parse().unwrap();
        let wanted: toml::Table = "version = 3\noom_score = 0\n[plugins.\"a.b\"]\n\
             restrict_oom_score_adj = true\n[plugins.\"a.b\".runc]\nkeep = 1\nreplace = true\n"
            .parse()
            .unwrap();
        assert_eq!(table, wanted);
    }
}
