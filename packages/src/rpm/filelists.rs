//! `filelists.xml`: every file of every package. Large, and needed only where somebody requires a file that `primary.xml`
//! does not list.
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use super::checksum::Sha256;
use super::metadata::{MetadataError, Part};
use super::xml::{Attributes, Visitor, walk};

/// Which packages, by their checksums, have which of the wanted files.
pub fn read(
    part: &Part,
    stored: &[u8],
    wanted: &BTreeSet<String>,
) -> Result<BTreeMap<Sha256, Vec<String>>, MetadataError> {
    part.read(stored, |content: &mut dyn BufRead| {
        let mut reader = Reader {
            wanted,
            package: None,
            found: BTreeMap::new(),
        };
        walk(content, &mut reader).map_err(part.malformed())?;
        Ok(reader.found)
    })
}

struct Reader<'a> {
    wanted: &'a BTreeSet<String>,
    package: Option<Sha256>,
    found: BTreeMap<Sha256, Vec<String>>,
}

impl Visitor for Reader<'_> {
    fn start(&mut self, name: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        if name == "package" {
            self.package = Some(attributes.require("pkgid")?.parse()?);
        }
        Ok(())
    }

    fn end(&mut self, name: &str, text: &str) -> Result<(), String> {
        if let ("file", Some(package)) = (name, self.package)
            && self.wanted.contains(text)
        {
            self.found.entry(package).or_default().push(text.to_owned());
        }
        Ok(())
    }
}
