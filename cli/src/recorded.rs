//! Which versions a run found recorded, and which it has left so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use artifact::{Contents, Release, Tree};

use crate::output::report::Versions;

/// A version for each component.
pub type Recorded = BTreeMap<String, String>;

/// As the last install that went well has recorded them. None where nothing is recorded, or where it cannot be read: a
/// run goes on without.
pub fn applied(tree: &Tree) -> Recorded {
    let release = || {
        let config = tree.applied_config();
        let text = fs::read_to_string(&config).ok()?;
        let cluster = cluster::parse(config.as_str(), &text).ok()?.cluster;
        let (contents, _) = Contents::of_applied(tree).ok()?;
        let version = &cluster.spec.kubernetes.version;
        contents.release(version, cluster.name()).map(recorded)
    };
    release().unwrap_or_default()
}

/// What the tree holds for the latest of its releases.
fn held(tree: &Tree) -> Recorded {
    let contents = Contents::of_tree(tree).ok();
    let release = contents.as_ref().and_then(|(of, _)| of.releases.last());
    release.map(recorded).unwrap_or_default()
}

/// Kubernetes, and whatever has a version of its own.
fn recorded(release: &Release) -> Recorded {
    let kubernetes = release.kubernetes.with_v();
    let own = release.components.iter();
    let own = own.filter(|(_, version)| **version != kubernetes);
    own.map(|(name, version)| (name.clone(), version.clone()))
        .chain([("kubernetes".to_owned(), kubernetes.clone())])
        .collect()
}

/// What was recorded before and is now. What the tree holds is told beside where it is something else.
pub fn compared(before: &Recorded, tree: &Tree) -> Vec<Versions> {
    let (after, held) = (applied(tree), held(tree));
    let names: BTreeSet<&String> = [before, &after, &held]
        .into_iter()
        .flat_map(Recorded::keys)
        .collect();
    let mut all: Vec<Versions> = names
        .into_iter()
        .map(|name| Versions {
            name: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
            held: held.get(name).cloned(),
        })
        .collect();
    all.sort_by_key(|of| of.name != "kubernetes");
    all
}
