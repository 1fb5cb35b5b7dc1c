mod tree;

use std::collections::{BTreeMap, HashMap};

use artifact::{Bundle, CarriedFile, Contents, FileEntry, Release};
use camino::Utf8Path;
use cluster::Arch;

use crate::args::InspectArgs;
use crate::error::Failure;
use crate::output::{Column, Format, Paint, Printer, bytes, count, harmless, table};

pub fn run(args: &InspectArgs, printer: &Printer) -> Result<(), Failure> {
    let bundle = Bundle::open(&args.file)?;
    match printer.format() {
        Format::Json => return Ok(printer.document(bundle.contents())?),
        Format::Text if args.json => return Ok(printer.json_bytes(bundle.contents_bytes())?),
        Format::Text => {}
    }
    let mut parts = vec![facts(&bundle, printer.paint())];
    parts.extend(components(bundle.contents()));
    parts.extend(images(bundle.contents()));
    parts.extend(systems(bundle.contents()));
    if args.tree {
        parts.push(tree::tree(bundle.contents()));
    }
    if args.files {
        parts.push(files(&bundle));
    }
    Ok(printer.result(parts.join("\n\n"))?)
}

fn facts(bundle: &Bundle, paint: Paint) -> String {
    let contents = bundle.contents();
    let signature = match bundle.signature() {
        None => "none",
        Some(_) => "present; kubexm verify --signers FILE tells whose",
    };
    let files = count(contents.files.len() as u64, "file");
    let part = bundle.carriage().map_or_else(String::new, |carriage| {
        let carried = bundle.carried().count();
        let patches = bundle.carried().filter(|it| it.is_patch).count() as u64;
        let patches = match patches {
            0 => String::new(),
            _ => format!(", {patches} of them made from files that are there"),
        };
        format!("; {carriage}, with {carried} of the files{patches}")
    });
    let rows = [
        ("cluster", contents.cluster.clone()),
        ("releases", releases(contents)),
        ("arch", list(contents.arches.iter().copied())),
        (
            "size",
            format!(
                "{} ({files}, {} unpacked){part}",
                bytes(bundle.size()),
                bytes(contents.content_size())
            ),
        ),
        ("digest", bundle.digest().oci()),
        ("signature", signature.to_owned()),
        (
            "made by",
            format!(
                "kubexm {}, format {}, serial {}",
                contents.kubexm, contents.format, contents.serial
            ),
        ),
    ];
    // Padded before it is painted: colours have no width.
    let line = |(name, value): (&str, String)| {
        format!(
            "{} {}",
            paint.dim(format_args!("{:<10}", format!("{name}:"))),
            harmless::word(&value)
        )
    };
    rows.map(line).join("\n")
}

/// The versions of Kubernetes.
fn releases(contents: &Contents) -> String {
    let releases = contents.releases.iter();
    let versions: Vec<String> = releases
        .map(|release| release.kubernetes.with_v())
        .collect();
    if versions.is_empty() {
        "none".to_owned()
    } else {
        format!("Kubernetes {}", versions.join(", "))
    }
}

/// The column that tells releases apart, where there are several.
fn is_of_an_upgrade(contents: &Contents) -> Option<&'static str> {
    (contents.releases.len() > 1).then_some("release")
}

/// The versions of the releases that hold something.
fn in_releases(contents: &Contents, holds: impl Fn(&Release) -> bool) -> String {
    let of = contents.releases.iter().filter(|release| holds(release));
    let versions: Vec<String> = of.map(|release| release.kubernetes.with_v()).collect();
    if versions.len() == contents.releases.len() {
        "all".to_owned()
    } else {
        versions.join(",")
    }
}

fn components(contents: &Contents) -> Option<String> {
    let mut sizes: BTreeMap<(&str, &str, String), u64> = BTreeMap::new();
    for file in &contents.files {
        if let Some(component) = &file.component {
            let arch = file
                .arch
                .map_or_else(|| "any".to_owned(), |arch| arch.to_string());
            let version = file.version.as_deref().unwrap_or("-");
            *sizes.entry((component, version, arch)).or_default() += file.size;
        }
    }
    let hops = is_of_an_upgrade(contents);
    let texts = ["component", "version", "arch"].into_iter().chain(hops);
    let columns: Vec<Column> = texts
        .map(Column::Text)
        .chain([Column::Number("size")])
        .collect();
    let rows = sizes.iter().map(|((component, version, arch), size)| {
        let holds = |of: &Release| of.version_of(component) == Some(version);
        let mut cells = vec![(*component).to_owned(), (*version).to_owned(), arch.clone()];
        cells.extend(hops.map(|_| in_releases(contents, holds)));
        cells.push(bytes(*size));
        cells
    });
    (!sizes.is_empty()).then(|| table(&columns, rows))
}

fn images(contents: &Contents) -> Option<String> {
    let hops = is_of_an_upgrade(contents);
    let texts = ["image", "arch"].into_iter().chain(hops);
    let columns: Vec<Column> = texts
        .map(Column::Text)
        .chain([Column::Number("size")])
        .collect();
    let rows = contents.images.iter().map(|image| {
        let arches = list(image.platforms.iter().map(|platform| platform.arch));
        let size = image.platforms.iter().map(|platform| platform.size).sum();
        let holds = |of: &Release| {
            let mut sets = of.images.values();
            sets.any(|set| set.contains(&image.reference))
        };
        let mut cells = vec![image.reference.clone(), arches];
        cells.extend(hops.map(|_| in_releases(contents, holds)));
        cells.push(bytes(size));
        cells
    });
    (!contents.images.is_empty()).then(|| table(&columns, rows))
}

fn systems(contents: &Contents) -> Option<String> {
    let texts = ["system", "arch"].map(Column::Text);
    let numbers = ["packages", "size"].map(Column::Number);
    let columns: Vec<Column> = texts.into_iter().chain(numbers).collect();
    let rows = contents.systems.iter().map(|set| {
        let files = set
            .packages
            .iter()
            .filter_map(|entry| contents.file(&entry.path));
        vec![
            set.os.to_string(),
            set.arch.to_string(),
            set.packages.len().to_string(),
            bytes(files.map(|file| file.size).sum()),
        ]
    });
    (!contents.systems.is_empty()).then(|| table(&columns, rows))
}

/// Of a part also what of each file is in it.
fn files(bundle: &Bundle) -> String {
    let here: HashMap<&Utf8Path, CarriedFile<'_>> = bundle
        .carried()
        .map(|carried| (carried.file.path.as_path(), carried))
        .collect();
    let part = bundle.carriage().map(|_| Column::Text("here"));
    let columns: Vec<Column> = [Column::Number("size"), Column::Text("mode")]
        .into_iter()
        .chain(part)
        .chain([Column::Text("file")])
        .collect();
    let row = |file: &FileEntry| {
        let mut cells = vec![bytes(file.size), format!("{:04o}", file.mode)];
        cells.extend(part.map(|_| match here.get(file.path.as_path()) {
            None => "no".to_owned(),
            Some(carried) if carried.is_patch => format!("patch, {}", bytes(carried.stored)),
            Some(_) => "whole".to_owned(),
        }));
        cells.push(file.path.to_string());
        cells
    };
    table(&columns, bundle.contents().files.iter().map(row))
}

fn list(arches: impl Iterator<Item = Arch>) -> String {
    arches.map(Arch::go).collect::<Vec<_>>().join(", ")
}
