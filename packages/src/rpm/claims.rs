//! What metadata that nobody signed say of a package, beside what its signed header says.

use std::collections::BTreeSet;
use std::fmt;

use super::header::PackageFile;
use super::primary::Package;
use super::relation::Relation;
use super::repository::Described;
use super::version::vercmp;

/// Metadata and header of a package part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    #[error("it is {found}, and not {chosen}")]
    Other { found: String, chosen: String },
    #[error("the repository says that it {verb} {what}, and its signed header does not")]
    Invented { verb: Verb, what: String },
    #[error("its signed header says that it {verb} {what}, and the repository does not")]
    Hidden { verb: Verb, what: String },
    #[error("its header cannot be read: {0}")]
    Header(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Provides,
    Requires,
    Conflicts,
    Obsoletes,
    Has,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provides => "provides",
            Self::Requires => "requires",
            Self::Conflicts => "conflicts with",
            Self::Obsoletes => "obsoletes",
            Self::Has => "has the file",
        })
    }
}

impl ClaimError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        "the mirror has changed its metadata, which this distribution does not sign: use another one"
    }
}

/// Whether the file is the package of this name and version, for this architecture or for all.
pub fn is(file: &PackageFile, name: &str, version: &str, arch: &str) -> Result<(), ClaimError> {
    let described = Described::of(file).map_err(|e| ClaimError::Header(e.to_string()))?;
    let found = (described.name, described.evr.to_string());
    if found == (name, version.to_owned()) && [arch, "noarch"].contains(&described.arch) {
        return Ok(());
    }
    Err(ClaimError::Other {
        found: format!("{}-{}.{}", found.0, found.1, described.arch),
        chosen: format!("{name}-{version} for {arch}"),
    })
}

/// Whether what was claimed of a package holds, as far as an answer rests on it: it has what it was chosen for, and asks for
/// nothing that was not known. What writes metadata leaves some of a header out; that much may be missing.
pub fn hold(claimed: &Package, file: &PackageFile) -> Result<(), ClaimError> {
    let described = Described::of(file).map_err(|e| ClaimError::Header(e.to_string()))?;
    is(file, &claimed.name, &claimed.evr.to_string(), &claimed.arch)?;
    let texts = |relations: &[Relation]| -> BTreeSet<String> {
        relations.iter().map(ToString::to_string).collect()
    };
    let own = |kind: &str| texts(&described.relations_of(kind));
    let files: BTreeSet<&str> = described.files.iter().map(|(path, _)| &**path).collect();

    let provides = own("provides");
    let mut claimed_provides = claimed.provides.iter().map(ToString::to_string);
    if let Some(what) = claimed_provides.find(|what| !provides.contains(what)) {
        let verb = Verb::Provides;
        return Err(ClaimError::Invented { verb, what });
    }
    if let Some(what) = claimed.files.iter().find(|file| !files.contains(&***file)) {
        return Err(ClaimError::Invented {
            verb: Verb::Has,
            what: what.clone(),
        });
    }

    let known = texts(&claimed.requires);
    let hidden = |verb, what: String| Err(ClaimError::Hidden { verb, what });
    for what in own("requires") {
        let by_itself = provides.contains(&what) || files.contains(what.as_str());
        if !known.contains(&what) && !by_itself && !is_lower_libc(&what, &known) {
            return hidden(Verb::Requires, what);
        }
    }
    let conflicts = texts(&claimed.conflicts);
    if let Some(what) = own("conflicts").difference(&conflicts).next() {
        return hidden(Verb::Conflicts, what.clone());
    }
    let obsoletes = claimed.obsoletes.iter().map(ToString::to_string).collect();
    match own("obsoletes").difference(&obsoletes).next() {
        Some(what) => hidden(Verb::Obsoletes, what.clone()),
        None => Ok(()),
    }
}

/// Of all versions of symbols of the C library that a package wants, metadata keep the highest.
fn is_lower_libc(what: &str, known: &BTreeSet<String>) -> bool {
    let version = |text: &str| -> Option<String> {
        let rest = text.strip_prefix("libc.so.6(")?;
        let inside = rest.split(')').next().unwrap_or(rest);
        Some(inside.trim_start_matches("GLIBC_").to_owned())
    };
    let Some(wanted) = version(what) else {
        return false;
    };
    let mut kept = known.iter().filter_map(|text| version(text));
    kept.any(|kept| vercmp(&kept, &wanted).is_ge())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_c_library_only_lower_versions_may_be_missing() {
        let known = BTreeSet::from(["libc.so.6(GLIBC_2.34)(64bit)".to_owned()]);
        assert!(is_lower_libc("libc.so.6(GLIBC_2.2.5)(64bit)", &known));
        assert!(is_lower_libc("libc.so.6()(64bit)", &known));
        assert!(!is_lower_libc("libc.so.6(GLIBC_2.38)(64bit)", &known));
        assert!(!is_lower_libc("libm.so.6(GLIBC_2.2.5)(64bit)", &known));
        assert!(!is_lower_libc("libc.so.6()(64bit)", &BTreeSet::new()));
    }
}
