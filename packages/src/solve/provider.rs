//! The problem as resolvo wants it: every package is a version set of its own, so that a union of version sets keeps the
//! order of a relation's candidates whatever their names are.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    Interner, KnownDependencies, LogicalOperator, NameId, Problem, SolvableId, Solver, SolverCache,
    StringId, UnsolvableOrCancelled, VersionSetId, VersionSetUnionId,
};

use super::{PackageId, Requirement, Universe, Wish, preferred};

pub(super) struct Provider<'a, U> {
    universe: &'a U,
    base: &'a BTreeSet<PackageId>,
    unconditional: &'a BTreeSet<(PackageId, usize)>,
    unions: RefCell<Vec<Vec<VersionSetId>>>,
    union_ids: RefCell<BTreeMap<Vec<VersionSetId>, VersionSetUnionId>>,
    conditions: RefCell<Vec<Condition>>,
}

/// A version set is one package, everything of its name but it, or nothing at all.
#[derive(Clone, Copy)]
enum Set {
    Just(PackageId),
    AllBut(PackageId),
    Nothing,
}

impl Set {
    fn of(id: VersionSetId) -> Self {
        match id.0.checked_sub(1) {
            None => Self::Nothing,
            Some(n) if n % 2 == 0 => Self::Just(PackageId(n / 2)),
            Some(n) => Self::AllBut(PackageId(n / 2)),
        }
    }

    fn id(self) -> VersionSetId {
        VersionSetId(match self {
            Self::Nothing => 0,
            Self::Just(package) => package.0 * 2 + 1,
            Self::AllBut(package) => package.0 * 2 + 2,
        })
    }
}

fn solvable(package: PackageId) -> SolvableId {
    SolvableId::from_raw(package.0)
}

fn package(solvable: SolvableId) -> PackageId {
    PackageId(solvable.into_raw())
}

impl<'a, U: Universe> Provider<'a, U> {
    /// All that the solver takes, with the base; `None` if there is no solution.
    ///
    /// resolvo 0.12 may overlook a conditional requirement whose condition comes to hold late. Such a one is noticed here
    /// and loses its condition, which at worst takes more than need be.
    pub(super) fn solve(
        universe: &'a U,
        base: &'a BTreeSet<PackageId>,
        wishes: &[&Wish],
    ) -> Option<BTreeSet<PackageId>> {
        let mut unconditional = BTreeSet::new();
        loop {
            let taken = Provider::attempt(universe, base, wishes, &unconditional)?;
            let overlooked = overlooked(universe, &taken);
            if overlooked.is_empty() {
                return Some(taken);
            }
            let known = unconditional.len();
            unconditional.extend(overlooked);
            if unconditional.len() == known {
                return None;
            }
        }
    }

    fn attempt(
        universe: &'a U,
        base: &'a BTreeSet<PackageId>,
        wishes: &[&Wish],
        unconditional: &'a BTreeSet<(PackageId, usize)>,
    ) -> Option<BTreeSet<PackageId>> {
        let provider = Self {
            universe,
            base,
            unconditional,
            unions: RefCell::default(),
            union_ids: RefCell::default(),
            conditions: RefCell::default(),
        };
        let wanted = wishes.iter().map(|wish| &wish.wanted);
        let requirements = base
            .iter()
            .map(|package| Set::Just(*package).id().into())
            .chain(wanted.map(|wanted| provider.lower(wanted)))
            .collect();
        let mut solver = Solver::new(provider);
        match solver.solve(Problem::new().requirements(requirements)) {
            Ok(taken) => Some(taken.into_iter().map(package).collect()),
            Err(UnsolvableOrCancelled::Unsolvable(_)) => None,
            Err(UnsolvableOrCancelled::Cancelled(_)) => {
                unreachable!("this provider cancels nothing")
            }
        }
    }

    fn lower(&self, requirement: &Requirement) -> ConditionalRequirement {
        let sets: Vec<VersionSetId> = preferred(self.base, &requirement.any_of)
            .map(|package| Set::Just(package).id())
            .collect();
        let lowered = match sets.as_slice() {
            [] => Set::Nothing.id().into(),
            [one] => (*one).into(),
            _ => self.union(sets).into(),
        };
        ConditionalRequirement {
            condition: self.all(&requirement.when),
            requirement: lowered,
        }
    }

    fn union(&self, sets: Vec<VersionSetId>) -> VersionSetUnionId {
        let mut unions = self.unions.borrow_mut();
        *self
            .union_ids
            .borrow_mut()
            .entry(sets)
            .or_insert_with_key(|sets| {
                unions.push(sets.clone());
                VersionSetUnionId(count(unions.len() - 1))
            })
    }

    fn all(&self, sets: &[Vec<PackageId>]) -> Option<ConditionId> {
        let sets = sets.iter().map(|set| self.any(set));
        sets.reduce(|all, set| self.condition(Condition::Binary(LogicalOperator::And, all, set)))
    }

    fn any(&self, packages: &[PackageId]) -> ConditionId {
        let mut sets = packages.iter().map(|package| Set::Just(*package).id());
        let first = sets.next().unwrap_or(Set::Nothing.id());
        sets.fold(self.condition(Condition::Requirement(first)), |any, set| {
            let one = self.condition(Condition::Requirement(set));
            self.condition(Condition::Binary(LogicalOperator::Or, any, one))
        })
    }

    fn condition(&self, condition: Condition) -> ConditionId {
        let mut conditions = self.conditions.borrow_mut();
        conditions.push(condition);
        ConditionId::new(count(conditions.len() - 1))
    }

    /// A name goes by the first package that has it; no package has the name after the last.
    fn name(&self, of: PackageId) -> NameId {
        let first = self.universe.same_name(of).iter().min();
        NameId::from_raw(first.unwrap_or(&of).0)
    }

    fn no_name(&self) -> NameId {
        NameId::from_raw(count(self.universe.len()))
    }
}

/// The requirements of what was taken that are to be satisfied and are not, by their place.
fn overlooked(universe: &impl Universe, taken: &BTreeSet<PackageId>) -> Vec<(PackageId, usize)> {
    let have = |id: &PackageId| taken.contains(id);
    let each = taken.iter().flat_map(|id| {
        let requirements = universe.requirements(*id);
        let unmet = move |requirement: &Requirement| {
            requirement.applies(have) && !requirement.any_of.iter().any(have)
        };
        let places = requirements.into_iter().enumerate();
        places.filter_map(move |(index, requirement)| unmet(&requirement).then_some((*id, index)))
    });
    each.collect()
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("a problem has less than 2^32 relations")
}

impl<U: Universe> Interner for Provider<'_, U> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        self.universe.label(package(solvable))
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        format!("name {}", name.into_raw())
    }

    fn display_version_set(&self, set: VersionSetId) -> impl Display + '_ {
        match Set::of(set) {
            Set::Just(package) => self.universe.label(package),
            Set::AllBut(package) => format!("not {}", self.universe.label(package)),
            Set::Nothing => "nothing".to_owned(),
        }
    }

    fn display_string(&self, _: StringId) -> impl Display + '_ {
        ""
    }

    fn version_set_name(&self, set: VersionSetId) -> NameId {
        match Set::of(set) {
            Set::Just(package) | Set::AllBut(package) => self.name(package),
            Set::Nothing => self.no_name(),
        }
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        self.name(package(solvable))
    }

    fn version_sets_in_union(
        &self,
        union: VersionSetUnionId,
    ) -> impl Iterator<Item = VersionSetId> {
        self.unions.borrow()[union.0 as usize].clone().into_iter()
    }

    fn resolve_condition(&self, condition: ConditionId) -> Condition {
        self.conditions.borrow()[condition.as_u32() as usize].clone()
    }
}

impl<U: Universe> DependencyProvider for Provider<'_, U> {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let within = |of: &SolvableId| match Set::of(set) {
            Set::Just(one) => package(*of) == one,
            Set::AllBut(one) => package(*of) != one,
            Set::Nothing => false,
        };
        let fitting = candidates.iter().filter(|of| within(of) != inverse);
        fitting.copied().collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        if name == self.no_name() {
            return None;
        }
        let named = self.universe.same_name(PackageId(name.into_raw()));
        // What the base has stays as it is.
        let installed = named.iter().find(|package| self.base.contains(package));
        let candidates = installed.map_or(named, std::slice::from_ref);
        Some(Candidates {
            candidates: candidates.iter().copied().map(solvable).collect(),
            ..Candidates::default()
        })
    }

    /// A version set has one package, so there is nothing to sort.
    async fn sort_candidates(&self, _: &SolverCache<Self>, _: &mut [SolvableId]) {}

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let package = package(solvable);
        let requirements = self.universe.requirements(package);
        let conflicts = self.universe.conflicts(package);
        Dependencies::Known(KnownDependencies {
            requirements: requirements
                .iter()
                .enumerate()
                .map(|(index, requirement)| {
                    let mut lowered = self.lower(requirement);
                    if self.unconditional.contains(&(package, index)) {
                        lowered.condition = None;
                    }
                    lowered
                })
                .collect(),
            constrains: conflicts
                .iter()
                .flat_map(|conflict| &conflict.with)
                .map(|with| Set::AllBut(*with).id())
                .collect(),
        })
    }
}
