use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, Slot, State, Step, StepError};

use super::{Finding, Survey, shared};

/// Judges all surveys together. A host that could not be surveyed has its own failure; it fails nothing here, and is only
/// named where there is something to report of others.
pub struct JudgeSurveys {
    pub surveys: Vec<(String, Slot<Survey>)>,
    /// How far two clocks may be apart.
    pub skew: Duration,
    /// How far a host may be behind the operator's machine, whose certificates must be valid there at once.
    pub behind: Duration,
}

#[async_trait]
impl Step for JudgeSurveys {
    fn id(&self) -> String {
        "judge".to_owned()
    }

    fn describe(&self) -> String {
        "judge what was found on all hosts".to_owned()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let surveys: Vec<(&str, &Survey)> = self
            .surveys
            .iter()
            .filter_map(|(host, slot)| slot.get().map(|survey| (host.as_str(), survey)))
            .collect();
        let mut lines: Vec<(String, Finding)> = Vec::new();
        for (host, survey) in &surveys {
            let findings = survey.findings.iter().cloned();
            lines.extend(findings.map(|finding| ((*host).to_owned(), finding)));
        }
        lines.extend(twins(
            &surveys,
            "hostname",
            |survey| &survey.hostname,
            "give each host a name of its own, or set spec.system.setHostname",
        ));
        lines.extend(twins(
            &surveys,
            "machine-id",
            |survey| &survey.machine_id,
            "on cloned machines: rm /etc/machine-id && systemd-machine-id-setup, then reboot",
        ));
        lines.extend(self.skewed(&surveys));
        lines.extend(self.too_early(&surveys));
        // A host that could not be looked at may be the one that answers.
        if surveys.len() == self.surveys.len() {
            lines.extend(shared::judge_foreign(&surveys));
        }
        if lines.is_empty() {
            return Ok(State::Satisfied);
        }
        let count = lines.len();
        lines.extend(self.unseen());
        let report: Vec<String> = lines
            .iter()
            .map(|(host, Finding { what, fix })| format!("  {host}: {what}\n      fix: {fix}"))
            .collect();
        let count = if count == 1 {
            "1 finding".to_owned()
        } else {
            format!("{count} findings")
        };
        Err(StepError::new(format!(
            "{count}; nothing was touched\n{}",
            report.join("\n")
        )))
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

impl JudgeSurveys {
    fn unseen(&self) -> impl Iterator<Item = (String, Finding)> {
        let unseen = self.surveys.iter().filter(|(_, slot)| slot.get().is_none());
        unseen.map(|(host, _)| {
            let fix = "its own failure says why; it may have findings of its own";
            (host.clone(), Finding::new("could not be looked at", fix))
        })
    }

    fn too_early(&self, surveys: &[(&str, &Survey)]) -> Vec<(String, Finding)> {
        let limit = i64::try_from(self.behind.as_millis()).unwrap_or(i64::MAX);
        let early = surveys
            .iter()
            .filter(|(_, survey)| survey.clock_ahead_ms < -limit);
        early
            .map(|(host, survey)| {
                let minutes = survey.clock_ahead_ms.unsigned_abs() / 60_000;
                let what = format!(
                    "its clock is {minutes} minutes behind this machine's: certificates made here would not be \
                     valid there yet"
                );
                let fix = "set its clock, or this machine's";
                ((*host).to_owned(), Finding::new(what, fix))
            })
            .collect()
    }

    fn skewed(&self, surveys: &[(&str, &Survey)]) -> Option<(String, Finding)> {
        let (first, last) = (
            surveys
                .iter()
                .min_by_key(|(_, survey)| survey.clock_ahead_ms)?,
            surveys
                .iter()
                .max_by_key(|(_, survey)| survey.clock_ahead_ms)?,
        );
        let apart = last.1.clock_ahead_ms.abs_diff(first.1.clock_ahead_ms);
        let unsure = first.1.round_trip_ms + last.1.round_trip_ms;
        let limit = u64::try_from(self.skew.as_millis()).unwrap_or(u64::MAX);
        (apart > limit.saturating_add(unsure)).then(|| {
            let what = format!("its clock is {apart} ms ahead of {}", first.0);
            let fix = "set the clocks, best by one time server for all hosts";
            (last.0.to_owned(), Finding::new(what, fix))
        })
    }
}

fn twins(
    surveys: &[(&str, &Survey)],
    of: &str,
    value: impl Fn(&Survey) -> &String,
    fix: &str,
) -> Vec<(String, Finding)> {
    let mut seen: BTreeMap<&String, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    for (host, survey) in surveys {
        let value = value(survey);
        match seen.get(value) {
            Some(other) if !value.is_empty() => {
                let what = format!("its {of} '{value}' is that of {other} as well");
                findings.push(((*host).to_owned(), Finding::new(what, fix)));
            }
            _ => {
                seen.insert(value, host);
            }
        }
    }
    findings
}
