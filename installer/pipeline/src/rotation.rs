//! Authorities that give way to others, from wherever that has come to.

use std::fs;
use std::io::ErrorKind;

use engine::{Graph, Plan};
use jiff::Timestamp;
use module::{Authority, Move, Rotation, Site};

use crate::PipelineError;

/// What is noted of a rotation: since when, and of what.
type Note = (String, Vec<Authority>);

/// The rotation that is under way here; none where there is none.
pub fn under_way(site: &Site) -> Result<Option<Rotation>, PipelineError> {
    let stands = module::under_way(site).map_err(|error| PipelineError::Rotation {
        error: error.to_string(),
        hint: error.hint().map(str::to_owned),
    })?;
    let note = read(site)?;
    Ok(resumed(&stands, note))
}

/// The rotation to make: the rest of the one that is under way, or a new one. Of all authorities where none is named.
pub fn next_rotation(site: &Site, asked: &[Authority]) -> Result<Rotation, PipelineError> {
    let all = module::authorities(site);
    if let Some(strange) = asked.iter().find(|of| !all.contains(of)) {
        return Err(PipelineError::NoAuthority {
            name: strange.name(),
            all: names(&all),
        });
    }
    if let Some(rotation) = under_way(site)? {
        if asked.iter().any(|of| !rotation.of.contains(of)) {
            return Err(PipelineError::Rotating {
                told: told(&rotation),
            });
        }
        return Ok(rotation);
    }
    let mut of = if asked.is_empty() {
        all
    } else {
        asked.to_vec()
    };
    of.sort_unstable();
    of.dedup();
    Ok(Rotation {
        since: now(),
        of,
        from: Move::Trust,
    })
}

/// What a verb that changes more than certificates says of a cluster that is half way.
pub fn insist_on_none(site: &Site) -> Result<(), PipelineError> {
    match under_way(site)? {
        Some(rotation) => Err(PipelineError::Rotating {
            told: told(&rotation),
        }),
        None => Ok(()),
    }
}

/// All moves that are left.
pub fn rotate(site: &Site, rotation: &Rotation) -> Result<Graph, PipelineError> {
    let missing = site.missing();
    if !missing.is_empty() {
        return Err(PipelineError::Missing(missing));
    }
    let moves = module::rotation(site, rotation).into_iter();
    let first = Plan::new("certs rotate-ca", vec![module::clocks(site)]);
    let plan = moves.fold(first, Plan::then);
    Ok(Graph::of(plan)?)
}

/// "kubernetes, etcd: move 2 of 3 (issue)"
#[must_use]
pub fn told(rotation: &Rotation) -> String {
    let of = names(&rotation.of);
    let number = Move::ALL.iter().position(|to| *to == rotation.from);
    let (number, name) = (number.unwrap_or_default() + 1, rotation.from.name());
    format!("{of}: move {number} of 3 ({name})")
}

fn names(of: &[Authority]) -> String {
    let names: Vec<&str> = of.iter().map(|of| of.name()).collect();
    names.join(", ")
}

/// Works on hosts are known by it: seconds are enough.
fn now() -> String {
    let now = Timestamp::now().as_second();
    let now = Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH);
    now.to_string()
}

fn read(site: &Site) -> Result<Option<Note>, PipelineError> {
    let path = module::rotation_note(site);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(PipelineError::Read { path, source }),
    };
    Ok(text.trim().split_once(' ').map(|(since, names)| {
        let named = |of: &Authority| names.split(',').any(|name| name == of.name());
        let of = Authority::ALL.into_iter().filter(named);
        (since.to_owned(), of.collect())
    }))
}

/// All go in step: whoever is ahead has had all others proven behind the move before. One of the note that is at no move has
/// not begun, or has ended where the others are at the last.
fn resumed(stands: &[(Authority, Move)], note: Option<Note>) -> Option<Rotation> {
    let from = stands.iter().map(|(_, stand)| *stand).max()?;
    let begun = stands.iter().map(|(of, _)| *of);
    let (since, noted) = note.unwrap_or_else(|| (now(), Vec::new()));
    let mut of: Vec<Authority> = match from {
        Move::Trust => begun.chain(noted).collect(),
        Move::Issue | Move::Drop => begun.collect(),
    };
    of.sort_unstable();
    of.dedup();
    Some(Rotation { since, of, from })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: &str = "2026-11-30T12:00:00Z";

    fn noted(of: &[Authority]) -> Note {
        (SINCE.to_owned(), of.to_vec())
    }

    #[test]
    fn a_rotation_goes_on_where_the_first_of_it_is() {
        use Authority::{Etcd, Kubernetes};
        assert_eq!(resumed(&[], Some(noted(&[Kubernetes]))), None);
        let cut = resumed(&[(Etcd, Move::Trust)], Some(noted(&[Kubernetes, Etcd]))).unwrap();
        assert_eq!(told(&cut), "kubernetes, etcd: move 1 of 3 (trust)");
        let stands = [(Kubernetes, Move::Issue), (Etcd, Move::Trust)];
        let cut = resumed(&stands, Some(noted(&[Kubernetes, Etcd]))).unwrap();
        assert_eq!(told(&cut), "kubernetes, etcd: move 2 of 3 (issue)");
        assert_eq!(cut.since, SINCE);
        let cut = resumed(&[(Etcd, Move::Drop)], Some(noted(&[Kubernetes, Etcd]))).unwrap();
        assert_eq!(told(&cut), "etcd: move 3 of 3 (drop)");
        assert!(resumed(&stands, None).is_some());
    }
}
