//! Members of a tar that somebody else made. A long name or an extended header claims any size, and the tar crate would
//! hold all of it: here such entries are read raw, and within bounds.

use std::io::{self, Read};

use tar::{Archive, Entries, Entry, EntryType, PaxExtensions};

/// Many times what a name takes.
const META_MAX: u64 = 64 << 10;

/// A member of an archive, with its name.
pub struct Member<'a, R: Read> {
    /// As it stands there; what is no UTF-8 in it is replaced.
    pub name: String,
    pub entry: Entry<'a, R>,
}

impl<R: Read> Member<'_, R> {
    /// What it is if it is no regular file.
    #[must_use]
    pub fn irregular(&self) -> Option<&'static str> {
        irregular(self.entry.header().entry_type())
    }
}

/// What a kind of member is called that is no regular file.
pub(crate) fn irregular(kind: EntryType) -> Option<&'static str> {
    Some(match kind {
        EntryType::Regular | EntryType::Continuous => return None,
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a symbolic link",
        EntryType::Char => "a character device",
        EntryType::Block => "a block device",
        EntryType::Directory => "a directory",
        EntryType::Fifo => "a named pipe",
        EntryType::GNUSparse => "a sparse file",
        EntryType::XHeader | EntryType::XGlobalHeader => "an extended header",
        _ => "a member of unknown kind",
    })
}

/// The members of an archive, one after another.
pub struct Members<'a, R: Read> {
    entries: Entries<'a, R>,
    /// The name that an entry before gives to the next member.
    name: Option<Vec<u8>>,
}

impl<'a, R: Read> Members<'a, R> {
    pub fn of(archive: &'a mut Archive<R>) -> io::Result<Self> {
        Ok(Self {
            entries: archive.entries()?.raw(true),
            name: None,
        })
    }

    fn member(&mut self, mut entry: Entry<'a, R>) -> io::Result<Option<Member<'a, R>>> {
        match entry.header().entry_type() {
            EntryType::GNULongName => {
                let mut name = meta(&mut entry)?;
                name.pop_if(|last| *last == 0);
                self.name = Some(name);
            }
            EntryType::XHeader => {
                let bytes = meta(&mut entry)?;
                for extension in PaxExtensions::new(&bytes) {
                    let extension = extension?;
                    if extension.key_bytes() == b"path" {
                        self.name = Some(extension.value_bytes().to_vec());
                    }
                }
            }
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            _ => {
                let name = self.name.take();
                let name = name.unwrap_or_else(|| entry.path_bytes().into_owned());
                let name = String::from_utf8_lossy(&name).into_owned();
                return Ok(Some(Member { name, entry }));
            }
        }
        Ok(None)
    }
}

impl<'a, R: Read> Iterator for Members<'a, R> {
    type Item = io::Result<Member<'a, R>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = self.entries.next()?;
            match entry.and_then(|entry| self.member(entry)).transpose() {
                None => {}
                member => return member,
            }
        }
    }
}

fn meta(entry: &mut Entry<'_, impl Read>) -> io::Result<Vec<u8>> {
    let size = entry.header().entry_size()?;
    if size > META_MAX {
        return Err(io::Error::other(format!(
            "the name or header of a member has {size} bytes; at most {} KiB are read",
            META_MAX >> 10
        )));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use tar::{Builder, Header};

    use super::*;

    fn entry(tar: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, content: &[u8]) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_path(name).unwrap();
        header.set_cksum();
        tar.append(&header, content).unwrap();
    }

    fn read(tar: &[u8]) -> Result<Vec<(String, String)>, String> {
        let mut archive = Archive::new(tar);
        Members::of(&mut archive)
            .unwrap()
            .map(|member| {
                let mut member = member.map_err(|error| error.to_string())?;
                let mut content = String::new();
                member.entry.read_to_string(&mut content).unwrap();
                Ok((member.name, content))
            })
            .collect()
    }

    #[test]
    fn long_names_of_both_kinds_are_read() {
        let long = "n".repeat(300);
        let mut tar = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(3);
        tar.append_data(&mut header, &long, &b"gnu"[..]).unwrap();
        tar.append_pax_extensions([("path", long.as_bytes())])
            .unwrap();
        entry(&mut tar, EntryType::Regular, "short", b"pax");
        entry(&mut tar, EntryType::Regular, "own", b"own");
        let found = read(&tar.into_inner().unwrap()).unwrap();
        let pair = |name: &str, content: &str| (name.to_owned(), content.to_owned());
        assert_eq!(
            found,
            [pair(&long, "gnu"), pair(&long, "pax"), pair("own", "own")]
        );
    }

    #[test]
    fn a_name_that_claims_gigabytes_is_refused_before_it_is_read() {
        for kind in [EntryType::GNULongName, EntryType::XHeader] {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(2 << 30);
            header.set_cksum();
            let refused = read(header.as_bytes()).unwrap_err();
            assert_eq!(
                refused,
                "the name or header of a member has 2147483648 bytes; at most 64 KiB are read"
            );
        }
    }
}
