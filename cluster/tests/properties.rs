//! What holds for every text, and for every config.

use cluster::{Cluster, Secret};
use proptest::prelude::*;
use secrecy::ExposeSecret;

const SAMPLE: &str = include_str!("../../examples/config.sample.yaml");

fn sample() -> Cluster {
    cluster::parse("config.yaml", SAMPLE).unwrap().cluster
}

/// Reads the text and writes its report: neither may panic.
fn read(text: &str) {
    if let Err(problems) = cluster::parse("any.yaml", text) {
        assert!(problems.errors().count() > 0);
        assert!(!problems.render().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        read(&text);
    }

    #[test]
    fn nothing_that_looks_like_a_config_makes_it_panic(text in r#"([ \n]{0,3}(spec|hosts|name|a|password|<<|etcd)?[:：]?[ \n]?[-\[\]{},&*!|>"'#]{0,2}){0,40}"#) {
        read(&text);
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_password_is_ever_in_what_is_written(secrets in prop::collection::vec("S3cr[a-zA-Z0-9:#\"' ]{4,20}", 9)) {
        let mut cluster = sample();
        let host = &mut cluster.spec.hosts[0];
        host.password = Some(Secret::plain(&secrets[0]));
        host.sudo_password = Some(Secret::plain(&secrets[1]));
        host.private_key = Some(Secret::plain(&secrets[2]));
        host.passphrase = Some(Secret::plain(&secrets[3]));
        let bastion: cluster::Bastion = serde_json::from_value(serde_json::json!({
            "address": "10.0.0.1", "password": secrets[4], "privateKey": secrets[5], "passphrase": secrets[6],
        })).unwrap();
        host.bastion = Some(bastion.clone());
        cluster.spec.bastion = Some(bastion);
        let auth = cluster.spec.registry.auths.values_mut().next().unwrap();
        auth.password = Some(Secret::plain(&secrets[7]));

        let listed: Vec<String> = cluster.secrets().iter().map(|secret| secret.expose_secret().to_owned()).collect();
        let written = cluster.to_yaml().unwrap();
        for secret in &secrets[..8] {
            prop_assert!(listed.contains(secret));
        }
        let serialised = serde_json::to_string(&cluster).unwrap();
        for text in [&written, &serialised, &format!("{cluster:?}")] {
            prop_assert!(!text.contains("S3cr"), "{text}");
        }
        let again = cluster::parse("config.yaml", &written).unwrap();
        prop_assert_eq!(again.cluster, cluster.written_out());
    }

    #[test]
    fn no_damage_to_a_config_makes_it_panic(at in 0..SAMPLE.len(), cut in 0..20usize, insert in "(\\PC|\n|\t){0,3}") {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        bytes.splice(at..(at + cut).min(SAMPLE.len()), insert.into_bytes());
        read(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn no_report_on_a_damaged_line_shows_its_password() {
    // Each damage leaves the word and the colon that tell a password.
    for (from, to) in [
        ("name: node1,", "name: node1"),
        ("{name: node1", "{nam: node1"),
        ("port: 8022", "port: [8022"),
        ("password: \"", "pasword: \""),
        ("password: \"", "password： \""),
        ("Qcloud@123\"}", "Qcloud@123}"),
        ("metadata:", "\tmetadata:"),
    ] {
        let text = SAMPLE.replacen(from, to, 1);
        assert_ne!(text, SAMPLE);
        let report = cluster::parse("config.yaml", &text).unwrap_err().render();
        assert!(!report.contains("Qcloud"), "{report}");
    }
}

#[test]
fn depth_and_aliases_are_bounded() {
    let deep = format!("spec: {}", "[".repeat(10_000));
    let bomb = (1..40).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1)
    });
    for text in [deep, bomb] {
        assert!(cluster::parse("any.yaml", &text).is_err());
    }
}
