//! Which packages to take: a set that satisfies every wish and every requirement of what is in it, over a system that has
//! its base packages already. It knows no package format: versions and names were compared when a [`Universe`] said which
//! packages satisfy a relation.
//!
//! What is tried first: a package of the base; then in the order in which a relation names its candidates. Of what the
//! solver took, only that is kept which a wish needs. The same question gives the same answer on every machine.

mod explain;
mod over;
mod provider;

use std::collections::{BTreeMap, BTreeSet};

use over::Over;
use provider::Provider;

/// A package of a universe: one version of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(u32);

impl PackageId {
    /// The package at a place of the universe's list.
    ///
    /// # Panics
    /// With more packages than any archive has: 2^30.
    #[must_use]
    pub fn new(index: usize) -> Self {
        let id = u32::try_from(index).ok().filter(|id| *id < 1 << 30);
        Self(id.expect("an archive has less than 2^30 packages"))
    }

    /// Its place in the universe's list.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a package needs beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    /// As the package says it: `libc6 (>= 2.38)`.
    pub text: String,
    /// One of these; the first that can be had is taken.
    pub any_of: Vec<PackageId>,
    /// Needed only where of each of these sets one is there; with no set, always.
    pub when: Vec<Vec<PackageId>>,
    /// What has the name and does not satisfy, for people to see.
    pub near: Vec<PackageId>,
}

/// What a package cannot stand beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What it does to them, to be read after the package's own name: `conflicts with time-daemon`.
    pub text: String,
    pub with: Vec<PackageId>,
}

/// All packages there are, with their relations lowered to packages.
pub trait Universe {
    /// How many; ids run from 0.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name and version, as people know it.
    fn label(&self, package: PackageId) -> String;

    /// All packages of the same name with this one among them, of which a system can have one.
    fn same_name(&self, package: PackageId) -> &[PackageId];

    /// What it needs. Asked for packages that come into question only.
    fn requirements(&self, package: PackageId) -> Vec<Requirement>;

    /// What it cannot stand. A package is no conflict of itself.
    fn conflicts(&self, package: PackageId) -> Vec<Conflict>;
}

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Who: `the load balancer on master1`.
    pub by: String,
    /// One package of these; `text` is how it was said.
    pub wanted: Requirement,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Solution {
    /// What is to be installed, beside the base.
    pub chosen: BTreeMap<PackageId, Vec<Need>>,
    /// By a chosen package, what packages of the base require because it comes.
    pub entailed: BTreeMap<PackageId, BTreeSet<PackageId>>,
    /// For each wish, in order, the package that meets it, chosen or of the base.
    pub wishes: Vec<PackageId>,
}

/// A requirement and the package that satisfies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which of the package's requirements.
    pub requirement: usize,
    /// Chosen, or of the base.
    pub by: PackageId,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Unsatisfiable {
    /// The wishes that cannot be had together; without any one of them the others could.
    pub wishes: Vec<Wished>,
    /// What stands against them, and why that is there, one sentence each.
    pub because: Vec<String>,
}

/// A wish, as an error names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wished {
    pub text: String,
    pub by: String,
}

impl Unsatisfiable {
    fn text(&self) -> String {
        let named = |wish: &Wished| format!("{} (wanted by {})", wish.text, wish.by);
        let wishes: Vec<String> = self.wishes.iter().map(named).collect();
        let head = match wishes.as_slice() {
            [one] => format!("{one} cannot be installed:"),
            several => format!("{} cannot be installed together:", several.join(" and ")),
        };
        let because = self.because.iter().map(|line| format!("\n  {line}"));
        because.fold(head, |text, line| text + &line)
    }
}

/// Finds what to install on a system that has the base so that all wishes are met.
pub fn solve(
    universe: &impl Universe,
    base: &BTreeSet<PackageId>,
    wishes: &[Wish],
) -> Result<Solution, Unsatisfiable> {
    let universe = Over::new(universe, base);
    let all: Vec<&Wish> = wishes.iter().collect();
    match Provider::solve(&universe, base, &all) {
        Some(taken) => Ok(keep_needed(&universe, base, wishes, &taken)),
        None => Err(explain::explain(
            &universe,
            base,
            fewest(&universe, base, all),
        )),
    }
}

/// The base without what these wishes are met by, and all that this needs in turn: for whoever wants to have it carried,
/// since the systems at hand may lack it.
pub fn without(
    universe: &impl Universe,
    base: &BTreeSet<PackageId>,
    wishes: &[Wish],
) -> BTreeSet<PackageId> {
    let mut left = base.clone();
    let first = |requirement: &Requirement| {
        let mut any_of = requirement.any_of.iter();
        any_of.find(|id| base.contains(id)).copied()
    };
    let mut open: Vec<PackageId> = wishes.iter().filter_map(|w| first(&w.wanted)).collect();
    while let Some(id) = open.pop() {
        if left.remove(&id) {
            let requirements = universe.requirements(id);
            let at_once = requirements.iter();
            let at_once = at_once.filter(|r| r.applies(|id| base.contains(id)));
            open.extend(at_once.filter_map(first));
        }
    }
    left
}

/// The wishes that stand against each other, without those that have no part in it.
fn fewest<'a>(
    universe: &impl Universe,
    base: &BTreeSet<PackageId>,
    mut wishes: Vec<&'a Wish>,
) -> Vec<&'a Wish> {
    let mut index = 0;
    while index < wishes.len() {
        let without = wishes.remove(index);
        if Provider::solve(universe, base, &wishes).is_some() {
            wishes.insert(index, without);
            index += 1;
        }
    }
    wishes
}

/// Follows needs from the wishes on. What can be satisfied in one way only comes first, so that where several of what was
/// taken satisfy a requirement, one that is kept anyway does; otherwise the first does.
fn keep_needed(
    universe: &Over<'_, impl Universe>,
    base: &BTreeSet<PackageId>,
    wishes: &[Wish],
    taken: &BTreeSet<PackageId>,
) -> Solution {
    let mut kept: BTreeMap<PackageId, Vec<Requirement>> = BTreeMap::new();
    loop {
        let mut forced = BTreeSet::new();
        let mut open = None;
        let have = |id: &PackageId| base.contains(id) || kept.contains_key(id);
        let wanted = wishes.iter().map(|wish| &wish.wanted);
        let required = kept.values().flatten().chain(universe.waiting());
        for requirement in wanted.chain(required) {
            if !requirement.applies(have) || requirement.any_of.iter().any(have) {
                continue;
            }
            let mut can = requirement.any_of.iter().filter(|id| taken.contains(id));
            match (can.next(), can.next()) {
                (Some(one), None) => drop(forced.insert(*one)),
                (first, _) => open = open.or(first.copied()),
            }
        }
        if forced.is_empty() {
            let Some(first) = open else { break };
            forced.insert(first);
        }
        let lowered = forced.into_iter().map(|id| (id, universe.requirements(id)));
        kept.extend(lowered.collect::<Vec<_>>());
    }

    let have = |id: &PackageId| base.contains(id) || kept.contains_key(id);
    let first =
        |requirement: &Requirement| preferred(base, &requirement.any_of).find(|id| have(id));
    let needs = |requirements: &[Requirement]| -> Vec<Need> {
        let applying = requirements.iter().enumerate();
        applying
            .filter(|(_, requirement)| requirement.applies(have))
            .filter_map(|(index, requirement)| {
                let by = first(requirement)?;
                Some(Need {
                    requirement: index,
                    by,
                })
            })
            .collect()
    };
    let mut entailed: BTreeMap<PackageId, BTreeSet<PackageId>> = BTreeMap::new();
    for requirement in universe.waiting().filter(|waiting| waiting.applies(have)) {
        let by = first(requirement);
        let new = requirement.when.iter().flatten();
        for id in new.filter(|id| kept.contains_key(id)) {
            entailed.entry(*id).or_default().extend(by);
        }
    }
    let met = wishes
        .iter()
        .map(|wish| first(&wish.wanted).expect("the solver takes one candidate of every wish"));
    Solution {
        chosen: kept
            .iter()
            .map(|(id, requirements)| (*id, needs(requirements)))
            .collect(),
        entailed,
        wishes: met.collect(),
    }
}

impl Requirement {
    /// Whether it is to be satisfied beside what is there.
    fn applies(&self, have: impl Fn(&PackageId) -> bool) -> bool {
        self.when.iter().all(|set| set.iter().any(&have))
    }
}

/// The candidates in the order in which they are tried: what the system has comes first.
fn preferred(base: &BTreeSet<PackageId>, any_of: &[PackageId]) -> impl Iterator<Item = PackageId> {
    let (mut here, there): (Vec<_>, Vec<_>) = any_of.iter().partition(|id| base.contains(id));
    here.extend(there);
    here.into_iter()
}

#[cfg(test)]
mod tests;
