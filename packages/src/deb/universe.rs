//! The packages of some indexes for one architecture, with their relations lowered to packages.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;

use super::index::{self, Entry, Essential, IndexError, MultiArch, Priority};
use super::relation::{self, Alternative, Bound, Operator, RelationError};
use super::release::IndexFile;
use super::version;
use crate::solve::{self, Conflict, PackageId, Requirement, Unsatisfiable, Wish};

/// All packages that a system of one architecture can have.
#[derive(Debug)]
pub struct Universe {
    arch: String,
    packages: Vec<Entry>,
    /// The newest first.
    named: HashMap<Box<str>, Vec<PackageId>>,
    provided: HashMap<Box<str>, Vec<Provider>>,
}

/// Who provides a name.
#[derive(Clone, Debug)]
struct Provider {
    package: PackageId,
    version: Option<Box<str>>,
}

/// Which packages every bare system has: what is essential, what has one of these priorities, what is named here, and
/// whatever these need and nothing else could be in place of.
#[derive(Clone, Debug, Default)]
pub struct BaseRule {
    pub priorities: Vec<String>,
    pub names: Vec<String>,
}

impl Universe {
    /// Without packages yet; `arch` as Debian calls it.
    #[must_use]
    pub fn new(arch: &str) -> Self {
        Self {
            arch: arch.to_owned(),
            packages: Vec::new(),
            named: HashMap::new(),
            provided: HashMap::new(),
        }
    }

    /// Adds the packages of an index, once its bytes have proven to be what was signed. `source` says in the answer which
    /// archive a package is of. Of what two archives have alike, the first one's counts.
    pub fn read(
        &mut self,
        file: &IndexFile,
        bytes: impl Read,
        source: usize,
    ) -> Result<(), IndexError> {
        for entry in index::read(file, bytes, source)? {
            self.add(entry).map_err(|error| IndexError::Malformed {
                path: file.path.clone(),
                why: error.to_string(),
            })?;
        }
        Ok(())
    }

    fn add(&mut self, entry: Entry) -> Result<(), RelationError> {
        if *entry.arch != *self.arch && &*entry.arch != "all" {
            return Ok(());
        }
        let package = PackageId::new(self.packages.len());
        let packages = &self.packages;
        let same = self.named.entry(entry.name.clone()).or_default();
        let newer =
            |id: &PackageId| version::compare(&packages[id.index()].version, &entry.version);
        let place = same.partition_point(|id| newer(id).is_gt());
        if same.get(place).is_some_and(|id| newer(id).is_eq()) {
            return Ok(());
        }
        same.insert(place, package);
        for alternative in relation::parse(&entry.provides, &self.arch)?
            .into_iter()
            .flatten()
        {
            let version = alternative.bound.map(|bound| bound.version.into());
            let providers = self.provided.entry(alternative.name.into()).or_default();
            providers.push(Provider { package, version });
        }
        // What cannot be read is known here, and not in the middle of solving.
        for field in [&entry.requires, &entry.conflicts, &entry.breaks] {
            relation::parse(field, &self.arch)?;
        }
        self.packages.push(entry);
        Ok(())
    }

    /// The base that a rule describes. Where its packages leave a choice, as `usrmerge | usr-is-merged` does, installations
    /// differ: what would be chosen here is not in it, nor what that needs.
    pub fn base(&self, rule: &BaseRule) -> Result<BTreeSet<PackageId>, Unsatisfiable> {
        let mut wishes = Vec::new();
        let mut names: Vec<&str> = rule.names.iter().map(String::as_str).collect();
        for same in self.named.values() {
            let Some(newest) = same.first() else { continue };
            let entry = self.entry(*newest);
            let by_priority = rule
                .priorities
                .iter()
                .any(|name| named(entry.priority) == name);
            if entry.essential == Essential::Yes || by_priority {
                names.push(&entry.name);
            }
        }
        names.sort_unstable();
        names.dedup();
        for name in &names {
            let alternative = Alternative {
                name: (*name).to_owned(),
                qualifier: None,
                bound: None,
            };
            wishes.push(Wish {
                by: "the base system".to_owned(),
                wanted: self.lower(&[alternative]),
            });
        }
        let solution = solve::solve(self, &BTreeSet::new(), &wishes)?;
        let chosen: BTreeSet<PackageId> = solution.chosen.into_keys().collect();
        let asked = chosen.iter().copied();
        let asked = asked.filter(|id| names.binary_search(&&*self.entry(*id).name).is_ok());
        Ok(self.certain(&chosen, asked.collect()))
    }

    /// Those of the chosen ones that the given ones need, without any choice on the way.
    fn certain(
        &self,
        chosen: &BTreeSet<PackageId>,
        mut open: Vec<PackageId>,
    ) -> BTreeSet<PackageId> {
        let mut certain = BTreeSet::new();
        while let Some(id) = open.pop() {
            if !certain.insert(id) {
                continue;
            }
            for alternatives in self.relations(id) {
                let [only] = alternatives.as_slice() else {
                    continue;
                };
                let candidates = self.candidates(only);
                let mut names = candidates.iter().map(|id| &self.entry(*id).name);
                let first = names.next();
                let one_name = names.all(|name| Some(name) == first);
                let taken = candidates.iter().filter(|id| chosen.contains(id));
                // A package of that very name is what a bare system has, whoever else may provide it.
                open.extend(taken.filter(|id| one_name || self.is_real(**id, only)));
            }
        }
        certain
    }

    /// A wish, said as in a package's relations: `chrony`, `iptables (>= 1.8)`, `a | b`.
    pub fn wish(&self, text: &str, by: &str) -> Result<Wish, RelationError> {
        let relations = relation::parse(text, &self.arch)?;
        let [alternatives] = relations.as_slice() else {
            return Err(RelationError {
                text: text.to_owned(),
            });
        };
        Ok(Wish {
            by: by.to_owned(),
            wanted: self.lower(alternatives),
        })
    }

    pub(super) fn entry(&self, package: PackageId) -> &Entry {
        &self.packages[package.index()]
    }

    /// What a package requires, in the order of [`solve::Universe::requirements`].
    pub(super) fn relations(&self, package: PackageId) -> Vec<Vec<Alternative>> {
        self.field(&self.entry(package).requires)
    }

    /// What a package does not stand, with the word for it.
    pub(super) fn exclusions(&self, package: PackageId) -> Vec<(&'static str, Alternative)> {
        let entry = self.entry(package);
        let fields = [
            ("conflicts with", &entry.conflicts),
            ("breaks", &entry.breaks),
        ];
        let each = fields.into_iter().flat_map(|(verb, field)| {
            let alternatives = self.field(field).into_iter().flatten();
            alternatives.map(move |alternative| (verb, alternative))
        });
        each.collect()
    }

    fn field(&self, field: &str) -> Vec<Vec<Alternative>> {
        relation::parse(field, &self.arch).expect("every field was read when the package was added")
    }

    fn lower(&self, alternatives: &[Alternative]) -> Requirement {
        let texts: Vec<String> = alternatives.iter().map(ToString::to_string).collect();
        let mut any_of = Vec::new();
        for package in alternatives
            .iter()
            .flat_map(|alternative| self.candidates(alternative))
        {
            if !any_of.contains(&package) {
                any_of.push(package);
            }
        }
        let near = if any_of.is_empty() {
            let named = alternatives
                .iter()
                .filter_map(|one| self.named.get(one.name.as_str()));
            named.flatten().copied().collect()
        } else {
            Vec::new()
        };
        Requirement {
            text: texts.join(" | "),
            any_of,
            when: Vec::new(),
            near,
        }
    }

    /// Packages of the name, the newest first; then those that provide it, as apt prefers them: by priority, then as the
    /// index lists them.
    fn candidates(&self, alternative: &Alternative) -> Vec<PackageId> {
        let named = self
            .named
            .get(alternative.name.as_str())
            .into_iter()
            .flatten();
        let real = named.copied().filter(|id| self.is_real(*id, alternative));
        let mut candidates: Vec<PackageId> = real.collect();
        let providers = self
            .provided
            .get(alternative.name.as_str())
            .into_iter()
            .flatten();
        let mut providers: Vec<PackageId> = providers
            .filter(|provider| self.provides(provider, alternative))
            .map(|provider| provider.package)
            .collect();
        providers.sort_by_key(|id| (self.entry(*id).priority, *id));
        candidates.extend(providers);
        candidates
    }

    /// Whether a package of the name satisfies an alternative by its own version.
    pub(super) fn is_real(&self, package: PackageId, alternative: &Alternative) -> bool {
        let entry = self.entry(package);
        *entry.name == *alternative.name
            && self.qualifies(package, alternative)
            && alternative
                .bound
                .as_ref()
                .is_none_or(|bound| bound.allows(&entry.version))
    }

    /// A version is satisfied by a provided one alone.
    fn provides(&self, provider: &Provider, alternative: &Alternative) -> bool {
        let within = |bound: &Bound| {
            let version = provider.version.as_deref();
            version.is_some_and(|version| bound.allows(version))
        };
        self.qualifies(provider.package, alternative)
            && alternative.bound.as_ref().is_none_or(within)
    }

    fn qualifies(&self, package: PackageId, alternative: &Alternative) -> bool {
        match alternative.qualifier.as_deref() {
            None | Some("native") => true,
            Some("any") => self.entry(package).multi_arch == MultiArch::Allowed,
            Some(arch) => arch == self.arch,
        }
    }
}

impl solve::Universe for Universe {
    fn len(&self) -> usize {
        self.packages.len()
    }

    fn label(&self, package: PackageId) -> String {
        let entry = self.entry(package);
        format!("{} {}", entry.name, entry.version)
    }

    fn same_name(&self, package: PackageId) -> &[PackageId] {
        &self.named[&self.entry(package).name]
    }

    fn requirements(&self, package: PackageId) -> Vec<Requirement> {
        let relations = self.relations(package);
        relations
            .iter()
            .map(|alternatives| self.lower(alternatives))
            .collect()
    }

    fn conflicts(&self, package: PackageId) -> Vec<Conflict> {
        let own = &self.entry(package).name;
        let exclusions = self.exclusions(package).into_iter();
        let lowered = exclusions.map(|(verb, alternative)| Conflict {
            text: format!("{verb} {alternative}"),
            // Who provides a name and conflicts with it wants to be the only one who does.
            with: self
                .candidates(&alternative)
                .into_iter()
                .filter(|with| self.entry(*with).name != *own)
                .collect(),
        });
        lowered
            .filter(|conflict| !conflict.with.is_empty())
            .collect()
    }
}

const fn named(priority: Priority) -> &'static str {
    match priority {
        Priority::Required => "required",
        Priority::Important => "important",
        Priority::Standard => "standard",
        Priority::Optional => "optional",
        Priority::Extra => "extra",
    }
}

impl Bound {
    /// The version that a package must at least have by it.
    pub(super) fn floor(&self) -> Option<&str> {
        match self.operator {
            Operator::AtLeast | Operator::Above | Operator::Exactly => Some(&self.version),
            Operator::Below | Operator::AtMost => None,
        }
    }

    /// The version that a package must at least have so that it is not within.
    pub(super) fn floor_beyond(&self) -> Option<&str> {
        match self.operator {
            Operator::Below | Operator::AtMost => Some(&self.version),
            Operator::AtLeast | Operator::Above | Operator::Exactly => None,
        }
    }
}
