//! The alerts of etcd: rules that Prometheus takes, in both forms, each of them in the docs.

use std::process::Command;

use serde_json::Value;
use templates::{EtcdAlerts, Template};

fn parsed(form: EtcdAlerts) -> Value {
    serde_saphyr::from_str(&form.render().unwrap()).unwrap()
}

#[test]
fn both_forms_hold_the_same_rules() {
    let rules = parsed(EtcdAlerts::Rules);
    let object = parsed(EtcdAlerts::Operator);
    assert_eq!(object["kind"], "PrometheusRule");
    assert_eq!(object["spec"], rules);
}

#[test]
fn each_alert_says_how_bad_it_is_and_stands_in_the_docs() {
    let docs = include_str!("../../docs/etcd.md");
    let rules = parsed(EtcdAlerts::Rules);
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() >= 13);
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        assert!(docs.contains(&format!("| `{name}`")), "{name}");
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["warning", "critical"].contains(&severity), "{name}");
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].is_string(), "{name}");
        }
    }
}

/// Prometheus' own tool understands each expression, where this machine has it.
#[test]
fn prometheus_takes_the_rules() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yaml");
    std::fs::write(&file, EtcdAlerts::Rules.render().unwrap()).unwrap();
    let judge = Command::new("promtool")
        .args(["check", "rules"])
        .arg(&file)
        .output();
    let Ok(verdict) = judge else { return };
    let said = String::from_utf8_lossy(&verdict.stderr).into_owned();
    assert!(verdict.status.success(), "{said}");
}
