//! The repository that travels along: `repodata/` made from the headers of the packages in it, for dnf to install from.
//! The same packages give the same bytes.

mod compressed;

use std::fmt::Write as _;

use quick_xml::escape::escape;
use rpm::{Dependency, DependencyFlags, FileFlags, IndexTag, PackageMetadata};

use self::compressed::Compressed;
use super::header::{HeaderError, PackageFile};
use super::primary::{is_rpm_feature, lists};
use super::relation::{Capability, Relation};
use super::version::{EpochError, Evr, Operator, Range};

/// A file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// From the repository's root on.
    pub path: &'static str,
    pub bytes: Vec<u8>,
}

/// The files below `repodata/`.
pub fn index(packages: &[PackageFile]) -> Result<Vec<File>, HeaderError> {
    let mut packages: Vec<&PackageFile> = packages.iter().collect();
    packages.sort_by(|one, other| one.location.cmp(&other.location));
    packages.dedup_by(|one, other| one.location == other.location);

    let count = packages.len();
    let mut primary = format!(
        "{DECLARATION}<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
         xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"{count}\">\n"
    );
    let mut filelists = format!(
        "{DECLARATION}<filelists xmlns=\"http://linux.duke.edu/metadata/filelists\" packages=\"{count}\">\n"
    );
    let mut newest = 0;
    for package in packages {
        let described = Described::of(package).map_err(|source| HeaderError::Malformed {
            file: package.location.clone(),
            source,
        })?;
        described.primary(&mut primary);
        described.filelist(&mut filelists);
        newest = newest.max(described.built);
    }
    primary += "</metadata>\n";
    filelists += "</filelists>\n";

    let parts = [
        Compressed::new("primary", "repodata/primary.xml.gz", &primary),
        Compressed::new("filelists", "repodata/filelists.xml.gz", &filelists),
    ];
    let mut repomd = format!(
        "{DECLARATION}<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\n  <revision>{newest}</revision>\n"
    );
    for part in &parts {
        part.describe(&mut repomd, newest);
    }
    repomd += "</repomd>\n";

    let repomd = File {
        path: "repodata/repomd.xml",
        bytes: repomd.into_bytes(),
    };
    Ok([repomd]
        .into_iter()
        .chain(parts.map(|part| part.file))
        .collect())
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// What a header says, checked and ready to be written.
pub(super) struct Described<'a> {
    package: &'a PackageFile,
    pub(super) name: &'a str,
    pub(super) arch: &'a str,
    pub(super) evr: Evr,
    built: u64,
    installed: u64,
    relations: Vec<(&'static str, Vec<Entry>)>,
    pub(super) files: Vec<(String, Kind)>,
}

struct Entry {
    name: String,
    flags: DependencyFlags,
    bound: Option<Evr>,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    File,
    Directory,
    Ghost,
}

impl<'a> Described<'a> {
    pub(super) fn of(package: &'a PackageFile) -> Result<Self, rpm::Error> {
        let metadata = &package.metadata;
        let evr = metadata.get_evr()?;
        let (epoch, version, release) = evr.values();
        let relations = [
            ("provides", metadata.get_provides()?),
            ("requires", metadata.get_requires()?),
            ("conflicts", metadata.get_conflicts()?),
            ("obsoletes", metadata.get_obsoletes()?),
        ];
        let relations = relations
            .into_iter()
            .map(|(kind, dependencies)| Ok((kind, entries(dependencies)?)))
            .collect::<Result<_, rpm::Error>>()?;
        Ok(Self {
            package,
            name: metadata.get_name()?,
            arch: metadata.get_arch()?,
            evr: Evr::new(epoch, version, release).map_err(not_a_version)?,
            built: metadata.get_build_time().unwrap_or(0),
            installed: metadata.get_installed_size().unwrap_or(0),
            relations,
            files: files(metadata)?,
        })
    }

    /// Its relations of a kind, as metadata have them.
    pub(super) fn relations_of(&self, kind: &str) -> Vec<Relation> {
        let of_kind = self.relations.iter().filter(|(known, _)| *known == kind);
        of_kind
            .flat_map(|(_, entries)| entries)
            .map(Entry::relation)
            .collect()
    }

    fn primary(&self, out: &mut String) {
        let metadata = &self.package.metadata;
        let text = |value: Result<&str, rpm::Error>| escaped(value.unwrap_or_default());
        let offsets = metadata.get_package_segment_offsets();
        put(
            out,
            format_args!(
                "<package type=\"rpm\">\n  <name>{}</name>\n",
                escaped(self.name)
            ),
        );
        put(
            out,
            format_args!(
                "  <arch>{}</arch>\n  {}\n",
                escaped(self.arch),
                self.version()
            ),
        );
        let sha256 = &self.package.checksum.sha256;
        put(
            out,
            format_args!("  <checksum type=\"sha256\" pkgid=\"YES\">{sha256}</checksum>\n"),
        );
        put(
            out,
            format_args!("  <summary>{}</summary>\n", text(metadata.get_summary())),
        );
        put(
            out,
            format_args!("  <time file=\"{0}\" build=\"{0}\"/>\n", self.built),
        );
        let (size, installed) = (self.package.checksum.size, self.installed);
        put(
            out,
            format_args!("  <size package=\"{size}\" installed=\"{installed}\"/>\n"),
        );
        put(
            out,
            format_args!(
                "  <location href=\"{}\"/>\n  <format>\n",
                escaped(&self.package.location)
            ),
        );
        for (tag, value) in [
            ("license", metadata.get_license()),
            ("vendor", metadata.get_vendor()),
            ("sourcerpm", metadata.get_source_rpm()),
        ] {
            put(
                out,
                format_args!("    <rpm:{tag}>{}</rpm:{tag}>\n", text(value)),
            );
        }
        let (start, end) = (offsets.header, offsets.payload);
        put(
            out,
            format_args!("    <rpm:header-range start=\"{start}\" end=\"{end}\"/>\n"),
        );
        for (kind, entries) in self
            .relations
            .iter()
            .filter(|(_, entries)| !entries.is_empty())
        {
            put(out, format_args!("    <rpm:{kind}>\n"));
            for entry in entries {
                entry.write(out);
            }
            put(out, format_args!("    </rpm:{kind}>\n"));
        }
        for (path, kind) in self.files.iter().filter(|(path, _)| lists(path)) {
            put(out, format_args!("    {}\n", kind.element(path)));
        }
        out.push_str("  </format>\n</package>\n");
    }

    fn filelist(&self, out: &mut String) {
        let (sha256, name, arch) = (
            &self.package.checksum.sha256,
            escaped(self.name),
            escaped(self.arch),
        );
        put(
            out,
            format_args!(
                "<package pkgid=\"{sha256}\" name=\"{name}\" arch=\"{arch}\">\n  {}\n",
                self.version()
            ),
        );
        for (path, kind) in &self.files {
            put(out, format_args!("  {}\n", kind.element(path)));
        }
        out.push_str("</package>\n");
    }

    fn version(&self) -> String {
        let (version, release) = (escaped(self.evr.version()), escaped(self.evr.release()));
        format!(
            "<version epoch=\"{}\" ver=\"{version}\" rel=\"{release}\"/>",
            self.evr.epoch()
        )
    }
}

impl Entry {
    fn operator(&self) -> Operator {
        match self.flags & (DependencyFlags::LE | DependencyFlags::GE) {
            DependencyFlags::LE => Operator::LessOrEqual,
            DependencyFlags::GE => Operator::GreaterOrEqual,
            DependencyFlags::LESS => Operator::Less,
            DependencyFlags::GREATER => Operator::Greater,
            _ => Operator::Equal,
        }
    }

    fn relation(&self) -> Relation {
        let range = self.bound.clone().map(|bound| Range {
            operator: self.operator(),
            bound,
        });
        Relation::of(Capability {
            name: self.name.clone(),
            range,
        })
    }

    fn write(&self, out: &mut String) {
        put(
            out,
            format_args!("      <rpm:entry name=\"{}\"", escaped(&self.name)),
        );
        if let Some(bound) = &self.bound {
            let flags = self.operator().flags();
            let (epoch, version) = (bound.epoch(), escaped(bound.version()));
            put(
                out,
                format_args!(" flags=\"{flags}\" epoch=\"{epoch}\" ver=\"{version}\""),
            );
            if !bound.release().is_empty() {
                put(out, format_args!(" rel=\"{}\"", escaped(bound.release())));
            }
        }
        let before =
            DependencyFlags::PREREQ | DependencyFlags::SCRIPT_PRE | DependencyFlags::SCRIPT_POST;
        if self.flags.intersects(before) {
            out.push_str(" pre=\"1\"");
        }
        out.push_str("/>\n");
    }
}

impl Kind {
    fn element(self, path: &str) -> String {
        let attribute = match self {
            Self::File => "",
            Self::Directory => " type=\"dir\"",
            Self::Ghost => " type=\"ghost\"",
        };
        format!("<file{attribute}>{}</file>", escaped(path))
    }
}

fn entries(dependencies: Vec<Dependency>) -> Result<Vec<Entry>, rpm::Error> {
    let mut entries: Vec<Entry> = Vec::new();
    for dependency in dependencies {
        if is_rpm_feature(&dependency.name) {
            continue;
        }
        let compares = DependencyFlags::LE | DependencyFlags::GE;
        let bound = dependency
            .flags
            .intersects(compares)
            .then(|| dependency.version.parse::<Evr>())
            .transpose()
            .map_err(not_a_version)?;
        entries.push(Entry {
            name: dependency.name,
            flags: dependency.flags,
            bound,
        });
    }
    Ok(entries)
}

fn files(metadata: &PackageMetadata) -> Result<Vec<(String, Kind)>, rpm::Error> {
    let paths = metadata.get_file_paths_split()?;
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let modes = metadata
        .header
        .get_entry_data_as_u16_array(IndexTag::RPMTAG_FILEMODES)?;
    let flags = metadata
        .header
        .get_entry_data_as_u32_array(IndexTag::RPMTAG_FILEFLAGS)?;
    let described = paths.into_iter().zip(modes).zip(flags);
    Ok(described
        .map(|(((directory, name), mode), flags)| {
            let kind = if rpm::FileMode::from(mode).file_type() == rpm::FileType::Dir {
                Kind::Directory
            } else if FileFlags::from_bits_truncate(flags).contains(FileFlags::GHOST) {
                Kind::Ghost
            } else {
                Kind::File
            };
            (format!("{directory}{name}"), kind)
        })
        .collect())
}

fn not_a_version(error: EpochError) -> rpm::Error {
    rpm::Error::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

/// As XML has it; headers may hold control characters, XML may not.
fn escaped(text: &str) -> String {
    let allowed = |c: &char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    if text.chars().all(|c| allowed(&c)) {
        escape(text).into_owned()
    } else {
        escape(text.chars().filter(allowed).collect::<String>()).into_owned()
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes all text");
}
