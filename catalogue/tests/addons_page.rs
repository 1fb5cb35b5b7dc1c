//! docs/addons.md: its table is made from the data.

use std::path::Path;
use std::{env, fs};

use catalogue::{AddonChart, AddonSource};
use cluster::KnownAddon;

const BEGINNING: &str = "<!-- addons -->";
const END: &str = "<!-- end of addons -->";

/// Some words, or what stands for none.
fn words(words: &[String]) -> String {
    if words.is_empty() {
        return "none".to_owned();
    }
    words.join(", ")
}

fn row(addon: KnownAddon) -> String {
    let source = AddonSource::of(addon);
    let versions: Vec<String> = source
        .versions()
        .map(|(kubernetes, version)| format!("{version} ({kubernetes})"))
        .collect();
    let newest = source.versions().next().map_or("", |(_, version)| version);
    let from = match &source.chart {
        Some(AddonChart::Repository { repo, name }) => format!("chart {name} of {repo}"),
        Some(AddonChart::Registry { oci, .. }) => format!("chart oci://{oci}"),
        None => source.manifests(newest).join(", "),
    };
    let images: Vec<String> = source.images(newest);
    let packages: Vec<String> = addon.packages().iter().map(ToString::to_string).collect();
    let modules: Vec<String> = addon
        .modules()
        .iter()
        .map(|module| format!("module {module}"))
        .collect();
    let needs = [packages, modules].concat();
    format!(
        "| `{addon}` | {} | {} | `{}` | {} | {} | {from} |\n",
        source.about,
        words(&versions),
        source.namespace,
        words(&needs),
        words(&images),
    )
}

fn table() -> String {
    let head = "| Addon | What it is for | Version (Kubernetes) | Namespace | Of each node | Images that no object names | From |\n\
                |---|---|---|---|---|---|---|\n";
    let rows = KnownAddon::ALL.iter().copied().map(row);
    rows.fold(head.to_owned(), |table, row| table + &row)
}

#[test]
fn the_table_of_the_page_is_that_of_the_data() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/addons.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGINNING).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let made = format!("{head}{BEGINNING}\n\n{}\n{END}{tail}", table());
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, made).unwrap();
        return;
    }
    assert!(
        page == made,
        "docs/addons.md is out of date; UPDATE_DOCS=1 cargo test -p catalogue writes it"
    );
}
