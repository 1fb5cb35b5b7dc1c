//! What hosts are like, to compare before and after.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::lab::Lab;

/// Everything of some hosts that an installation might change: files, packages, units, parameters, interfaces, rules.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// Looks at each of these nodes.
    pub fn of(lab: &Lab, nodes: &[&str]) -> Result<Self> {
        let mut facts = BTreeSet::new();
        for node in nodes {
            let found = lab.on(node, include_str!("snapshot.sh"))?;
            let lines: Vec<&str> = found.lines().collect();
            ensure!(lines.len() > 500, "{node} tells next to nothing:\n{found}");
            facts.extend(lines.into_iter().map(|line| format!("{node} {line}")));
        }
        Ok(Self(facts))
    }

    /// What is different now: `+` came, `-` went.
    #[must_use]
    pub fn changes_to(&self, after: &Self) -> Vec<String> {
        let came = after.0.difference(&self.0).map(|fact| format!("+ {fact}"));
        let went = self.0.difference(&after.0).map(|fact| format!("- {fact}"));
        came.chain(went).collect()
    }
}
