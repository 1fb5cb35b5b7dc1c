//! When a bundle is not laid out as its `bundle.json` says: reads it from the start, as tar would, to name what is in the
//! way. Only refusals come here, so it may take its time.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};

use camino::Utf8Path;
use tar::{Archive, EntryType, Header};

use crate::Cancel;
use crate::archive::irregular;
use crate::bundle::decode::Stored;
use crate::bundle::error::BundleError;
use crate::bundle::fault::Fault;
use crate::bundle::frame::WINDOW_LOG_MAX;
use crate::bundle::members::Member;
use crate::bundle::open::Bundle;
use crate::bundle::stream::{CARRIAGE, CONTENTS, SIGNATURE, header};

/// A bundle made to be refused must not fill the screen, or memory.
const FAULTS_MAX: usize = 50;
const NAME_MAX: u64 = 4096;

/// What is wrong with the members of this bundle.
pub(super) fn explain(bundle: &Bundle, cancel: &Cancel) -> BundleError {
    let mut inventory = Inventory::new(bundle);
    if read(bundle, &mut inventory, cancel).is_some() {
        inventory.missing();
    }
    if cancel.is_cancelled() {
        return BundleError::Cancelled;
    }
    let mut faults = inventory.faults;
    if faults.is_empty() {
        faults.push(Fault::Layout);
    }
    BundleError::Faulty {
        path: bundle.path.clone(),
        faults,
    }
}

/// None if it could not be read to the end.
fn read(bundle: &Bundle, inventory: &mut Inventory<'_>, cancel: &Cancel) -> Option<()> {
    let data = bundle.frames.last()?.stored.end;
    let mut decoder = zstd::Decoder::new(Stored::new(bundle, 0..data)).ok()?;
    decoder.window_log_max(WINDOW_LOG_MAX).ok()?;
    let mut archive = Archive::new(Stoppable { decoder, cancel });
    let mut long_name = None;
    for entry in archive.entries().ok()?.raw(true) {
        if inventory.faults.len() >= FAULTS_MAX {
            return None;
        }
        let mut entry = entry.ok()?;
        if entry.header().entry_type() == EntryType::GNULongName {
            let mut name = Vec::new();
            entry.by_ref().take(NAME_MAX).read_to_end(&mut name).ok()?;
            name.pop_if(|last| *last == 0);
            long_name = Some(name);
            continue;
        }
        let name = long_name
            .take()
            .unwrap_or_else(|| entry.header().path_bytes().into_owned());
        inventory.take(&String::from_utf8_lossy(&name), entry.header());
    }
    Some(())
}

/// What a header claims to follow it may take hours to read.
struct Stoppable<'a, R> {
    decoder: R,
    cancel: &'a Cancel,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("interrupted"));
        }
        self.decoder.read(buffer)
    }
}

/// What was found, against what is listed.
struct Inventory<'a> {
    members: &'a [Member],
    places: HashMap<&'a str, usize>,
    signed: bool,
    part: bool,
    seen: HashSet<String>,
    last: Option<usize>,
    faults: Vec<Fault>,
}

impl<'a> Inventory<'a> {
    fn new(bundle: &'a Bundle) -> Self {
        let members = &bundle.members;
        let places = members.iter().enumerate();
        Self {
            members,
            places: places
                .map(|(place, member)| (member.path.as_str(), place))
                .collect(),
            signed: bundle.signature().is_some(),
            part: bundle.carriage().is_some(),
            seen: HashSet::new(),
            last: None,
            faults: Vec::new(),
        }
    }

    fn take(&mut self, name: &str, found: &Header) {
        let is_head = name == CONTENTS
            || (name == SIGNATURE && self.signed)
            || (name == CARRIAGE && self.part);
        let index = self.places.get(name).copied();
        let member = name.to_owned();
        let fault = if !self.seen.insert(member.clone()) && (is_head || index.is_some()) {
            Fault::Repeated { member }
        } else if leads_out(name) {
            Fault::Escapes { member }
        } else if let Some(kind) = irregular(found.entry_type()) {
            Fault::Kind {
                member,
                kind: kind.into(),
            }
        } else if is_head {
            return;
        } else if let Some(index) = index {
            let in_order = self.last.is_none_or(|last| last < index);
            self.last = Some(index);
            match differs(&self.members[index], found) {
                Some(fault) => fault,
                None if in_order => return,
                None => Fault::Header { member },
            }
        } else {
            Fault::Unlisted { member }
        };
        self.faults.push(fault);
    }

    fn missing(&mut self) {
        let missing = self
            .members
            .iter()
            .filter(|file| !self.seen.contains(file.path.as_str()));
        let room = FAULTS_MAX.saturating_sub(self.faults.len());
        let faults: Vec<Fault> = missing
            .take(room)
            .map(|file| Fault::Missing {
                member: file.path.to_string(),
            })
            .collect();
        self.faults.extend(faults);
    }
}

fn leads_out(name: &str) -> bool {
    name.starts_with('/')
        || Utf8Path::new(name)
            .components()
            .any(|part| part.as_str() == "..")
}

fn differs(listed: &Member, found: &Header) -> Option<Fault> {
    let member = listed.path.to_string();
    let size = found.entry_size().ok()?;
    if size != listed.size {
        return Some(Fault::Size {
            member,
            listed: listed.size,
            found: size,
        });
    }
    let expected = header(listed.path.as_str(), listed.size, listed.mode);
    (!expected.ends_with(found.as_bytes())).then_some(Fault::Header { member })
}
