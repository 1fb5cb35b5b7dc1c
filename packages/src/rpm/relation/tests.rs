//! The grammar, and that clauses say what relations say.
use proptest::prelude::*;

use super::*;

#[test]
fn relations_read_as_they_are_written() {
    for text in [
        "bash",
        "libc.so.6(GLIBC_2.34)(64bit)",
        "font(:lang=en)",
        "openssl-libs >= 1:3.0.7-2.el9",
        "(a and b and c)",
        "(a or (b and c >= 2))",
        "(a if b)",
        "(selinux-policy >= 34.1-1 if selinux-policy-targeted else libselinux)",
        "(a unless b else c)",
        "(python3-dnf >= 4.2 with python3-dnf < 5)",
        "((a without b) without c)",
        "(libx.so.1()(64bit) if y(z))",
    ] {
        assert_eq!(Relation::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn what_rpm_would_not_build_is_refused() {
    let deep = format!("{}a{}", "(".repeat(99), ")".repeat(99));
    for text in [
        "",
        "(a",
        "(a and b or c)",
        "(a else b)",
        "(a if b if c)",
        "a >=",
        "a => x:1",
        "a b",
        "((a and b) with c)",
        "(a nor b)",
        &deep,
    ] {
        assert_eq!(Relation::parse(text), None, "{text}");
    }
}

#[test]
fn clauses_beyond_measure_are_refused() {
    let pair = |n: usize| format!("(a{n} and b{n})");
    let many: Vec<String> = (0..16).map(pair).collect();
    assert_eq!(
        Relation::parse(&format!("({})", many.join(" or ")))
            .unwrap()
            .holds(),
        None
    );
}

/// Each letter is a package that is there or not.
fn truth(relation: &Relation, present: &str) -> bool {
    let has = |relation: &Relation| truth(relation, present);
    match relation {
        Relation::One(capability) => present.contains(&capability.name),
        Relation::All(parts) => parts.iter().all(has),
        Relation::Any(parts) => parts.iter().any(has),
        Relation::If(parts) if has(&parts.condition) => has(&parts.then),
        Relation::If(parts) => parts.otherwise.as_ref().is_none_or(has),
        Relation::Unless(parts) if has(&parts.condition) => {
            parts.otherwise.as_ref().is_some_and(has)
        }
        Relation::Unless(parts) => has(&parts.then),
        Relation::With(_) | Relation::Without(_) => unreachable!("not made here"),
    }
}

fn clauses_hold(clauses: &[Clause<'_>], present: &str) -> bool {
    clauses.iter().all(|clause| {
        !clause.when.iter().all(|set| truth(set, present))
            || clause.any.iter().any(|set| truth(set, present))
    })
}

fn relations() -> impl Strategy<Value = Relation> {
    let leaf = "[a-d]".prop_map(|name| Relation::One(Capability { name, range: None }));
    leaf.prop_recursive(3, 12, 3, |inner| {
        let conditional = (
            inner.clone(),
            inner.clone(),
            proptest::option::of(inner.clone()),
        )
            .prop_map(|(then, condition, otherwise)| {
                Box::new(Conditional {
                    then,
                    condition,
                    otherwise,
                })
            });
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Relation::All),
            prop::collection::vec(inner, 2..4).prop_map(Relation::Any),
            conditional.clone().prop_map(Relation::If),
            conditional.prop_map(Relation::Unless),
        ]
    })
}

proptest! {
    #[test]
    fn clauses_say_what_the_relation_says(relation in relations(), present in "[a-d]{0,4}") {
        prop_assert_eq!(Relation::parse(&relation.to_string()), Some(relation.clone()));
        let truth = truth(&relation, &present);
        if let Some(clauses) = relation.holds() {
            prop_assert_eq!(clauses_hold(&clauses, &present), truth);
        }
        if let Some(clauses) = relation.fails() {
            prop_assert_eq!(clauses_hold(&clauses, &present), !truth);
        }
    }
}
