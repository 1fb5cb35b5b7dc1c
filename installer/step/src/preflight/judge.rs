//! What is wrong with one host, out of what it tells of itself.

use host::Facts;

use super::{Finding, Memory, Requirements, System};

/// What holds on every run.
pub(super) fn judge_facts(wanted: &Requirements, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if wanted.machine != facts.machine {
        findings.push(Finding::new(
            format!(
                "its architecture is {}, the config says {}",
                facts.machine, wanted.machine
            ),
            "correct `arch` of the host, and bundle again if the bundle has nothing for it",
        ));
    }
    let known = wanted.systems.iter().find(|system| system.id == facts.os);
    match known {
        None if wanted.accepted.contains(&facts.os) => {}
        None => findings.push(Finding::new(
            format!(
                "its system is {}, which kubexm does not know",
                facts.os_name
            ),
            format!(
                "supported are {}; to go on at your own risk: spec.system.accept: [{}]",
                ids(&wanted.systems),
                facts.os
            ),
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
    for address in &wanted.addresses {
        if !facts.addresses.contains(address) {
            findings.push(Finding::new(
                format!("no interface of it has the address {address}"),
                "correct `internalAddress` of the host",
            ));
        }
    }
    findings.extend(judge_memory(wanted, facts));
    findings
}

fn judge_memory(wanted: &Requirements, facts: &Facts) -> Option<Finding> {
    let Memory { mib, of } = wanted.memory?;
    let found = facts.memory_kib >> 10;
    (found < mib).then(|| {
        Finding::new(
            format!("it has {found} MiB of memory, {mib} MiB are needed for {of}"),
            "give it more memory, or its role to another host",
        )
    })
}

fn ids(systems: &[System]) -> String {
    let ids: Vec<&str> = systems.iter().map(|system| system.id).collect();
    ids.join(", ")
}

/// The first two numbers of a release: "V10" and "10" are (10, 0), "24.03" is (24, 3).
pub(super) fn release(version: &str) -> (u32, u32) {
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(u32::MAX));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
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
