//! The program as a person meets it: words in, words and an exit code out.

mod adopt;
mod bundle;
mod bundles;
mod config;
mod delete;
mod help;
mod install;
mod journey;
mod kubeconfig;
mod layout;
mod nodes;
mod repair;
mod report;
mod serve;
mod tools;
mod travel;

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

/// `kubexm` in a directory of its own, in an environment that says nothing.
fn kubexm(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("kubexm").unwrap();
    command
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .args(args);
    command
}

/// What a command said, on both streams, and how it ended.
fn told(dir: &Path, args: &[&str]) -> String {
    transcript(&mut kubexm(dir, args))
}

/// What a command put out as data: one document on one line.
fn one_line(output: &Output) -> &str {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let line = text.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{text}");
    line
}

fn transcript(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let streams = [("stdout", output.stdout), ("stderr", output.stderr)].map(|(name, bytes)| {
        let text = String::from_utf8(bytes).unwrap();
        if text.is_empty() {
            text
        } else {
            format!("-- {name}\n{text}")
        }
    });
    let text = format!(
        "exit {}\n{}",
        output.status.code().unwrap(),
        streams.concat()
    );
    steady(&text)
}

/// Leaves out what differs from run to run: the version, and times like `(0.4s)`.
fn steady(text: &str) -> String {
    let is_time = |word: &str| {
        let number = word
            .strip_prefix('(')
            .and_then(|word| word.strip_suffix("s)"));
        number.is_some_and(|number| number.parse::<f64>().is_ok())
    };
    let line = |line: &str| {
        let words = line
            .split(' ')
            .map(|word| if is_time(word) { "(TIME)" } else { word });
        words.collect::<Vec<_>>().join(" ") + "\n"
    };
    text.replace(env!("CARGO_PKG_VERSION"), "VERSION")
        .lines()
        .map(line)
        .collect()
}
