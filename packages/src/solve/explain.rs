//! Why wishes cannot be met, for people. The solver only says that there is no answer, in clauses it has learnt on the way;
//! here what the wishes force and what that rules out is followed from the beginning, with the reason of each, until
//! something both must and cannot be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Conflict, PackageId, Requirement, Universe, Unsatisfiable, Wish, Wished};

/// Of packages that fail for a like reason, so many are told.
const TOLD: usize = 4;

/// Why a package must be there.
#[derive(Clone)]
enum In {
    Base,
    Wish(usize),
    Needed { by: PackageId, text: String },
}

/// Why a package cannot be there.
#[derive(Clone)]
enum Out {
    /// One of its requirements has no candidate left.
    Lacks(Requirement),
    /// It and a package that must be there exclude each other: who says so, and how.
    Excluded {
        by: PackageId,
        says: PackageId,
        text: String,
    },
    /// Another version of it must be there.
    Other(PackageId),
}

/// What stands against the wishes.
enum Dead {
    Wish(usize),
    Package(PackageId),
}

struct Search<'a, U> {
    universe: &'a U,
    wishes: Vec<&'a Wish>,
    requirements: BTreeMap<PackageId, Vec<Requirement>>,
    conflicts: BTreeMap<PackageId, Vec<Conflict>>,
    present: BTreeMap<PackageId, In>,
    absent: BTreeMap<PackageId, Out>,
}

pub(super) fn explain(
    universe: &impl Universe,
    base: &BTreeSet<PackageId>,
    wishes: Vec<&Wish>,
) -> Unsatisfiable {
    let mut search = Search::new(universe, base, wishes);
    let dead = search.run();
    let mut told = Sentences::default();
    match dead {
        Some(Dead::Wish(index)) => search.tell_lack(None, &search.wishes[index].wanted, &mut told),
        Some(Dead::Package(package)) => {
            search.tell_absent(package, &mut told);
            search.tell_present(package, &mut told);
        }
        None => told.say("every way to have them ends in a conflict".to_owned()),
    }
    let wishes = search.wishes.iter().map(|wish| Wished {
        text: wish.wanted.text.clone(),
        by: wish.by.clone(),
    });
    Unsatisfiable {
        wishes: wishes.collect(),
        because: told.lines,
    }
}

/// Sentences, each said once.
#[derive(Default)]
struct Sentences {
    lines: Vec<String>,
    packages: BTreeSet<(PackageId, bool)>,
}

impl Sentences {
    fn say(&mut self, line: String) {
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
    }
}

impl<'a, U: Universe> Search<'a, U> {
    fn new(universe: &'a U, base: &BTreeSet<PackageId>, wishes: Vec<&'a Wish>) -> Self {
        let mut search = Self {
            universe,
            wishes,
            requirements: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            present: BTreeMap::new(),
            absent: BTreeMap::new(),
        };
        let mut queue: VecDeque<PackageId> = base.iter().copied().collect();
        let wanted = search.wishes.iter().flat_map(|wish| &wish.wanted.any_of);
        queue.extend(wanted);
        while let Some(package) = queue.pop_front() {
            if search.requirements.contains_key(&package) {
                continue;
            }
            let requirements = universe.requirements(package);
            queue.extend(requirements.iter().flat_map(|needed| &needed.any_of));
            search.requirements.insert(package, requirements);
            search
                .conflicts
                .insert(package, universe.conflicts(package));
        }
        search.present = base.iter().map(|package| (*package, In::Base)).collect();
        search
    }

    /// Goes on until something both must and cannot be, or nothing more follows.
    fn run(&mut self) -> Option<Dead> {
        loop {
            let before = (self.present.len(), self.absent.len());
            if let Some(index) = self.force_wishes() {
                return Some(Dead::Wish(index));
            }
            self.force_needed();
            self.rule_out();
            let both = self.absent.keys().find(|id| self.present.contains_key(id));
            if let Some(package) = both {
                return Some(Dead::Package(*package));
            }
            if before == (self.present.len(), self.absent.len()) {
                return None;
            }
        }
    }

    fn left(&self, requirement: &Requirement) -> Vec<PackageId> {
        let candidates = requirement.any_of.iter();
        candidates
            .filter(|id| !self.absent.contains_key(id))
            .copied()
            .collect()
    }

    fn applies(&self, requirement: &Requirement) -> bool {
        requirement.applies(|id| self.present.contains_key(id))
    }

    fn force_wishes(&mut self) -> Option<usize> {
        for index in 0..self.wishes.len() {
            match self.left(&self.wishes[index].wanted).as_slice() {
                [] => return Some(index),
                [only] => {
                    self.present.entry(*only).or_insert(In::Wish(index));
                }
                _ => {}
            }
        }
        None
    }

    fn force_needed(&mut self) {
        let mut forced = Vec::new();
        for by in self.present.keys().copied() {
            for requirement in &self.requirements[&by] {
                if let ([only], true) =
                    (self.left(requirement).as_slice(), self.applies(requirement))
                {
                    let text = requirement.text.clone();
                    forced.push((*only, In::Needed { by, text }));
                }
            }
        }
        for (package, reason) in forced {
            self.present.entry(package).or_insert(reason);
        }
    }

    fn rule_out(&mut self) {
        let mut out: Vec<(PackageId, Out)> = Vec::new();
        for (package, requirements) in &self.requirements {
            let lacks = requirements
                .iter()
                .find(|requirement| self.applies(requirement) && self.left(requirement).is_empty());
            if let Some(requirement) = lacks {
                out.push((*package, Out::Lacks(requirement.clone())));
            }
        }
        for (says, conflicts) in &self.conflicts {
            for conflict in conflicts {
                for with in &conflict.with {
                    let excluded = |by: &PackageId| Out::Excluded {
                        by: *by,
                        says: *says,
                        text: conflict.text.clone(),
                    };
                    if self.present.contains_key(says) {
                        out.push((*with, excluded(says)));
                    } else if self.present.contains_key(with) {
                        out.push((*says, excluded(with)));
                    }
                }
            }
        }
        for package in self.present.keys() {
            let others = self.universe.same_name(*package).iter();
            out.extend(
                others
                    .filter(|other| *other != package)
                    .map(|other| (*other, Out::Other(*package))),
            );
        }
        for (package, reason) in out {
            self.absent.entry(package).or_insert(reason);
        }
    }

    fn label(&self, package: PackageId) -> String {
        self.universe.label(package)
    }

    fn tell_lack(&self, who: Option<PackageId>, requirement: &Requirement, told: &mut Sentences) {
        if requirement.any_of.is_empty() {
            let near: Vec<String> = requirement.near.iter().map(|id| self.label(*id)).collect();
            let near = match near.as_slice() {
                [] => String::new(),
                some => format!("; there is {}", some.join(", ")),
            };
            told.say(match who {
                Some(who) => format!(
                    "{} requires {}, which no package satisfies{near}",
                    self.label(who),
                    requirement.text
                ),
                None => format!("no package satisfies {}{near}", requirement.text),
            });
            return;
        }
        if let Some(who) = who {
            told.say(format!("{} requires {}", self.label(who), requirement.text));
        }
        for candidate in requirement.any_of.iter().take(TOLD) {
            self.tell_absent(*candidate, told);
        }
        if let Some(more) = requirement.any_of.len().checked_sub(TOLD + 1) {
            told.say(format!(
                "and so with {} more for {}",
                more + 1,
                requirement.text
            ));
        }
    }

    fn tell_absent(&self, package: PackageId, told: &mut Sentences) {
        if !told.packages.insert((package, false)) {
            return;
        }
        match self.absent.get(&package) {
            Some(Out::Lacks(requirement)) => {
                self.tell_lack(Some(package), requirement, told);
                let present = |id: &&PackageId| self.present.contains_key(id);
                for condition in &requirement.when {
                    if let Some(there) = condition.iter().find(present) {
                        self.tell_present(*there, told);
                    }
                }
            }
            Some(Out::Excluded { by, says, text }) => {
                let other = if says == by { package } else { *by };
                told.say(format!(
                    "{} {text}, which is {}",
                    self.label(*says),
                    self.label(other)
                ));
                self.tell_present(*by, told);
            }
            Some(Out::Other(other)) => {
                told.say(format!(
                    "{} cannot be there, as {} is",
                    self.label(package),
                    self.label(*other)
                ));
                self.tell_present(*other, told);
            }
            None => {}
        }
    }

    fn tell_present(&self, package: PackageId, told: &mut Sentences) {
        if !told.packages.insert((package, true)) {
            return;
        }
        match self.present.get(&package) {
            Some(In::Base) => told.say(format!("{} is of the base system", self.label(package))),
            Some(In::Needed { by, text }) => {
                told.say(format!(
                    "{} is the only one left for {text}, which {} requires",
                    self.label(package),
                    self.label(*by)
                ));
                self.tell_present(*by, told);
            }
            Some(In::Wish(index)) => {
                let wish = self.wishes[*index];
                told.say(format!("{} is wanted by {}", self.label(package), wish.by));
            }
            None => {}
        }
    }
}
