//! From wishes to what is carried.
use std::collections::{BTreeMap, BTreeSet};

use crate::answer::{Answer, Carried, Relied};
use crate::solve::{self, PackageId, Requirement, Universe as _, Unsatisfiable, Wish};

use super::primary::Package;
use super::relation::{Capability, Relation};
use super::universe::Universe;
use super::version::{Evr, Operator, Range};

/// What to carry so that a system that has the base can have all that is wished for.
pub fn resolve(
    universe: &Universe,
    base: &BTreeSet<PackageId>,
    wishes: &[Wish],
) -> Result<Answer, Unsatisfiable> {
    let solution = solve::solve(universe, base, wishes)?;
    let name = |id: &PackageId| universe.package(*id).name.clone();

    let mut asked: BTreeMap<PackageId, BaseRequirement> = BTreeMap::new();
    for id in solution.wishes.iter().filter(|id| base.contains(id)) {
        asked.entry(*id).or_default();
    }
    let mut packages = Vec::new();
    for (id, needs) in &solution.chosen {
        let requirements = universe.requirements(*id);
        let entailed = solution.entailed.get(id).into_iter().flatten();
        let mut required: BTreeSet<String> = entailed.map(name).collect();
        for need in needs {
            if base.contains(&need.by) {
                let asked = asked.entry(need.by).or_default();
                asked.note(universe, need.by, &requirements[need.requirement]);
            }
            if need.by != *id {
                required.insert(name(&need.by));
            }
        }
        let package = universe.package(*id);
        packages.push(Carried {
            name: package.name.clone(),
            version: package.evr.to_string(),
            arch: package.arch.clone(),
            source: universe.repository(*id),
            at: package.base.clone(),
            path: package.location.clone(),
            size: package.size,
            sha256: package.sha256.to_string(),
            needs: required.into_iter().collect(),
        });
    }
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    let relied = asked
        .iter()
        .map(|(id, asked)| asked.of(universe.package(*id)));
    let mut base: Vec<Relied> = relied.collect();
    base.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Answer {
        wishes: solution.wishes.iter().map(name).collect(),
        packages,
        base,
    })
}

/// The oldest build of a package from which on each satisfies what this one does, where the repositories have one before
/// it that does not: so they tell which builds have a version of a symbol.
fn since<'a>(universe: &'a Universe, id: PackageId, any_of: &[PackageId]) -> Option<&'a Evr> {
    let builds = universe.same_name(id).iter();
    let mut older = builds.skip_while(|build| **build != id).peekable();
    while let Some(build) = older.next() {
        match older.peek() {
            Some(before) if !any_of.contains(before) => return Some(&universe.package(*build).evr),
            _ => {}
        }
    }
    None
}

/// What carried packages ask of one of the base.
#[derive(Default)]
struct BaseRequirement {
    at_least: Option<Evr>,
    exactly: Option<Evr>,
}

impl BaseRequirement {
    /// A range is one of the package's own versions only where what it provides goes with its version. Of what is inside
    /// a soname no version tells, but older builds may.
    fn note(&mut self, universe: &Universe, id: PackageId, requirement: &Requirement) {
        let relation = Relation::parse(&requirement.text);
        let package = universe.package(id);
        let own = |asked: &Capability| {
            package.provides.iter().any(|provided| {
                let bound = provided.range.as_ref().map(|range| &range.bound);
                provided.name == asked.name && bound == Some(&package.evr)
            })
        };
        let mut capabilities = relation
            .as_ref()
            .map_or_else(Vec::new, Relation::capabilities);
        capabilities.retain(|asked| universe.answering(asked).contains(&id) && own(asked));
        if capabilities.is_empty() {
            let since = since(universe, id, &requirement.any_of);
            self.at_least = self.at_least.take().max(since.cloned());
        }
        for Range { operator, bound } in capabilities
            .into_iter()
            .filter_map(|asked| asked.range.as_ref())
        {
            if matches!(
                operator,
                Operator::Equal | Operator::GreaterOrEqual | Operator::Greater
            ) {
                self.at_least = self.at_least.take().max(Some(bound.clone()));
            }
            if *operator == Operator::Equal {
                self.exactly = Some(bound.clone());
            }
        }
    }

    fn of(&self, package: &Package) -> Relied {
        Relied {
            name: package.name.clone(),
            version: package.evr.to_string(),
            at_least: self.at_least.as_ref().map(ToString::to_string),
            exactly: self.exactly.as_ref().map(ToString::to_string),
        }
    }
}
