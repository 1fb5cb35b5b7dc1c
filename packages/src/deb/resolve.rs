//! From wishes to what is carried.

use std::collections::{BTreeMap, BTreeSet};

use super::relation::Operator;
use super::{Universe, version};
use crate::answer::{Answer, Carried, Relied};
use crate::solve::{self, Need, PackageId, Solution, Unsatisfiable, Wish};

/// What to carry so that a system that has the base can have all that is wished for.
///
/// A package of the base that something carried wants in one version and no other is carried as well: a host that was
/// installed before that version would lack it.
pub fn resolve(
    universe: &Universe,
    base: &BTreeSet<PackageId>,
    wishes: &[Wish],
) -> Result<Answer, Unsatisfiable> {
    let mut base = base.clone();
    loop {
        let solution = solve::solve(universe, &base, wishes)?;
        let tied = tied(universe, &base, &solution);
        if tied.is_empty() {
            return Ok(answer(universe, &base, solution));
        }
        base.retain(|id| !tied.contains(id));
    }
}

/// The packages of the base that chosen ones want in just the version they have, and that the base itself does not
/// tie down: replacing these would tear it apart.
fn tied(
    universe: &Universe,
    base: &BTreeSet<PackageId>,
    solution: &Solution,
) -> BTreeSet<PackageId> {
    let of_base = |need: &&Need| base.contains(&need.by);
    let chosen = solution.chosen.iter();
    let wanted = chosen.flat_map(|(id, needs)| {
        let relations = universe.relations(*id);
        let exact = needs.iter().filter(of_base).filter(move |need| {
            let mut alternatives = relations[need.requirement].iter();
            alternatives.any(|one| universe.is_real(need.by, one) && one.is_exact())
        });
        exact.map(|need| need.by)
    });
    let wanted: BTreeSet<PackageId> = wanted.collect();
    let by_base = |id: &PackageId| {
        base.iter().any(|other| {
            let relations = universe.relations(*other);
            let mut alternatives = relations.iter().flatten();
            other != id && alternatives.any(|one| universe.is_real(*id, one) && one.is_exact())
        })
    };
    wanted.into_iter().filter(|id| !by_base(id)).collect()
}

fn answer(universe: &Universe, base: &BTreeSet<PackageId>, solution: Solution) -> Answer {
    let name = |id: PackageId| universe.entry(id).name.to_string();

    let mut relied: BTreeMap<PackageId, Relied> = BTreeMap::new();
    let met = solution.wishes.iter().copied();
    for id in met.filter(|id| base.contains(id)) {
        relied.entry(id).or_insert_with(|| rely(universe, id));
    }
    let mut packages = Vec::new();
    for (id, needs) in &solution.chosen {
        let of_base = needs.iter().filter(|need| base.contains(&need.by));
        let of_base: Vec<&Need> = of_base.collect();
        raise(universe, *id, &of_base, &mut relied);
        let needs: BTreeSet<PackageId> = needs
            .iter()
            .map(|need| need.by)
            .filter(|by| by != id)
            .collect();
        let mut needs: Vec<String> = needs.into_iter().map(name).collect();
        needs.sort_unstable();
        let entry = universe.entry(*id);
        packages.push(Carried {
            name: entry.name.to_string(),
            version: entry.version.to_string(),
            arch: entry.arch.to_string(),
            source: entry.source,
            at: None,
            path: entry.path.to_string(),
            size: entry.checksum.size,
            sha256: entry.checksum.sha256.clone(),
            needs,
        });
    }
    for id in solution.chosen.keys() {
        raise_by_exclusions(universe, *id, &mut relied);
    }
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    let mut base: Vec<Relied> = relied.into_values().collect();
    base.sort_by(|one, other| one.name.cmp(&other.name));
    Answer {
        wishes: solution.wishes.into_iter().map(name).collect(),
        packages,
        base,
    }
}

fn rely(universe: &Universe, id: PackageId) -> Relied {
    let entry = universe.entry(id);
    Relied {
        name: entry.name.to_string(),
        version: entry.version.to_string(),
        at_least: None,
        exactly: None,
    }
}

/// Notes what a carried package requires of the base.
fn raise(
    universe: &Universe,
    id: PackageId,
    needs: &[&Need],
    relied: &mut BTreeMap<PackageId, Relied>,
) {
    let relations = universe.relations(id);
    for need in needs {
        let entry = relied
            .entry(need.by)
            .or_insert_with(|| rely(universe, need.by));
        // A name that is only provided says nothing of the version of who provides it.
        let real = relations[need.requirement]
            .iter()
            .find(|alternative| universe.is_real(need.by, alternative));
        let Some(bound) = real.and_then(|alternative| alternative.bound.as_ref()) else {
            continue;
        };
        if let Some(floor) = bound.floor() {
            at_least(entry, floor);
        }
        if bound.operator == Operator::Exactly {
            entry.exactly = Some(bound.version.clone());
        }
    }
}

/// Notes which older versions of the base a carried package does not stand.
fn raise_by_exclusions(
    universe: &Universe,
    id: PackageId,
    relied: &mut BTreeMap<PackageId, Relied>,
) {
    for (_, alternative) in universe.exclusions(id) {
        let floor = alternative
            .bound
            .as_ref()
            .and_then(|bound| bound.floor_beyond());
        let of_base = relied
            .values_mut()
            .find(|entry| entry.name == alternative.name);
        if let (Some(floor), Some(entry)) = (floor, of_base) {
            at_least(entry, floor);
        }
    }
}

fn at_least(entry: &mut Relied, floor: &str) {
    let higher = entry
        .at_least
        .as_deref()
        .is_none_or(|known| version::compare(floor, known).is_gt());
    if higher {
        entry.at_least = Some(floor.to_owned());
    }
}

#[cfg(test)]
mod tests;
