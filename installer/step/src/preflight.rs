//! Preflight: every host is surveyed, then all surveys are judged together, so that the operator reads one report of
//! everything that is wrong before anything is touched.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Slot, State, Step, StepError};
use host::{Command, Facts};

use crate::shell::ask;

/// What a host must be and have.
#[derive(Clone, Debug, Default)]
pub struct Requirements {
    /// The cluster whose marker on the host means "ours already": then its ports, space and data are its own.
    pub cluster: String,
    /// The machine types (`uname -m`) for which the bundle holds programs.
    pub machines: Vec<String>,
    /// The operating systems that kubexm supports.
    pub systems: Vec<System>,
    pub ports: Vec<Port>,
    pub space: Vec<Space>,
    /// File systems that the kernel must know, or be able to load.
    pub filesystems: Vec<&'static str>,
    /// Paths that another installation leaves behind.
    pub leftovers: Vec<Leftover>,
    /// The addresses that the config gives the host.
    pub addresses: Vec<IpAddr>,
}

/// An operating system by `ID` of os-release, and the oldest supported release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct System {
    pub id: &'static str,
    pub since: (u32, u32),
}

/// A TCP port and what will listen on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    pub number: u16,
    pub of: &'static str,
}

/// Bytes that will be put below a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    pub path: String,
    pub bytes: u64,
    pub of: &'static str,
}

/// A path, and what it is a sign of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    pub path: String,
    pub of: &'static str,
}

/// Something that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub what: String,
    pub fix: String,
}

impl Finding {
    fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            fix: fix.into(),
        }
    }
}

/// What a survey brought to light.
#[derive(Clone, Debug)]
pub struct Survey {
    pub hostname: String,
    pub machine_id: String,
    /// How far the host's clock is ahead of the operator's, give or take the round trip.
    pub clock_ahead_ms: i64,
    pub round_trip_ms: u64,
    pub findings: Vec<Finding>,
}

/// The file that says to which cluster a host belongs.
pub const MARKER: &str = "/etc/kubexm/cluster";

/// Looks at a host. Never fails for what it finds; only for a host that cannot be asked.
pub struct SurveyHost {
    pub requirements: Requirements,
    pub survey: Slot<Survey>,
}

#[async_trait]
impl Step for SurveyHost {
    fn id(&self) -> String {
        "survey".to_owned()
    }

    fn describe(&self) -> String {
        "look at the host: access, system, clock, space, ports, kernel, leftovers".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let facts = cx.host.facts().await?;
        let marker = cx.host.read(MARKER.into()).await?;
        let marker = marker.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        let mut findings = judge_facts(&self.requirements, &facts);
        match marker {
            Some(cluster) if cluster == self.requirements.cluster => {}
            Some(cluster) => findings.push(Finding::new(
                format!("it belongs to the cluster '{cluster}' ({MARKER})"),
                format!("take it out of '{cluster}' first, or take it out of this config"),
            )),
            None => {
                findings.extend(judge_room(&self.requirements, &facts));
                findings.extend(self.find_leftovers(cx).await?);
            }
        }
        self.survey.fill(Survey {
            hostname: facts.hostname.clone(),
            machine_id: facts.machine_id.clone(),
            clock_ahead_ms: facts.clock_ahead_ms,
            round_trip_ms: facts.round_trip_ms,
            findings,
        });
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }
}

impl SurveyHost {
    async fn find_leftovers(&self, cx: &Cx) -> Result<Vec<Finding>, StepError> {
        let leftovers = &self.requirements.leftovers;
        let tests: Vec<String> = leftovers
            .iter()
            .map(|leftover| {
                let path = host::quote(&leftover.path);
                format!(
                    "[ -f {path} ] || [ -n \"$(ls -A {path} 2>/dev/null)\" ] && echo y || echo n"
                )
            })
            .collect();
        let found = ask(cx, Command::script(tests.join("; "))).await?.text();
        Ok(leftovers
            .iter()
            .zip(found.lines())
            .filter(|(_, found)| *found == "y")
            .map(|(leftover, _)| {
                Finding::new(
                    format!("{} is there, left behind by {}", leftover.path, leftover.of),
                    format!(
                        "remove that {} with its own tool, or move {} away",
                        leftover.of, leftover.path
                    ),
                )
            })
            .collect())
    }
}

/// What holds on every run.
fn judge_facts(wanted: &Requirements, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !wanted.machines.contains(&facts.machine) {
        findings.push(Finding::new(
            format!(
                "it is a {} machine; the bundle holds {}",
                facts.machine,
                wanted.machines.join(", ")
            ),
            "bundle again with `arch` of the host set, or with --arch",
        ));
    }
    let known = wanted.systems.iter().find(|system| system.id == facts.os);
    match known {
        None => findings.push(Finding::new(
            format!(
                "its system is {}, which kubexm does not know",
                facts.os_name
            ),
            format!("supported are {}", ids(&wanted.systems)),
        )),
        Some(system) if release(&facts.os_version) < system.since => findings.push(Finding::new(
            format!("its system is {}, which is too old", facts.os_name),
            format!(
                "{} is supported since {}.{}",
                system.id, system.since.0, system.since.1
            ),
        )),
        Some(_) => {}
    }
    if facts.init != "systemd" {
        findings.push(Finding::new(
            format!("its init is {}", facts.init),
            "kubexm runs everything under systemd",
        ));
    }
    for filesystem in &wanted.filesystems {
        let loadable = facts.commands.iter().any(|command| command == "modprobe");
        if !loadable && !facts.filesystems.iter().any(|known| known == filesystem) {
            findings.push(Finding::new(
                format!(
                    "its kernel does not know {filesystem}, and there is no modprobe to load it"
                ),
                "install kmod and the kernel's modules",
            ));
        }
    }
    for address in &wanted.addresses {
        if !facts.addresses.contains(address) {
            findings.push(Finding::new(
                format!("no interface of it has the address {address}"),
                "correct `internalAddress` of the host",
            ));
        }
    }
    findings
}

/// What holds only before the first run: later the space is taken and the ports are in use by us.
fn judge_room(wanted: &Requirements, facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = wanted
        .ports
        .iter()
        .filter(|port| facts.listening.contains(&port.number))
        .map(|port| {
            Finding::new(
                format!("port {} is in use, which {} needs", port.number, port.of),
                format!("find out by whom: ss -ltnp 'sport = :{}'", port.number),
            )
        })
        .collect();
    let mut needs: BTreeMap<&str, (u64, Vec<&str>)> = BTreeMap::new();
    for space in &wanted.space {
        if let Some(mount) = mount_of(&space.path, facts) {
            let (bytes, of) = needs.entry(mount).or_default();
            *bytes += space.bytes;
            of.push(space.of);
        }
    }
    for (mount, (bytes, of)) in needs {
        let free = facts.disks[mount].free;
        if free < bytes {
            findings.push(Finding::new(
                format!(
                    "{mount} has {} MiB free, {} MiB are needed for {}",
                    free >> 20,
                    bytes.div_ceil(1 << 20),
                    of.join(", ")
                ),
                "make room there, or mount a larger disk",
            ));
        }
    }
    findings
}

/// The mount point that a path lies on.
fn mount_of<'a>(path: &str, facts: &'a Facts) -> Option<&'a str> {
    let below = |mount: &str| {
        let mount = mount.trim_end_matches('/');
        path.strip_prefix(mount)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    facts
        .disks
        .keys()
        .map(String::as_str)
        .filter(|mount| below(mount))
        .max_by_key(|mount| mount.len())
}

fn ids(systems: &[System]) -> String {
    let ids: Vec<&str> = systems.iter().map(|system| system.id).collect();
    ids.join(", ")
}

/// The first two numbers of a release: "V10" and "10" are (10, 0), "24.03" is (24, 3).
fn release(version: &str) -> (u32, u32) {
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(u32::MAX));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Judges all surveys together. A host that could not be surveyed has its own failure and is left out here.
pub struct JudgeSurveys {
    pub surveys: Vec<(String, Slot<Survey>)>,
    /// How far two clocks may be apart.
    pub skew: Duration,
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
        if lines.is_empty() {
            return Ok(State::Satisfied);
        }
        let report: Vec<String> = lines
            .iter()
            .map(|(host, Finding { what, fix })| format!("  {host}: {what}\n      fix: {fix}"))
            .collect();
        let count = if lines.len() == 1 {
            "1 finding".to_owned()
        } else {
            format!("{} findings", lines.len())
        };
        Err(StepError::new(format!(
            "{count}; nothing was touched\n{}",
            report.join("\n")
        )))
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }
}

impl JudgeSurveys {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_by_number() {
        assert_eq!(release("V10"), (10, 0));
        assert_eq!(release("24.03"), (24, 3));
        assert!(release("9") < release("10"));
        assert_eq!(release(""), (0, 0));
    }
}
