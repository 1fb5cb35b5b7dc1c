use std::path::Path;

use super::{kubexm, told};

/// Every verb, as it is typed.
pub const VERBS: [&[&str]; 55] = [
    &[],
    &["bundle"],
    &["inspect"],
    &["verify"],
    &["diff"],
    &["extract"],
    &["depart"],
    &["arrive"],
    &["repair"],
    &["serve"],
    &["install"],
    &["plan"],
    &["create"],
    &["create", "cluster"],
    &["delete"],
    &["delete", "cluster"],
    &["delete", "node"],
    &["add"],
    &["add", "nodes"],
    &["restart"],
    &["check"],
    &["certs"],
    &["certs", "check"],
    &["certs", "renew"],
    &["certs", "rotate-ca"],
    &["etcd"],
    &["etcd", "status"],
    &["etcd", "backup"],
    &["etcd", "restore"],
    &["etcd", "drill"],
    &["etcd", "defrag"],
    &["etcd", "alarms"],
    &["get"],
    &["get", "cluster"],
    &["get", "nodes"],
    &["get", "hosts"],
    &["get", "images"],
    &["get", "inventory"],
    &["get", "journeys"],
    &["images"],
    &["images", "push"],
    &["adopt"],
    &["report"],
    &["upgrade"],
    &["upgrade", "cluster"],
    &["kubeconfig"],
    &["config"],
    &["config", "validate"],
    &["config", "show"],
    &["config", "explain"],
    &["config", "schema"],
    &["config", "init"],
    &["completion"],
    &["man"],
    &["version"],
];

fn help(verb: &[&str]) -> String {
    told(Path::new("."), &[verb, &["--help"]].concat())
}

#[test]
fn help_explains_each_verb_with_examples() {
    for verb in VERBS {
        let text = help(verb);
        assert!(text.starts_with("exit 0"), "{text}");
        assert!(text.contains("Examples:\n  kubexm"), "{text}");
        let name = [&["kubexm"], verb].concat().join("-");
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn every_verb_that_is_shown_is_tested_here() {
    let shown = help(&[]);
    let listed = shown
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1);
    let listed: Vec<&str> = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for verb in &listed {
        assert!(
            VERBS.iter().any(|known| known.first() == Some(verb)),
            "{verb} is not tested"
        );
    }
    assert!(listed.contains(&"bundle"), "{listed:?}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let said: Vec<String> = [
        &["bundel"][..],
        &["bundle"],
        &["bundle", "-f", "c.yaml", "--arch", "mips"],
        &["bundle", "-f", "c.yaml", "--jobs", "0"],
        &["install", "b.tar.zst", "--output", "xml"],
        &["plan"],
        &["delete", "cluster"],
        &["completion", "tcsh"],
    ]
    .into_iter()
    .map(|args| {
        format!(
            "$ kubexm {}\n{}",
            args.join(" "),
            told(Path::new("."), args)
        )
    })
    .collect();
    for text in &said {
        assert!(text.contains("\nexit 2\n"), "{text}");
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn help_is_a_verb_as_well() {
    let dir = Path::new(".");
    for verb in VERBS {
        let told = told(dir, &[&["help"], verb].concat());
        assert_eq!(told, help(verb), "{verb:?}");
    }
    insta::assert_snapshot!(told(dir, &["help", "config", "verify"]));
}

#[test]
fn wrong_usage_is_an_event_where_events_are_asked_for() {
    for args in [
        &["--output", "json", "bundel"][..],
        &["bundle", "--output=json"],
        &["get", "nodes", "-o", "json", "--output", "json"],
    ] {
        let output = kubexm(Path::new("."), args).output().unwrap();
        let event: serde_json::Value = serde_json::from_str(super::one_line(&output)).unwrap();
        assert_eq!(
            (&event["event"], &event["exit"]),
            (&"error".into(), &2.into()),
            "{event}"
        );
        let message = event["message"].as_str().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains(message) && !message.is_empty(),
            "{message}: {said}"
        );
    }
    let said = told(Path::new("."), &["get", "nodes", "-f", "x", "-o", "json"]);
    assert!(
        said.contains("tip: for JSON, say '--output json'"),
        "{said}"
    );
}

#[test]
fn without_a_verb_the_verbs_are_shown() {
    let text = told(Path::new("."), &[]);
    assert!(
        text.starts_with("exit 2") && text.contains("Commands:"),
        "{text}"
    );
}

#[test]
fn nobody_reading_is_no_error() {
    let mut command = std::process::Command::new("sh");
    let program = kubexm(Path::new("."), &[]).get_program().to_owned();
    let script = "{ \"$0\" config schema; echo $? >&2; } | true";
    let output = command.args(["-c", script]).arg(program).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "0\n");
}

#[test]
fn nobody_reading_does_not_make_a_failed_run_a_good_one() {
    let dir = super::delete::site();
    let program = kubexm(dir.path(), &[]).get_program().to_owned();
    for output in ["text", "json"] {
        for verb in ["check", "install --dry-run nowhere"] {
            let script = format!(
                "{{ \"$0\" {verb} -f site.yaml --output {output} 2>/dev/null; echo $? >&2; }} | true"
            );
            let mut command = std::process::Command::new("sh");
            command.current_dir(dir.path()).args(["-c", &script]);
            let output = command.arg(&program).output().unwrap();
            let code = String::from_utf8(output.stderr).unwrap();
            assert!(["1\n", "2\n"].contains(&code.as_str()), "{verb}: {code}");
        }
    }
}

#[test]
fn the_manual_names_every_verb_and_exit_code() {
    let manual = include_str!("../../../docs/cli.md");
    for verb in VERBS {
        let name = verb.join(" ");
        assert!(
            manual.contains(&format!("`{name}")) || manual.contains(&format!("kubexm {name}")),
            "{name}"
        );
    }
    for line in help(&[])
        .lines()
        .skip_while(|line| *line != "Exit codes:")
        .skip(1)
    {
        let (code, _) = line.trim().split_once(' ').unwrap();
        assert!(manual.contains(&format!("| {code} | ")), "{code}");
    }
}
