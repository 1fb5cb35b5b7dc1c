//! All packages of a system's repositories as the solver's question, and its answer as packages again.
//!
//! What is preferred is what dnf prefers: the newest version of a name, no package that another one replaces, and among
//! different names that answer alike the one that provides more in higher versions, or the first of the alphabet. Weak
//! dependencies are not followed.

mod question;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::answer::Carried;
use crate::solve::{self, PackageId, Requirement, Unsatisfiable, Wish};

use super::checksum::Sha256;
use super::primary::Package;
use super::relation::{Capability, Clause, Relation};
use super::version::{Evr, Operator, Range};

/// The packages of some repositories.
#[derive(Debug, Default)]
pub struct Universe {
    packages: Vec<Offered>,
    /// Newest first.
    names: HashMap<String, Vec<PackageId>>,
    provides: HashMap<String, Vec<(PackageId, Option<Range>)>>,
    files: HashMap<String, Vec<PackageId>>,
}

#[derive(Debug)]
struct Offered {
    package: Package,
    repository: usize,
}

impl Universe {
    /// The packages of several repositories; of a build that several have, the first counts.
    #[must_use]
    pub fn new(repositories: impl IntoIterator<Item = Vec<Package>>) -> Self {
        let mut universe = Self::default();
        let mut known = BTreeSet::new();
        for (repository, packages) in repositories.into_iter().enumerate() {
            for package in packages {
                let build = (
                    package.name.clone(),
                    package.evr.clone(),
                    package.arch.clone(),
                );
                if known.insert(build) {
                    universe.add(Offered {
                        package,
                        repository,
                    });
                }
            }
        }
        let Self {
            packages, names, ..
        } = &mut universe;
        for ids in names.values_mut() {
            ids.sort_by_key(|id| {
                let package = &packages[id.index()].package;
                (Reverse(package.evr.clone()), *id)
            });
        }
        universe
    }

    fn add(&mut self, offered: Offered) {
        let id = PackageId::new(self.packages.len());
        let package = &offered.package;
        self.names.entry(package.name.clone()).or_default().push(id);
        for Capability { name, range } in &package.provides {
            self.provides
                .entry(name.clone())
                .or_default()
                .push((id, range.clone()));
        }
        for file in &package.files {
            self.files.entry(file.clone()).or_default().push(id);
        }
        self.packages.push(offered);
    }

    /// The packages of a system that come with it: those of the names and what they need.
    pub fn base(&self, names: &[String]) -> Result<BTreeSet<PackageId>, Unsatisfiable> {
        let wish = |name: &String| {
            let asked = Capability::named(name);
            self.wish_for(
                name,
                "the base of the system",
                &asked,
                &self.by_name(&asked),
            )
        };
        let wishes: Vec<Wish> = names.iter().map(wish).collect();
        let solution = solve::solve(self, &BTreeSet::new(), &wishes)?;
        Ok(solution.chosen.into_keys().collect())
    }

    /// Somebody wants a package: by its name, or by something that it provides, with a range perhaps. Who asks for what
    /// was replaced gets what replaced it.
    #[must_use]
    pub fn wish(&self, text: &str, by: &str) -> Wish {
        let asked = match Relation::parse(text) {
            Some(Relation::One(capability)) => capability,
            _ => Capability::named(text),
        };
        let mut any_of = self.by_name(&asked);
        if let Some(newest) = self.named(&asked).first() {
            any_of.extend(self.ids().filter(|id| self.replaces(*id, *newest)));
        }
        self.wish_for(text, by, &asked, &any_of)
    }

    fn wish_for(
        &self,
        text: &str,
        by: &str,
        asked: &Capability,
        any_of: &BTreeSet<PackageId>,
    ) -> Wish {
        Wish {
            by: by.to_owned(),
            wanted: Requirement {
                text: text.to_owned(),
                near: self.near(asked, any_of),
                any_of: self.by_preference(any_of),
                ..Requirement::default()
            },
        }
    }

    /// The files that have to be looked up in `filelists.xml` before these wishes can be solved: none, if nothing that
    /// comes into question requires a file that is not known yet.
    #[must_use]
    pub fn unknown_files(&self, wishes: &[Wish]) -> BTreeSet<String> {
        let mut seen: BTreeSet<PackageId> = BTreeSet::new();
        let mut queue: Vec<PackageId> = wishes
            .iter()
            .flat_map(|wish| wish.wanted.any_of.clone())
            .collect();
        let mut unknown = wishes
            .iter()
            .any(|wish| self.is_unknown_file(&wish.wanted.text));
        while let Some(id) = queue.pop() {
            if !seen.insert(id) {
                continue;
            }
            for requirement in solve::Universe::requirements(self, id) {
                queue.extend(requirement.any_of);
            }
            unknown = unknown || self.unknown_files_of(id).next().is_some();
        }
        if !unknown {
            return BTreeSet::new();
        }
        // What will be found may ask for more: it is read once, for all.
        let asked = wishes.iter().map(|wish| wish.wanted.text.as_str());
        let asked = asked.filter(|text| self.is_unknown_file(text));
        self.ids()
            .flat_map(|id| self.unknown_files_of(id))
            .chain(asked)
            .map(str::to_owned)
            .collect()
    }

    /// Adds what [`super::filelists::read`] has found in one of the repositories. Wishes made before do not know of it.
    pub fn add_files(&mut self, found: &BTreeMap<Sha256, Vec<String>>) {
        for (index, offered) in self.packages.iter_mut().enumerate() {
            for file in found.get(&offered.package.sha256).into_iter().flatten() {
                if offered.package.files.contains(file) {
                    continue;
                }
                offered.package.files.push(file.clone());
                self.files
                    .entry(file.clone())
                    .or_default()
                    .push(PackageId::new(index));
            }
        }
    }

    fn unknown_files_of(&self, id: PackageId) -> impl Iterator<Item = &str> {
        let Package {
            requires,
            conflicts,
            ..
        } = self.package(id);
        let capabilities = requires
            .iter()
            .chain(conflicts)
            .flat_map(Relation::capabilities);
        capabilities
            .map(|capability| capability.name.as_str())
            .filter(|name| self.is_unknown_file(name))
    }

    fn is_unknown_file(&self, name: &str) -> bool {
        name.starts_with('/') && !self.files.contains_key(name) && !self.provides.contains_key(name)
    }

    /// What the metadata say of a package of an answer.
    #[must_use]
    pub fn claimed(&self, carried: &Carried) -> Option<&Package> {
        let ids = self.names.get(&carried.name)?.iter();
        let mut packages = ids.map(|id| self.package(*id));
        packages.find(|package| {
            package.evr.to_string() == carried.version && package.arch == carried.arch
        })
    }

    pub(super) fn package(&self, id: PackageId) -> &Package {
        &self.packages[id.index()].package
    }

    pub(super) fn repository(&self, id: PackageId) -> usize {
        self.packages[id.index()].repository
    }

    fn ids(&self) -> impl Iterator<Item = PackageId> + use<> {
        (0..self.packages.len()).map(PackageId::new)
    }

    fn of_name(&self, name: &str) -> &[PackageId] {
        self.names.get(name).map_or(&[], Vec::as_slice)
    }

    /// Packages of the very name, newest first.
    fn named(&self, asked: &Capability) -> Vec<PackageId> {
        let fits = |id: &PackageId| {
            asked
                .range
                .as_ref()
                .is_none_or(|range| range.contains(&self.package(*id).evr))
        };
        self.of_name(&asked.name)
            .iter()
            .copied()
            .filter(fits)
            .collect()
    }

    /// Packages of the name, or what provides it where there is none.
    fn by_name(&self, asked: &Capability) -> BTreeSet<PackageId> {
        let named = self.named(asked);
        if named.is_empty() {
            self.answering(asked)
        } else {
            named.into_iter().collect()
        }
    }

    pub(super) fn answering(&self, asked: &Capability) -> BTreeSet<PackageId> {
        // As in rpm, a name without versions stands for each of them.
        let provided = self.provides.get(&asked.name).into_iter().flatten();
        let provided = provided.filter(|(_, range)| match (range, &asked.range) {
            (Some(provided), Some(asked)) => provided.meets(asked),
            _ => true,
        });
        let files = asked
            .range
            .is_none()
            .then(|| self.files.get(&asked.name))
            .flatten();
        provided
            .map(|(id, _)| *id)
            .chain(files.into_iter().flatten().copied())
            .collect()
    }

    /// The packages of a set.
    fn members(&self, set: &Relation) -> BTreeSet<PackageId> {
        match set {
            Relation::One(capability) => self.answering(capability),
            Relation::Any(parts) => parts.iter().flat_map(|part| self.members(part)).collect(),
            Relation::With(parts) => &self.members(&parts[0]) & &self.members(&parts[1]),
            Relation::Without(parts) => &self.members(&parts[0]) - &self.members(&parts[1]),
            // More than one package is needed to tell; no set is made of these.
            Relation::All(_) | Relation::If(_) | Relation::Unless(_) => BTreeSet::new(),
        }
    }

    /// Whether a package takes the place of another one, of another name.
    fn replaces(&self, new: PackageId, old: PackageId) -> bool {
        let (new, old) = (self.package(new), self.package(old));
        new.name != old.name
            && new.obsoletes.iter().any(|obsolete| {
                obsolete.name == old.name
                    && obsolete
                        .range
                        .as_ref()
                        .is_none_or(|range| range.contains(&old.evr))
            })
    }

    fn by_preference(&self, candidates: &BTreeSet<PackageId>) -> Vec<PackageId> {
        let versions: Vec<(PackageId, HashMap<&str, &Evr>)> = candidates
            .iter()
            .map(|id| (*id, self.versions(*id)))
            .collect();
        let mut ranked: Vec<_> = versions
            .iter()
            .map(|(id, own)| {
                let package = self.package(*id);
                let replaced = candidates.iter().any(|other| self.replaces(*other, *id));
                let outdated = package.evr < self.package(self.of_name(&package.name)[0]).evr;
                let rivals = versions
                    .iter()
                    .filter(|(other, _)| self.package(*other).name != package.name);
                let beaten = rivals.filter(|(_, rival)| beats(rival, own)).count();
                let version = Reverse(&package.evr);
                ((replaced, outdated, beaten, &package.name, version), *id)
            })
            .collect();
        ranked.sort();
        ranked.into_iter().map(|(_, id)| id).collect()
    }

    /// What a package provides in one version.
    fn versions(&self, id: PackageId) -> HashMap<&str, &Evr> {
        let provides = self.package(id).provides.iter();
        provides
            .filter_map(|provided| match &provided.range {
                Some(Range {
                    operator: Operator::Equal,
                    bound,
                }) => Some((provided.name.as_str(), bound)),
                _ => None,
            })
            .collect()
    }

    /// What has the name and does not do, to be told where nothing does.
    fn near(&self, asked: &Capability, fitting: &BTreeSet<PackageId>) -> Vec<PackageId> {
        let any = Capability::named(&asked.name);
        self.by_preference(&(&self.answering(&any) - fitting))
    }

    /// A clause of a package as a requirement; `None` if the package itself satisfies it.
    fn lower(&self, of: PackageId, text: &str, clause: &Clause<'_>) -> Option<Requirement> {
        let any_of: BTreeSet<PackageId> = clause
            .any
            .iter()
            .flat_map(|set| self.members(set))
            .collect();
        if any_of.contains(&of) {
            return None;
        }
        let conditions = clause.when.iter().map(|set| self.members(set));
        let when: Vec<BTreeSet<PackageId>> = conditions
            .filter(|members| !members.contains(&of))
            .collect();
        let near = match clause.any.as_slice() {
            [Relation::One(asked)] => self.near(asked, &any_of),
            _ => Vec::new(),
        };
        Some(Requirement {
            text: text.to_owned(),
            any_of: self.by_preference(&any_of),
            when: when
                .into_iter()
                .map(|members| members.into_iter().collect())
                .collect(),
            near,
        })
    }
}

/// Whether, of what both provide, the first has more in a higher version.
fn beats(one: &HashMap<&str, &Evr>, other: &HashMap<&str, &Evr>) -> bool {
    let score: i32 = one
        .iter()
        .filter_map(|(name, version)| Some(version.cmp(other.get(name)?) as i32))
        .sum();
    score > 0
}
