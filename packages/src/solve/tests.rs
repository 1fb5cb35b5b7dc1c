use std::collections::BTreeSet;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;

/// A universe in few words: `name version; requires a b | c; conflicts d`, where a name stands for all its versions and
/// `name=version` for one. Newest first, as it is written.
struct Words {
    packages: Vec<(String, String, String)>,
    named: Vec<Vec<PackageId>>,
}

impl Words {
    fn new(lines: &[&str]) -> Self {
        let packages: Vec<_> = lines
            .iter()
            .map(|line| {
                let (id, rest) = line.split_once(';').unwrap_or((line, ""));
                let (name, version) = id.trim().split_once(' ').unwrap();
                (name.to_owned(), version.to_owned(), rest.to_owned())
            })
            .collect();
        let named = packages
            .iter()
            .map(|(name, ..)| {
                let all = packages.iter().enumerate();
                all.filter(|(_, (other, ..))| other == name)
                    .map(|(index, _)| PackageId::new(index))
                    .collect()
            })
            .collect();
        Self { packages, named }
    }

    fn find(&self, wanted: &str) -> Vec<PackageId> {
        let (name, version) = wanted.split_once('=').unwrap_or((wanted, ""));
        let all = self.packages.iter().enumerate();
        all.filter(|(_, (n, v, _))| n == name && (version.is_empty() || v == version))
            .map(|(index, _)| PackageId::new(index))
            .collect()
    }

    fn requirement(&self, text: &str) -> Requirement {
        let (text, when) = match text.split_once(" if ") {
            Some((text, when)) => (text, vec![self.find(when)]),
            None => (text, Vec::new()),
        };
        let any_of: Vec<_> = text.split('/').flat_map(|one| self.find(one)).collect();
        let near = if any_of.is_empty() {
            self.find(text.split('=').next().unwrap())
        } else {
            Vec::new()
        };
        Requirement {
            text: text.replace('=', " "),
            any_of,
            when,
            near,
        }
    }

    fn clauses(&self, package: PackageId, verb: &str) -> Vec<String> {
        let clauses = self.packages[package.index()].2.split(';');
        clauses
            .filter_map(|clause| clause.trim().strip_prefix(verb))
            .flat_map(|rest| rest.split(','))
            .map(|word| word.trim().to_owned())
            .collect()
    }

    fn wish(&self, text: &str) -> Wish {
        Wish {
            by: format!("the wish for {text}"),
            wanted: self.requirement(text),
        }
    }

    fn solve(&self, base: &[&str], wishes: &[&str]) -> Result<Solution, Unsatisfiable> {
        let base = base.iter().flat_map(|name| self.find(name)).collect();
        let wishes: Vec<Wish> = wishes.iter().map(|wish| self.wish(wish)).collect();
        solve(self, &base, &wishes)
    }

    fn chosen(&self, base: &[&str], wishes: &[&str]) -> String {
        let solution = self.solve(base, wishes).unwrap();
        let labels: Vec<_> = solution.chosen.keys().map(|id| self.label(*id)).collect();
        labels.join(", ")
    }

    fn refused(&self, base: &[&str], wishes: &[&str]) -> String {
        self.solve(base, wishes).unwrap_err().to_string()
    }
}

impl Universe for Words {
    fn len(&self) -> usize {
        self.packages.len()
    }

    fn label(&self, package: PackageId) -> String {
        let (name, version, _) = &self.packages[package.index()];
        format!("{name} {version}")
    }

    fn same_name(&self, package: PackageId) -> &[PackageId] {
        &self.named[package.index()]
    }

    fn requirements(&self, package: PackageId) -> Vec<Requirement> {
        let clauses = self.clauses(package, "requires ");
        clauses.iter().map(|text| self.requirement(text)).collect()
    }

    fn conflicts(&self, package: PackageId) -> Vec<Conflict> {
        let clauses = self.clauses(package, "conflicts ");
        let conflict = |text: &String| Conflict {
            text: format!("conflicts with {text}"),
            with: self
                .find(text)
                .into_iter()
                .filter(|with| *with != package)
                .collect(),
        };
        clauses.iter().map(conflict).collect()
    }
}

#[test]
fn the_newest_and_the_first_alternative_are_taken() {
    let words = Words::new(&["a 2; requires b/c", "a 1", "b 1", "c 1"]);
    assert_eq!(words.chosen(&[], &["a"]), "a 2, b 1");
}

#[test]
fn what_the_base_has_comes_before_the_first_alternative() {
    let words = Words::new(&["a 1; requires b/c", "b 1", "c 1"]);
    assert_eq!(words.chosen(&["c"], &["a"]), "a 1");
}

#[test]
fn a_package_of_the_base_is_not_replaced_by_a_newer_one() {
    let words = Words::new(&["a 1; requires b", "b 2", "b 1"]);
    assert_eq!(words.chosen(&["b=1"], &["a"]), "a 1");
    assert_snapshot!(words.refused(&["b=1"], &["b=2"]), @r"
    b 2 (wanted by the wish for b=2) cannot be installed:
      b 2 cannot be there, as b 1 is
      b 1 is of the base system
      b 2 is wanted by the wish for b=2
    ");
}

#[test]
fn an_older_version_is_taken_where_the_newest_cannot_be() {
    let words = Words::new(&["a 2; requires gone", "a 1; requires b", "b 1"]);
    assert_eq!(words.chosen(&[], &["a"]), "a 1, b 1");
}

#[test]
fn what_the_solver_tried_and_nobody_needs_is_left_out() {
    // c is taken for a before it turns out that b and c exclude each other.
    let words = Words::new(&[
        "a 1; requires c/d",
        "b 1; conflicts c",
        "c 1; requires e",
        "d 1",
        "e 1",
        "w 1; requires b",
    ]);
    assert_eq!(words.chosen(&[], &["a", "w"]), "a 1, b 1, d 1, w 1");
}

#[test]
fn needs_name_who_satisfies_them() {
    let words = Words::new(&["a 1; requires b, c", "b 1", "c 1"]);
    let solution = words.solve(&["c"], &["a", "c"]).unwrap();
    let [a, b, c] = [0, 1, 2].map(PackageId::new);
    assert_eq!(solution.wishes, [a, c]);
    let need = |requirement, by| Need { requirement, by };
    assert_eq!(solution.chosen[&a], [need(0, b), need(1, c)]);
}

#[test]
fn a_condition_counts_where_it_holds() {
    let words = Words::new(&["a 1; requires c if b", "b 1", "c 1; requires d if a", "d 1"]);
    assert_eq!(words.chosen(&[], &["a"]), "a 1");
    assert_eq!(words.chosen(&[], &["a", "b"]), "a 1, b 1, c 1, d 1");
    assert_eq!(words.chosen(&["b"], &["a"]), "a 1, c 1, d 1");
}

#[test]
fn a_condition_that_comes_to_hold_late_counts_as_well() {
    let words = Words::new(&[
        "p0 2; conflicts p1=2; requires p1=1/p3; requires p0=1/p1",
        "p0 1",
        "p1 2",
        "p1 1; requires p2 if p0",
        "p2 2",
        "p3 2",
        "p4 2; requires p0=2/p1; requires p3=2/p3",
    ]);
    assert_eq!(words.chosen(&[], &["p4"]), "p0 2, p1 1, p2 2, p3 2, p4 2");
}

#[test]
fn what_the_base_asks_for_once_something_comes_comes_as_well() {
    let universe = Words::new(&[
        "base 1; requires extra if app, gone if other, had if app",
        "had 1",
        "app 1",
        "extra 1; requires lib",
        "lib 1",
        "other 1",
        "alone 1",
    ]);
    let base = ["base", "had"];
    let solution = universe.solve(&base, &["app"]).unwrap();
    let (app, extra) = (universe.find("app")[0], universe.find("extra")[0]);
    assert_eq!(
        solution.entailed,
        BTreeMap::from([(app, BTreeSet::from([extra]))])
    );
    assert_snapshot!(universe.chosen(&base, &["app"]), @"app 1, extra 1, lib 1");
    assert_snapshot!(universe.chosen(&base, &["alone"]), @"alone 1");
    assert_snapshot!(universe.refused(&base, &["other"]), @r"
    other (wanted by the wish for other) cannot be installed:
      base 1 requires gone, which no package satisfies
      other 1 is wanted by the wish for other
      base 1 is of the base system
    ");
}

#[test]
fn a_missing_dependency_names_who_wanted_it_and_what_there_is() {
    let words = Words::new(&["a 1; requires b", "b 1; requires c=2", "c 1", "x 1"]);
    assert_snapshot!(words.refused(&[], &["x", "a"]), @r"
    a (wanted by the wish for a) cannot be installed:
      b 1 requires c 2, which no package satisfies; there is c 1
      b 1 is the only one left for b, which a 1 requires
      a 1 is wanted by the wish for a
    ");
}

#[test]
fn a_name_that_nobody_has_is_told_as_such() {
    let words = Words::new(&["a 1"]);
    assert_snapshot!(words.refused(&[], &["a", "z"]), @r"
    z (wanted by the wish for z) cannot be installed:
      no package satisfies z
    ");
}

#[test]
fn two_wishes_that_conflict_are_told_with_what_stands_between_them() {
    let words = Words::new(&[
        "a 1; requires b",
        "b 1; conflicts d",
        "c 1; requires d",
        "d 1",
        "x 1",
    ]);
    assert_snapshot!(words.refused(&[], &["a", "x", "c"]), @r"
    a (wanted by the wish for a) and c (wanted by the wish for c) cannot be installed together:
      b 1 conflicts with d, which is d 1
      b 1 is the only one left for b, which a 1 requires
      a 1 is wanted by the wish for a
      d 1 is the only one left for d, which c 1 requires
      c 1 is wanted by the wish for c
    ");
}

#[test]
fn two_versions_of_one_name_exclude_each_other() {
    let words = Words::new(&["a 1; requires c=1", "b 1; requires c=2", "c 2", "c 1"]);
    assert_snapshot!(words.refused(&[], &["a", "b"]), @r"
    a (wanted by the wish for a) and b (wanted by the wish for b) cannot be installed together:
      c 2 cannot be there, as c 1 is
      c 1 is the only one left for c 1, which a 1 requires
      a 1 is wanted by the wish for a
      c 2 is the only one left for c 2, which b 1 requires
      b 1 is wanted by the wish for b
    ");
}

#[test]
fn all_alternatives_are_told() {
    let words = Words::new(&[
        "a 1; requires b/c",
        "b 1; requires gone",
        "c 1; conflicts base",
        "base 1",
    ]);
    assert_snapshot!(words.refused(&["base"], &["a"]), @r"
    a (wanted by the wish for a) cannot be installed:
      a 1 requires b/c
      b 1 requires gone, which no package satisfies
      c 1 conflicts with base, which is base 1
      base 1 is of the base system
      a 1 is wanted by the wish for a
    ");
}

proptest! {
    /// Whatever the relations are: an answer satisfies all of them, and is the same each time; no answer has a reason.
    #[test]
    fn answers_hold(
        relations in proptest::collection::vec((0usize..12, 0usize..12, 0usize..12, 0u8..4), 0..40),
        wishes in proptest::collection::btree_set(0usize..12, 1..4),
    ) {
        let mut lines: Vec<String> = (0..12).map(|n| format!("p{} {}", n / 2, 2 - n % 2)).collect();
        for (who, one, other, kind) in relations {
            let clause = match kind {
                0 => format!("; conflicts p{}={}", one / 2, 2 - one % 2),
                1 => format!("; requires p{} if p{}", one / 2, other / 2),
                _ => format!("; requires p{}={}/p{}", one / 2, 2 - one % 2, other / 2),
            };
            lines[who].push_str(&clause);
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let words = Words::new(&lines);
        let wishes: Vec<String> = wishes.iter().map(|n| format!("p{}", n / 2)).collect();
        let wishes: Vec<&str> = wishes.iter().map(String::as_str).collect();
        let answer = words.solve(&[], &wishes);
        prop_assert_eq!(&answer, &words.solve(&[], &wishes));
        match answer {
            Err(refused) => prop_assert!(!refused.because.is_empty() && !refused.wishes.is_empty()),
            Ok(solution) => {
                let have: BTreeSet<PackageId> = solution.chosen.keys().copied().collect();
                let met = |requirement: &Requirement| {
                    !requirement.applies(|id| have.contains(id))
                        || requirement.any_of.iter().any(|id| have.contains(id))
                };
                for id in &have {
                    prop_assert!(words.requirements(*id).iter().all(met));
                    prop_assert!(words.conflicts(*id).iter().flat_map(|c| &c.with).all(|w| !have.contains(w)));
                    prop_assert_eq!(words.same_name(*id).iter().filter(|o| have.contains(o)).count(), 1);
                }
                prop_assert!(wishes.iter().all(|wish| met(&words.requirement(wish))));
            }
        }
    }
}
