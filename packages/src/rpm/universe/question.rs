//! The packages as the solver asks for them.

use super::Universe;
use crate::rpm::primary::Package;
use crate::rpm::relation::Relation;
use crate::solve::{self, Conflict, PackageId, Requirement};

impl solve::Universe for Universe {
    fn len(&self) -> usize {
        self.packages.len()
    }

    fn label(&self, package: PackageId) -> String {
        let Package {
            name, evr, arch, ..
        } = self.package(package);
        format!("{name}-{evr}.{arch}")
    }

    fn same_name(&self, package: PackageId) -> &[PackageId] {
        self.of_name(&self.package(package).name)
    }

    fn requirements(&self, package: PackageId) -> Vec<Requirement> {
        let Package {
            requires,
            conflicts,
            ..
        } = self.package(package);
        let mut requirements = Vec::new();
        let required = requires
            .iter()
            .map(|relation| (relation.to_string(), relation.holds()));
        // A conflict with more than a set of packages is something to be kept true, as a requirement is.
        let rich = conflicts
            .iter()
            .filter(|relation| !matches!(relation, Relation::One(_)));
        let avoided = rich.map(|relation| (format!("not {relation}"), relation.fails()));
        for (text, clauses) in required.chain(avoided) {
            match clauses {
                Some(clauses) => {
                    let lowered = clauses
                        .iter()
                        .filter_map(|clause| self.lower(package, &text, clause));
                    requirements.extend(lowered);
                }
                // Beyond measure: nothing satisfies it.
                None => requirements.push(Requirement {
                    text,
                    ..Requirement::default()
                }),
            }
        }
        requirements
    }

    fn conflicts(&self, package: PackageId) -> Vec<Conflict> {
        let Package {
            conflicts,
            obsoletes,
            ..
        } = self.package(package);
        let plain = conflicts.iter().filter_map(|relation| match relation {
            Relation::One(capability) => Some(Conflict {
                text: format!("conflicts with {capability}"),
                with: self
                    .answering(capability)
                    .into_iter()
                    .filter(|id| *id != package)
                    .collect(),
            }),
            _ => None,
        });
        let replaced = obsoletes.iter().map(|obsolete| Conflict {
            text: format!("replaces {obsolete}"),
            with: self
                .named(obsolete)
                .into_iter()
                .filter(|id| self.replaces(package, *id))
                .collect(),
        });
        plain
            .chain(replaced)
            .filter(|conflict| !conflict.with.is_empty())
            .collect()
    }
}
