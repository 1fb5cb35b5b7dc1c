//! Packages of the system: what the bundle will bring, what the system itself must have for them, and what is missing
//! where the bundle brings nothing.

use std::collections::BTreeSet;

use engine::{Cx, StepError};
use host::Facts;

use super::{Bringer, Finding, Program, ProgramFeature, Requirements};
use crate::packages::{SystemPackages, look};

fn packages_for<'a>(wanted: &'a Requirements, facts: &Facts) -> Option<&'a SystemPackages> {
    let mut systems = wanted.packages.iter();
    systems.find(|system| system.are_for(facts))
}

/// What must be there before an installation.
pub(super) struct Expected<'a> {
    pub programs: Vec<&'a Program>,
    pub features: &'a [ProgramFeature],
}

/// What the bundle brings need not be there.
pub(super) fn expected<'a>(wanted: &'a Requirements, facts: &Facts) -> Expected<'a> {
    let programs = wanted.programs.iter();
    match packages_for(wanted, facts) {
        Some(_) => Expected {
            programs: programs
                .filter(|program| program.bringer == Bringer::System)
                .collect(),
            features: &[],
        },
        None => Expected {
            programs: programs.collect(),
            features: &wanted.features,
        },
    }
}

/// Programs that are missing: those that a bundle might bring as one finding where this one brings them for others.
pub(super) fn judge_programs(
    wanted: &Requirements,
    facts: &Facts,
    absent: &[&Program],
) -> Vec<Finding> {
    let of_others = !wanted.packages.is_empty() && packages_for(wanted, facts).is_none();
    let (to_bring, own): (Vec<&Program>, Vec<&Program>) = absent
        .iter()
        .partition(|program| of_others && program.bringer == Bringer::Bundle);
    let mut findings: Vec<Finding> = own
        .into_iter()
        .map(|Program { name, package, bringer }| {
            let or = match bringer {
                Bringer::Bundle if !of_others => {
                    "; or name its system under spec.system.os and bundle again: then it comes along"
                }
                Bringer::Bundle | Bringer::System => "",
            };
            Finding::new(format!("it has no {name}"), format!("install {package}{or}"))
        })
        .collect();
    if !to_bring.is_empty() {
        let systems = wanted
            .packages
            .iter()
            .map(|system| system.set.os.to_string());
        let systems: BTreeSet<String> = systems.collect();
        let systems: Vec<String> = systems.into_iter().collect();
        let names: Vec<&str> = to_bring.iter().map(|program| program.name).collect();
        findings.push(Finding::new(
            format!(
                "its system is {}, and the bundle has packages for {} alone; it lacks {}",
                facts.os_name,
                systems.join(", "),
                names.join(", ")
            ),
            format!(
                "add {}-{} to spec.system.os and bundle again, or install them by hand",
                facts.os, facts.os_version
            ),
        ));
    }
    findings
}

/// What the system itself must have for the packages that will be installed.
pub(super) async fn find_lacks(
    cx: &Cx,
    wanted: &Requirements,
    facts: &Facts,
) -> Result<Vec<Finding>, StepError> {
    let Some(system) = packages_for(wanted, facts) else {
        return Ok(Vec::new());
    };
    let all = system.versions().chain(system.base_versions());
    let unusable = look(cx, system.format(), all).await?;
    let is_carried = |name: &String| system.packages.iter().any(|own| own.name == *name);
    if !unusable.absent.iter().any(is_carried) {
        return Ok(Vec::new());
    }
    let oldest = |name: &String| {
        let base = system.base.iter().find(|base| base.name == *name);
        base.and_then(|base| base.at_least.as_deref())
    };
    let absent = unusable.absent.iter().filter(|name| !is_carried(name));
    let absent = absent.map(|name| match oldest(name) {
        Some(version) => format!("{name} {version}"),
        None => name.clone(),
    });
    let older = unusable.older.iter().filter(|(name, _)| !is_carried(name));
    let older = older.map(|(name, found)| {
        let version = oldest(name).unwrap_or_default();
        format!("{name} {version} (it has {found})")
    });
    let lacks: Vec<String> = absent.chain(older).collect();
    if lacks.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Finding::new(
        format!(
            "the packages of the bundle rely on what {} itself should have: {}",
            system.set.os,
            lacks.join(", ")
        ),
        "install or update them from the release's own medium, or bundle again with them under spec.system.debs or \
         spec.system.rpms",
    )])
}
