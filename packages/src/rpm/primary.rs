//! `primary.xml`: every package of a repository with its relations, and those of its files that others ask for most.
use std::io::BufRead;

use super::checksum::Sha256;
use super::metadata::{MetadataError, Part};
use super::relation::{Capability, Relation};
use super::repomd::{base, local};
use super::version::{Evr, Operator, Range};
use super::xml::{Attributes, Visitor, walk};

/// A package as a repository offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    pub evr: Evr,
    pub arch: String,
    /// Where the file lies, from the repository's root on, or from `base` on.
    pub location: String,
    /// The address that it lies below, where that is not the repository's own.
    pub base: Option<String>,
    pub size: u64,
    pub sha256: Sha256,
    pub provides: Vec<Capability>,
    pub requires: Vec<Relation>,
    pub conflicts: Vec<Relation>,
    pub obsoletes: Vec<Capability>,
    /// Files, directories and ghosts, as far as they are known.
    pub files: Vec<String>,
}

/// The packages of a repository that a machine of this architecture can have, its own and `noarch`.
pub fn read(part: &Part, stored: &[u8], arch: &str) -> Result<Vec<Package>, MetadataError> {
    part.read(stored, |content: &mut dyn BufRead| {
        let mut reader = Reader::new(arch);
        walk(content, &mut reader).map_err(part.malformed())?;
        Ok(reader.packages)
    })
}

/// Whether `primary.xml` lists this path; the others are in `filelists.xml` alone.
#[must_use]
pub fn lists(path: &str) -> bool {
    path.starts_with("/etc/") || path.contains("bin/") || path == "/usr/lib/sendmail"
}

/// What `rpm` itself must be able to do; no package has it.
pub(super) fn is_rpm_feature(name: &str) -> bool {
    name.starts_with("rpmlib(")
}

#[derive(Clone, Copy)]
enum Section {
    Provides,
    Requires,
    Conflicts,
    Obsoletes,
    Other,
}

struct Reader<'a> {
    arch: &'a str,
    packages: Vec<Package>,
    draft: Draft,
    section: Section,
}

#[derive(Default)]
struct Draft {
    name: String,
    arch: String,
    evr: Option<Evr>,
    checksum_type: String,
    checksum: String,
    location: Option<String>,
    base: Option<String>,
    size: Option<u64>,
    provides: Vec<Capability>,
    requires: Vec<Relation>,
    conflicts: Vec<Relation>,
    obsoletes: Vec<Capability>,
    files: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(arch: &'a str) -> Self {
        Self {
            arch,
            packages: Vec::new(),
            draft: Draft::default(),
            section: Section::Other,
        }
    }

    fn entry(&mut self, attributes: &Attributes<'_>) -> Result<(), String> {
        let draft = &mut self.draft;
        match self.section {
            Section::Provides => draft.provides.push(capability(attributes)?),
            Section::Obsoletes => draft.obsoletes.push(capability(attributes)?),
            Section::Requires => {
                let relation = relation(attributes)?;
                if !matches!(&relation, Relation::One(one) if is_rpm_feature(&one.name)) {
                    draft.requires.push(relation);
                }
            }
            Section::Conflicts => draft.conflicts.push(relation(attributes)?),
            Section::Other => {}
        }
        Ok(())
    }
}

impl Visitor for Reader<'_> {
    fn start(&mut self, name: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        match name {
            "package" => self.draft = Draft::default(),
            "version" => {
                let evr = Evr::new(
                    &attributes.get("epoch")?.unwrap_or_default(),
                    &attributes.require("ver")?,
                    &attributes.require("rel")?,
                );
                self.draft.evr = Some(evr.map_err(|error| error.to_string())?);
            }
            "checksum" => self.draft.checksum_type = attributes.require("type")?.into_owned(),
            "location" => {
                self.draft.location = Some(local(&attributes.require("href")?)?);
                self.draft.base = base(attributes)?.map(|base| elsewhere(&base)).transpose()?;
            }
            "size" => {
                let size = attributes.require("package")?;
                self.draft.size = Some(size.parse().map_err(|_| format!("'{size}' is no size"))?);
            }
            "provides" => self.section = Section::Provides,
            "requires" => self.section = Section::Requires,
            "conflicts" => self.section = Section::Conflicts,
            "obsoletes" => self.section = Section::Obsoletes,
            "entry" => self.entry(attributes)?,
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str, text: &str) -> Result<(), String> {
        match name {
            "name" => text.clone_into(&mut self.draft.name),
            "arch" => text.clone_into(&mut self.draft.arch),
            "checksum" => text.clone_into(&mut self.draft.checksum),
            "file" => self.draft.files.push(text.to_owned()),
            "provides" | "requires" | "conflicts" | "obsoletes" => self.section = Section::Other,
            "package" => {
                let draft = std::mem::take(&mut self.draft);
                if draft.arch == self.arch || draft.arch == "noarch" {
                    self.packages.push(draft.finish()?);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Draft {
    fn finish(self) -> Result<Package, String> {
        let name = self.name;
        if self.checksum_type != "sha256" {
            return Err(format!(
                "{name} has the checksum '{}', not sha256",
                self.checksum_type
            ));
        }
        let lacks = |what| format!("'{name}' has no {what}");
        Ok(Package {
            evr: self.evr.ok_or_else(|| lacks("version"))?,
            location: self.location.ok_or_else(|| lacks("location"))?,
            base: self.base,
            size: self.size.ok_or_else(|| lacks("size"))?,
            sha256: self.checksum.parse()?,
            arch: self.arch,
            provides: self.provides,
            requires: self.requires,
            conflicts: self.conflicts,
            obsoletes: self.obsoletes,
            files: self.files,
            name,
        })
    }
}

/// An address that packages lie below: any server's, as what comes from it has to be what the metadata say.
fn elsewhere(base: &str) -> Result<String, String> {
    if base.starts_with("https://") || base.starts_with("http://") {
        Ok(base.trim_end_matches('/').to_owned())
    } else {
        Err(format!(
            "packages lie at '{base}', where they cannot be fetched from"
        ))
    }
}

fn capability(attributes: &Attributes<'_>) -> Result<Capability, String> {
    let name = attributes.require("name")?.into_owned();
    let range = match attributes.get("flags")? {
        None => None,
        Some(flags) => {
            let operator = Operator::from_flags(&flags)
                .ok_or_else(|| format!("'{flags}' compares nothing"))?;
            let part = |name| attributes.get(name).map(Option::unwrap_or_default);
            let bound = Evr::new(&part("epoch")?, &part("ver")?, &part("rel")?);
            Some(Range {
                operator,
                bound: bound.map_err(|error| error.to_string())?,
            })
        }
    };
    Ok(Capability { name, range })
}

fn relation(attributes: &Attributes<'_>) -> Result<Relation, String> {
    Ok(Relation::of(capability(attributes)?))
}
