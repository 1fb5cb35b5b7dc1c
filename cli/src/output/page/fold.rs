//! What is alike on many hosts is shown once.

use std::collections::HashMap;

use super::model::{Model, State, Tally};
use super::names;
use crate::output::report::Ended;
use crate::output::wording::of_any_host;

/// Units of different hosts that say the same, in the order in which they ended.
pub struct Alike<'a> {
    pub units: Vec<&'a Ended>,
}

impl<'a> Alike<'a> {
    pub fn first(&self) -> &'a Ended {
        self.units[0]
    }

    /// Their hosts, folded.
    pub fn hosts(&self) -> String {
        names::folded(self.units.iter().filter_map(|unit| unit.host.as_deref()))
    }

    /// The one that took longest, and how long the one in the middle took.
    pub fn times(&self) -> (&'a Ended, u64) {
        let mut sorted = self.units.clone();
        sorted.sort_by_key(|unit| unit.took);
        let median = sorted[sorted.len() / 2].took.unwrap_or_default();
        (sorted[sorted.len() - 1], median)
    }
}

/// Puts together what is the same but for the name of the host. `text` is what else must be the same.
pub fn alike<'a>(
    units: impl Iterator<Item = &'a Ended>,
    text: impl Fn(&'a Ended) -> &'a str,
) -> Vec<Alike<'a>> {
    let mut folded: Vec<Alike<'a>> = Vec::new();
    let mut known: HashMap<(&str, Option<&str>, String, String), usize> = HashMap::new();
    for unit in units {
        let host = unit.host.as_deref();
        let key = (
            unit.stage.as_str(),
            unit.task.as_deref(),
            of_any_host(&unit.title, host),
            of_any_host(text(unit), host),
        );
        let at = *known.entry(key).or_insert_with(|| {
            folded.push(Alike { units: Vec::new() });
            folded.len() - 1
        });
        folded[at].units.push(unit);
    }
    folded
}

/// So many hosts have a row of their own each; where there are more, those that fared alike share one.
const FEW: usize = 40;
/// So many rows of hosts that fared alike are shown.
const ROWS: usize = 40;

/// One row of hosts.
pub struct Row<'a> {
    pub names: Vec<&'a str>,
    pub tally: Tally,
    pub cells: Vec<Tally>,
    /// The longest that one of them was at work, in milliseconds.
    pub longest: u64,
}

/// Hosts on which all went well are alike, whether or not there was something to do.
fn fared(cell: &Tally) -> Option<State> {
    let state = cell.state()?;
    Some(state.max(State::Changed))
}

/// All hosts in few rows, those where something went wrong first. And how many hosts are in none.
pub fn rows<'a>(model: &Model<'a>) -> (Vec<Row<'a>>, usize) {
    let mut rows: Vec<Row<'a>> = Vec::new();
    let mut known = HashMap::new();
    let is_many = model.hosts.len() > FEW;
    for (number, host) in model.hosts.iter().enumerate() {
        let fared: Vec<_> = host.cells.iter().map(fared).collect();
        let key = (fared, (!is_many).then_some(number));
        let at = *known.entry(key).or_insert_with(|| {
            rows.push(Row {
                names: Vec::new(),
                tally: Tally::default(),
                cells: vec![Tally::default(); model.stages.len()],
                longest: 0,
            });
            rows.len() - 1
        });
        let row = &mut rows[at];
        row.names.push(host.name);
        row.tally.merge(&host.tally);
        row.longest = row.longest.max(host.tally.work);
        for (mine, cell) in row.cells.iter_mut().zip(&host.cells) {
            mine.merge(cell);
        }
    }
    if is_many {
        let is_bad = |row: &Row<'_>| row.tally.state() > Some(State::Changed);
        rows.sort_by_key(|row| !is_bad(row));
    }
    let left = rows.iter().skip(ROWS).map(|row| row.names.len()).sum();
    rows.truncate(ROWS);
    (rows, left)
}
