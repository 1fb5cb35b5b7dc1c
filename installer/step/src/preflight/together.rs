use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Question, Slot, State, StepError};

use super::clocks::far_from_here;
use super::{Finding, Survey, millis, shared};

/// Judges all surveys together. A host that could not be surveyed has its own failure; it fails nothing here, and is only
/// named where there is something to report of others.
pub struct JudgeSurveys {
    pub surveys: Vec<(String, Slot<Survey>)>,
    /// What no two hosts may have in common.
    pub unique: Vec<Identity>,
    /// How far two clocks may be apart.
    pub skew: Duration,
    /// How far a host may be from the operator's machine, whose certificates must be valid there.
    pub off: Duration,
}

/// What tells machines apart.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    name: &'static str,
    value: fn(&Survey) -> &String,
    fix: &'static str,
}

impl Identity {
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub const HOSTNAME: Self = Self {
        name: "hostname",
        value: |survey| &survey.hostname,
        fix: "give each host a name of its own, or set spec.system.setHostname",
    };
    pub const MACHINE_ID: Self = Self {
        name: "machine-id",
        value: |survey| &survey.machine_id,
        fix: "on cloned machines: rm /etc/machine-id && systemd-machine-id-setup, then reboot",
    };
}

#[async_trait]
impl Question for JudgeSurveys {
    fn id(&self) -> String {
        "judge".to_owned()
    }

    fn describe(&self) -> String {
        "judge what was found on all hosts".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
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
        lines.extend(
            self.unique
                .iter()
                .flat_map(|identity| twins(&surveys, *identity)),
        );
        lines.extend(self.skewed(&surveys));
        lines.extend(self.far_from_here(&surveys));
        lines.extend(here(cx, &surveys).await?);
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
}

impl JudgeSurveys {
    fn unseen(&self) -> impl Iterator<Item = (String, Finding)> {
        let unseen = self.surveys.iter().filter(|(_, slot)| slot.get().is_none());
        unseen.map(|(host, _)| {
            let fix = "its own failure says why; it may have findings of its own";
            (host.clone(), Finding::new("could not be looked at", fix))
        })
    }

    fn far_from_here(&self, surveys: &[(&str, &Survey)]) -> Vec<(String, Finding)> {
        let far = surveys.iter().filter_map(|(host, survey)| {
            let what = far_from_here(survey.clock_ahead_ms, self.off)?;
            let fix = "set its clock, or this machine's";
            Some(((*host).to_owned(), Finding::new(what, fix)))
        });
        far.collect()
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
        (apart > millis(self.skew).saturating_add(unsure)).then(|| {
            let what = format!("its clock is {apart} ms ahead of {}", first.0);
            let fix = "set the clocks, best by one time server for all hosts";
            (last.0.to_owned(), Finding::new(what, fix))
        })
    }
}

/// Hosts that are this machine. A clone of it has another name.
async fn here(cx: &Cx, surveys: &[(&str, &Survey)]) -> Result<Vec<(String, Finding)>, StepError> {
    let mut own = Vec::new();
    for path in ["/etc/machine-id", "/proc/sys/kernel/hostname"] {
        let bytes = cx.host.read(path.into()).await?.unwrap_or_default();
        own.push(String::from_utf8_lossy(&bytes).trim().to_owned());
    }
    let is_here = |survey: &Survey| {
        !survey.machine_id.is_empty() && own == [survey.machine_id.as_str(), &survey.hostname]
    };
    let found = surveys.iter().filter(|(_, survey)| is_here(survey));
    Ok(found
        .map(|(host, _)| {
            let what = "it is the machine that kubexm runs on, whose services and files it would change under itself";
            let fix = "run kubexm on another machine";
            ((*host).to_owned(), Finding::new(what, fix))
        })
        .collect())
}

fn twins(surveys: &[(&str, &Survey)], identity: Identity) -> Vec<(String, Finding)> {
    let Identity { name, value, fix } = identity;
    let mut seen: BTreeMap<&String, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    for (host, survey) in surveys {
        let value = value(survey);
        match seen.get(value) {
            Some(other) if !value.is_empty() => {
                let what = format!("its {name} '{value}' is that of {other} as well");
                findings.push(((*host).to_owned(), Finding::new(what, fix)));
            }
            _ => {
                seen.insert(value, host);
            }
        }
    }
    findings
}
