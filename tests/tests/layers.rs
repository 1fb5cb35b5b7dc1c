//! The house rule: which room may know which. The compiler holds it as long as the crates' dependencies do, so those
//! are read and compared with the table.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Every room and the rooms it may depend on. A new line here needs one in ARCHITECTURE.md.
const MAY_KNOW: &[(&str, &[&str])] = &[
    (
        "kubexm",
        &[
            "artifact", "bundler", "cluster", "depot", "event", "pipeline",
        ],
    ),
    (
        "bundler",
        &["artifact", "catalogue", "cluster", "event", "packages"],
    ),
    (
        "pipeline",
        &["artifact", "cluster", "engine", "event", "host", "module"],
    ),
    ("module", &["engine", "task"]),
    (
        "task",
        &["artifact", "cluster", "engine", "step", "templates"],
    ),
    (
        "step",
        &["artifact", "engine", "event", "host", "templates"],
    ),
    ("engine", &["event", "host"]),
    ("host", &["event"]),
    ("artifact", &["cluster", "event"]),
    ("depot", &["artifact"]),
    ("catalogue", &["cluster"]),
    ("packages", &[]),
    ("cluster", &[]),
    ("event", &[]),
    ("templates", &[]),
    // For the benchmark, which calls what the program calls.
    (
        "tests",
        &["artifact", "cluster", "engine", "event", "host", "step"],
    ),
];

/// The rooms that go into the secured site, and what they must not reach by any way: upstream addresses, and whoever
/// uses them.
const INSTALLER: &[&str] = &["pipeline", "module", "task", "step", "engine", "host"];
const OUTSIDE: &[&str] = &["bundler", "catalogue", "packages"];

type Rooms = BTreeMap<String, BTreeSet<String>>;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// None for an ordinary dependency: what a test uses is not shipped.
    kind: Option<String>,
}

/// The workspace's rooms and the rooms each depends on.
fn rooms() -> Result<Rooms> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--no-deps",
            "--locked",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .context("cargo metadata")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let names: BTreeSet<String> = metadata
        .packages
        .iter()
        .map(|package| package.name.clone())
        .collect();
    let shipped = |package: Package| {
        let dependencies = package.dependencies.into_iter();
        let rooms = dependencies
            .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
            .map(|dependency| dependency.name)
            .filter(|name| names.contains(name));
        (package.name, rooms.collect())
    };
    Ok(metadata.packages.into_iter().map(shipped).collect())
}

/// Every breach of the rule, as sentences.
fn breaches(rooms: &Rooms) -> Vec<String> {
    let mut breaches = Vec::new();
    for (room, known) in rooms {
        let Some((_, may_know)) = MAY_KNOW.iter().find(|(name, _)| name == room) else {
            breaches.push(format!("'{room}' has no line in the table of rooms"));
            continue;
        };
        for other in known
            .iter()
            .filter(|other| !may_know.contains(&other.as_str()))
        {
            breaches.push(format!("'{room}' must not know '{other}'"));
        }
    }
    for room in INSTALLER {
        for outside in reachable(rooms, room).intersection(&OUTSIDE.iter().copied().collect()) {
            breaches.push(format!(
                "'{room}' can reach '{outside}', and so the Internet"
            ));
        }
    }
    breaches
}

fn reachable<'a>(rooms: &'a Rooms, from: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = vec![from];
    while let Some(room) = open.pop() {
        for next in rooms.get(room).into_iter().flatten() {
            if seen.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    seen
}

#[test]
fn every_room_knows_its_neighbours_and_no_others() {
    assert_eq!(breaches(&rooms().unwrap()), Vec::<String>::new());
}

#[test]
fn a_forbidden_dependency_is_noticed() {
    let with = |room: &str, other: &str| {
        let mut rooms = rooms().unwrap();
        rooms.get_mut(room).unwrap().insert(other.to_owned());
        breaches(&rooms)
    };
    assert_eq!(
        with("pipeline", "step"),
        ["'pipeline' must not know 'step'"]
    );
    assert_eq!(with("host", "engine"), ["'host' must not know 'engine'"]);
    let step_to_catalogue = with("step", "catalogue");
    assert!(step_to_catalogue.contains(&"'step' must not know 'catalogue'".to_owned()));
    assert!(
        step_to_catalogue
            .contains(&"'pipeline' can reach 'catalogue', and so the Internet".to_owned())
    );
    let cluster_to_bundler = with("cluster", "bundler");
    assert!(
        cluster_to_bundler.contains(&"'task' can reach 'bundler', and so the Internet".to_owned())
    );
    let mut unknown = rooms().unwrap();
    unknown.insert("attic".to_owned(), BTreeSet::new());
    assert_eq!(
        breaches(&unknown),
        ["'attic' has no line in the table of rooms"]
    );
}
