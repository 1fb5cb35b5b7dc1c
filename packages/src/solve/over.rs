//! A universe as it is over a system that has its base.

use std::collections::{BTreeMap, BTreeSet};

use super::{Conflict, PackageId, Requirement, Universe};

/// The base satisfies itself: what it was made of is not for this solver to doubt. What is left of its requirements are
/// those that wait for something which it does not have.
pub(super) struct Over<'a, U> {
    universe: &'a U,
    waiting: BTreeMap<PackageId, Vec<Requirement>>,
}

impl<'a, U: Universe> Over<'a, U> {
    pub(super) fn new(universe: &'a U, base: &BTreeSet<PackageId>) -> Self {
        let satisfied = |requirement: &Requirement| {
            requirement.when.is_empty() || requirement.any_of.iter().any(|id| base.contains(id))
        };
        let waiting = base.iter().map(|id| {
            let mut requirements = universe.requirements(*id);
            requirements.retain(|requirement| !satisfied(requirement));
            (*id, requirements)
        });
        Self {
            universe,
            waiting: waiting.collect(),
        }
    }

    /// What packages of the base will require once something is there.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Requirement> {
        self.waiting.values().flatten()
    }
}

impl<U: Universe> Universe for Over<'_, U> {
    fn len(&self) -> usize {
        self.universe.len()
    }

    fn label(&self, package: PackageId) -> String {
        self.universe.label(package)
    }

    fn same_name(&self, package: PackageId) -> &[PackageId] {
        self.universe.same_name(package)
    }

    fn requirements(&self, package: PackageId) -> Vec<Requirement> {
        match self.waiting.get(&package) {
            Some(waiting) => waiting.clone(),
            None => self.universe.requirements(package),
        }
    }

    fn conflicts(&self, package: PackageId) -> Vec<Conflict> {
        self.universe.conflicts(package)
    }
}
