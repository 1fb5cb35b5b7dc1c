use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::sync::{Mutex, PoisonError};

use event::{Event, Outcome, Sink, Unit, UnitId};
use jiff::Timestamp;
use serde::Serialize;

use super::table::{Column, table};
use super::wording::count;
use super::{Format, Paint, Printer};

/// Collects what proofs have seen, for a table of all of them.
#[derive(Default)]
pub struct Findings(Mutex<State>);

#[derive(Default)]
struct State {
    running: HashMap<UnitId, (Unit, Seen)>,
    proofs: Vec<Proof>,
}

#[derive(Default)]
struct Seen {
    what: String,
    warning: Option<String>,
}

/// One line of the result.
#[derive(Serialize)]
struct Proof {
    event: &'static str,
    #[serde(rename = "proof")]
    title: String,
    host: String,
    result: Verdict,
    seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Failed,
    Skipped,
}

impl Verdict {
    /// Not painted: colours have no width, and a table knows widths alone.
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

impl Sink for Findings {
    fn on(&self, _: Timestamp, event: &Event) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.record(event);
    }
}

impl State {
    fn record(&mut self, event: &Event) {
        match event {
            Event::Started(unit) => {
                self.running
                    .insert(unit.id, (unit.clone(), Seen::default()));
            }
            Event::Seen { id, what, warning } => {
                if let Some((_, seen)) = self.running.get_mut(id) {
                    seen.what.clone_from(what);
                    seen.warning.clone_from(warning);
                }
            }
            Event::Finished { id, outcome, .. } => {
                if let Some((unit, seen)) = self.running.remove(id) {
                    self.proofs.push(ended(unit, seen, outcome));
                }
            }
            Event::Skipped { unit, because } => {
                let proof = Proof::of(unit.clone(), Verdict::Skipped, because.clone());
                self.proofs.push(proof);
            }
            _ => {}
        }
    }

    /// The same proofs of several hosts stand below each other.
    fn sorted(&mut self) -> &[Proof] {
        self.proofs
            .sort_by(|a, b| (&a.title, &a.host).cmp(&(&b.title, &b.host)));
        &self.proofs
    }
}

fn ended(unit: Unit, seen: Seen, outcome: &Outcome) -> Proof {
    match (outcome, seen.warning) {
        (Outcome::Failed { error, hint }, _) => Proof {
            hint: hint.clone(),
            ..Proof::of(unit, Verdict::Failed, error.clone())
        },
        (Outcome::Interrupted, _) => Proof::of(unit, Verdict::Skipped, "interrupted".to_owned()),
        (_, Some(warning)) if seen.what.is_empty() => Proof::of(unit, Verdict::Warning, warning),
        (_, Some(warning)) => {
            let both = format!("{}\n{warning}", seen.what);
            Proof::of(unit, Verdict::Warning, both)
        }
        (_, None) => Proof::of(unit, Verdict::Ok, seen.what),
    }
}

impl Proof {
    fn of(unit: Unit, result: Verdict, seen: String) -> Self {
        Self {
            event: "proof",
            title: unit.title,
            host: unit.host.unwrap_or_default(),
            result,
            seen,
            hint: None,
        }
    }

    /// Failures and their hints stand in the table, where whoever reads it looks.
    fn row(&self) -> Vec<String> {
        let mut seen = self.seen.clone();
        if let Some(hint) = &self.hint {
            let _ = write!(seen, "\nhint: {hint}");
        }
        let result = self.result.word().to_owned();
        vec![self.title.clone(), self.host.clone(), result, seen]
    }
}

impl Findings {
    /// The result of the run.
    pub fn show(&self, printer: &Printer) -> io::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let proofs = state.sorted();
        match printer.format() {
            Format::Json => proofs.iter().try_for_each(|proof| printer.document(proof)),
            Format::Text => printer.result(told(proofs, printer.paint())),
        }
    }
}

fn told(proofs: &[Proof], paint: Paint) -> String {
    let columns = ["proof", "host", "result", "seen"].map(Column::Text);
    let drawn = table(&columns, proofs.iter().map(Proof::row));
    let number = |verdict| {
        proofs
            .iter()
            .filter(|proof| proof.result == verdict)
            .count() as u64
    };
    let all = count(proofs.len() as u64, "proof");
    let bad = [Verdict::Failed, Verdict::Skipped, Verdict::Warning].map(|verdict| {
        let word = match verdict {
            Verdict::Warning => "with a warning",
            other => other.word(),
        };
        (number(verdict), word.to_lowercase())
    });
    let bad: Vec<String> = bad
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    let verdict = match (
        number(Verdict::Failed) + number(Verdict::Skipped),
        bad.is_empty(),
    ) {
        (0, true) => paint.good("all hold").to_string(),
        (0, false) => format!("{}, {}", paint.good("all hold"), bad.join(", ")),
        _ => paint.bad(bad.join(", ")).to_string(),
    };
    format!("{drawn}\n\n{all}: {verdict}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn unit(id: u64, host: &str, title: &str) -> Unit {
        Unit {
            id: UnitId(id),
            stage: "proof".into(),
            task: None,
            host: Some(host.into()),
            title: title.into(),
            bytes: None,
            after: None,
        }
    }

    fn proof(findings: &Findings, unit: Unit, seen: Option<(&str, Option<&str>)>, end: Outcome) {
        let id = unit.id;
        let mut events = vec![Event::Started(unit)];
        events.extend(seen.map(|(what, warning)| Event::Seen {
            id,
            what: what.into(),
            warning: warning.map(Into::into),
        }));
        events.push(Event::Finished {
            id,
            outcome: end,
            took: Duration::ZERO,
        });
        for event in events {
            findings.on(Timestamp::UNIX_EPOCH, &event);
        }
    }

    fn drawn(findings: &Findings) -> String {
        told(findings.0.lock().unwrap().sorted(), Paint::Plain)
    }

    fn of_two() -> Findings {
        let findings = Findings::default();
        let nodes = unit(1, "(control plane)", "all nodes are Ready");
        let seen = ("3 nodes, v1.36.2, containerd://2.2.1", None);
        proof(&findings, nodes, Some(seen), Outcome::Satisfied);
        let certificates = unit(2, "node2", "certificates are valid");
        let seen = (
            "9 certificates; the first: /etc/kubernetes/admin.conf ends in 20 days",
            Some("/etc/kubernetes/admin.conf ends in 20 days"),
        );
        proof(&findings, certificates, Some(seen), Outcome::Satisfied);
        findings
    }

    #[test]
    fn a_cluster_that_is_well() {
        insta::assert_snapshot!(drawn(&of_two()));
    }

    #[test]
    fn every_failure_stands_with_what_to_do() {
        let findings = of_two();
        let failed = Outcome::Failed {
            error: "coredns-abc on node2: container coredns waits (CrashLoopBackOff)\n  its last line: plugin/forward: not an IP"
                .into(),
            hint: Some("kubectl -n kube-system describe pod NAME".into()),
        };
        let pods = unit(3, "(control plane)", "all system pods are Ready");
        proof(&findings, pods, None, failed);
        findings.on(
            Timestamp::UNIX_EPOCH,
            &Event::Skipped {
                unit: unit(4, "node3", "certificates are valid"),
                because: "the run was interrupted".into(),
            },
        );
        insta::assert_snapshot!(drawn(&findings));
        let json = serde_json::to_string(&findings.0.lock().unwrap().proofs[0]).unwrap();
        insta::assert_snapshot!(json);
    }
}
