//! The order of versions: rpm is asked.
use std::cmp::Ordering;
use std::process::Command;

use packages::rpm::version::vercmp;
use proptest::prelude::*;

use crate::upstream::{run, tools};

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn versions_order_as_rpm_orders_them(
        pairs in prop::collection::vec(("[0-2ab.~^_+]{1,6}", "[0-2ab.~^_+]{1,6}"), 200),
    ) {
        if !tools(&["rpm"]) {
            return Ok(());
        }
        let calls: Vec<String> = pairs
            .iter()
            .map(|(one, other)| format!("print(rpm.vercmp('{one}', '{other}') .. '\\n')"))
            .collect();
        let printed = run(Command::new("rpm").args(["--eval", &format!("%{{lua:{}}}", calls.join(" "))]));
        let theirs: Vec<&str> = printed.split_whitespace().collect();
        prop_assert_eq!(theirs.len(), pairs.len());
        for ((one, other), theirs) in pairs.iter().zip(theirs) {
            let ours = match vercmp(one, other) {
                Ordering::Less => "-1",
                Ordering::Equal => "0",
                Ordering::Greater => "1",
            };
            prop_assert_eq!(ours, theirs, "{} and {}", one, other);
        }
    }
}
