//! One file per case: what its writer is told, and which configs pass.

use insta::{assert_snapshot, glob};

/// The report on a config: all its problems, or its warnings, or that there is nothing to say.
fn report(path: &std::path::Path) -> (bool, String) {
    let name = path.file_name().unwrap().to_string_lossy();
    match cluster::parse(&name, &std::fs::read_to_string(path).unwrap()) {
        Err(problems) => (false, problems.render()),
        Ok(parsed) => {
            let lines: Vec<String> = parsed
                .warnings
                .iter()
                .map(|warning| warning.render(&name))
                .collect();
            (
                true,
                if lines.is_empty() {
                    "nothing to say".to_owned()
                } else {
                    lines.join("\n")
                },
            )
        }
    }
}

#[test]
fn every_invalid_case_is_refused_with_its_report() {
    glob!("cases/invalid/*.yaml", |path| {
        let (passes, report) = report(path);
        assert!(!passes, "{} passes:\n{report}", path.display());
        assert_snapshot!(report);
    });
}

#[test]
fn every_valid_case_passes_with_its_warnings() {
    glob!("cases/valid/*.yaml", |path| {
        let (passes, report) = report(path);
        assert!(passes, "{} is refused:\n{report}", path.display());
        assert_snapshot!(report);
    });
}

#[test]
fn the_examples_pass_without_a_word() {
    glob!("../../examples", "*.yaml", |path| {
        assert_eq!(
            report(path),
            (true, "nothing to say".to_owned()),
            "{}",
            path.display()
        );
    });
}

/// But for the one that shows every key.
#[test]
fn the_examples_ask_for_nothing_that_does_nothing_yet() {
    glob!("../../examples", "*.yaml", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let parsed = cluster::parse(&path.to_string_lossy(), &text).unwrap();
        let inert = parsed.not_yet_acting();
        let shows_all = path.ends_with("config.sample.yaml");
        assert!(
            shows_all || inert.is_empty(),
            "{}: {inert:?}",
            path.display()
        );
    });
}

#[test]
fn the_template_of_config_init_passes_without_a_word() {
    let parsed = cluster::parse("init.yaml", cluster::init_template()).unwrap();
    assert_eq!(parsed.warnings, []);
}
