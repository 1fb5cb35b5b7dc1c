//! docs/config.md: its tables are made from the keys themselves, its words are somebody's.

mod table;

use std::path::Path;
use std::{env, fs};

use self::table::Page;

const BEGINNING: &str = "<!-- keys:";
const END: &str = "<!-- end of keys -->";

/// What a marker asks for: `<!-- keys: spec.hosts -->`; nothing before the dash for the top of the file.
fn asked(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(BEGINNING)?.strip_suffix("-->")?;
    Some(rest.trim())
}

/// The page with each table in its place.
fn filled(page: &str) -> String {
    let root = cluster::keys();
    let made = Page::new(&root, page.lines().filter_map(asked).collect());
    let mut out = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        out.extend([line, "\n"]);
        if let Some(path) = asked(line) {
            assert!(
                lines.any(|line| line == END),
                "'{END}' is missing behind '{line}'"
            );
            out.extend(["\n", &made.table(path), "\n", END, "\n"]);
        }
    }
    out
}

fn docs() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"))
}

#[test]
fn the_tables_of_the_page_are_those_of_the_keys() {
    let path = docs().join("config.md");
    let page = fs::read_to_string(&path).unwrap();
    let filled = filled(&page);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, filled).unwrap();
        return;
    }
    for (there, made) in page.lines().zip(filled.lines()) {
        assert_eq!(
            there, made,
            "docs/config.md is out of date; UPDATE_DOCS=1 cargo test -p cluster writes it"
        );
    }
    assert_eq!(page.len(), filled.len());
}

/// The part that a heading begins, as links name it.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c => c.is_alphanumeric().then_some(c),
    });
    kept.collect()
}

#[test]
fn what_the_tables_point_to_is_there() {
    let page = filled(&fs::read_to_string(docs().join("config.md")).unwrap());
    for target in page.split("](").skip(1) {
        let target = target.split(')').next().unwrap();
        let (file, part) = target.split_once('#').unwrap_or((target, ""));
        let path = docs().join(if file.is_empty() { "config.md" } else { file });
        if part.is_empty() {
            assert!(path.exists(), "{target}");
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{target}"));
        let headings = text.lines().filter(|line| line.starts_with('#'));
        assert!(headings.map(anchor).any(|at| at == part), "{target}");
    }
}
