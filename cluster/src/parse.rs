use serde::Deserialize;
use serde_json::Value as Json;

use crate::check::{self, Checked, Extent};
use crate::colon::{self, Recovered};
use crate::problem::{Problem, Problems, Severity};
use crate::source::Source;
use crate::tree::Span;
use crate::validate::{self, Finding};
use crate::written::Written;
use crate::{Cluster, KeyPath, yaml};

/// A config that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    pub cluster: Cluster,
    /// What its writer should know; nothing of it stops anything.
    pub warnings: Vec<Problem>,
    keys: Vec<KeyPath>,
    written: Written,
}

impl Parsed {
    /// What somebody else found in this config, each at its place in the text.
    #[must_use]
    pub fn locate(&self, found: Vec<Problem>) -> Problems {
        self.written.locate(found)
    }

    /// Every key that is written, in order of its path.
    #[must_use]
    pub fn keys_set(&self) -> &[KeyPath] {
        &self.keys
    }

    /// The keys that are written and do nothing yet, each once.
    #[must_use]
    pub fn not_yet_acting(&self) -> Vec<KeyPath> {
        crate::acting::not_yet(&self.cluster, &self.keys)
    }
}

/// Reads a config, or tells all that is wrong with it at once. `source_name` is what the report calls the text.
pub fn parse(source_name: &str, text: &str) -> Result<Parsed, Problems> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let recovered = colon::recover(text);
    let document = yaml::read(&recovered.text);
    let extent = if document.complete {
        Extent::Whole
    } else {
        Extent::Beginning
    };
    let mut report = Report::new(text, &recovered);

    let checked = document
        .root
        .as_ref()
        .filter(|root| !root.is_null())
        .map(|root| check::check(root, extent));
    if let Some(checked) = &checked {
        report.hide(&checked.secrets);
    }
    report.colons();
    for mistake in document.mistakes {
        report.add(
            Severity::Error,
            Some(mistake.span),
            KeyPath::default(),
            mistake.message,
            mistake.hint,
        );
    }
    let Some(checked) = checked else {
        if report.problems.is_empty() {
            let hint = Some("'kubexm config init' writes one to start from".to_owned());
            report.add(
                Severity::Error,
                None,
                KeyPath::default(),
                "the file is empty".to_owned(),
                hint,
            );
        }
        return Err(Problems::new(source_name, report.problems));
    };
    let cluster = report.typed(&checked);
    if let Some(cluster) = cluster.as_ref().filter(|_| extent == Extent::Whole) {
        report.findings(&checked, validate::validate(cluster, &checked.places));
    }
    let mut keys: Vec<KeyPath> = checked.places.shown().cloned().collect();
    keys.sort();

    let problems = Problems::new(source_name, report.problems);
    match cluster {
        Some(cluster) if problems.errors().next().is_none() => Ok(Parsed {
            cluster,
            warnings: problems.into_list(),
            keys,
            // Without mistakes there was nothing to recover from: the places are those of the text.
            written: Written {
                name: source_name.to_owned(),
                text: text.to_owned(),
                secrets: checked.secrets,
                places: checked.places,
            },
        }),
        _ => Err(problems),
    }
}

/// Gathers problems and finds their places in the text as it was written.
struct Report<'a> {
    source: Source<'a>,
    recovered: &'a Recovered,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    fn new(text: &'a str, recovered: &'a Recovered) -> Self {
        Self {
            source: Source::new(text),
            recovered,
            problems: Vec::new(),
        }
    }

    fn hide(&mut self, secrets: &[Span]) {
        let recovered = self.recovered;
        self.source
            .hide(secrets.iter().map(|span| recovered.original(*span)));
    }

    fn colons(&mut self) {
        for (span, key) in &self.recovered.colons {
            self.problems.push(Problem {
                severity: Severity::Error,
                location: Some(self.source.locate(*span)),
                path: KeyPath::default(),
                message: format!("a full-width colon '：' after '{key}'"),
                hint: Some(format!("YAML needs the plain ':' and a space: '{key}: '")),
            });
        }
    }

    fn add(
        &mut self,
        severity: Severity,
        span: Option<Span>,
        path: KeyPath,
        message: String,
        hint: Option<String>,
    ) {
        let location = span.map(|span| self.source.locate(self.recovered.original(span)));
        self.problems.push(Problem {
            severity,
            location,
            path,
            message,
            hint,
        });
    }

    /// The typed config, as far as the checker left anything to make it of.
    fn typed(&mut self, checked: &Checked) -> Option<Cluster> {
        for mistake in &checked.mistakes {
            let (message, hint) = (mistake.message.clone(), mistake.hint.clone());
            self.add(
                Severity::Error,
                Some(mistake.span),
                mistake.path.clone(),
                message,
                hint,
            );
        }
        let value: &Json = checked.value.as_ref()?;
        match Cluster::deserialize(value) {
            Ok(cluster) => Some(cluster),
            // The schema let something through that the types refuse; still an error, only less well placed.
            Err(error) => {
                self.add(
                    Severity::Error,
                    None,
                    KeyPath::default(),
                    error.to_string(),
                    None,
                );
                None
            }
        }
    }

    fn findings(&mut self, checked: &Checked, findings: Vec<Finding>) {
        for Finding {
            severity,
            path,
            message,
            hint,
        } in findings
        {
            let place = checked.places.nearest(&path);
            let exact = checked.places.get(&path);
            let span = exact
                .map(|place| place.value)
                .or(place.map(|place| place.key));
            let shown = exact.map_or(path, |place| place.shown.clone());
            self.add(severity, span, shown, message, hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_find_has_its_place_and_shows_no_secret() {
        let text = "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: c}
spec:
  hosts: [{name: a, address: 10.0.0.1, password: hunter2, os: debian-99}]
";
        let parsed = parse("c.yaml", text).unwrap();
        let found = |path| Problem {
            severity: Severity::Error,
            location: None,
            path,
            message: "unknown".to_owned(),
            hint: None,
        };
        let host = KeyPath::of("spec.hosts").index(0);
        let problems = parsed.locate(vec![
            found(host.key("os")),
            found(KeyPath::of("spec.versions").key("runc")),
        ]);
        insta::assert_snapshot!(problems.render());
        assert!(!format!("{parsed:?}").contains("hunter2"));
    }
}
