//! What decided how long a run took: from its last unit back, each time to the one that was waited for last.

use std::collections::{HashMap, HashSet};

use event::UnitId;

use super::model::{Model, Span, State, Tally};
use crate::output::report::Ended;

/// One link of the chain: units that follow each other in one stage on one host.
pub struct Link<'a> {
    pub units: Vec<&'a Ended>,
    pub span: Span,
    /// How long after the link before it began: all places of steps were taken, or it was asked whether it is needed.
    pub waited: u64,
}

impl<'a> Link<'a> {
    pub fn first(&self) -> &'a Ended {
        self.units[0]
    }

    /// How its units went.
    pub fn state(&self) -> State {
        let mut tally = Tally::default();
        for unit in &self.units {
            tally.add(State::of(&unit.end), None);
        }
        tally.state().unwrap_or(State::Skipped)
    }

    /// The unit that took longest.
    pub fn longest(&self) -> &'a Ended {
        let took = |unit: &&&Ended| unit.took.unwrap_or_default();
        self.units
            .iter()
            .max_by_key(took)
            .copied()
            .unwrap_or(self.units[0])
    }
}

/// The chain from the beginning to the end. None where the report does not tell what waited for what.
pub fn decisive<'a>(model: &Model<'a>) -> Option<Vec<Link<'a>>> {
    let units = &model.run.units;
    units.iter().find(|unit| unit.after.is_some())?;
    let by_id: HashMap<UnitId, &Ended> = units
        .iter()
        .filter_map(|unit| Some((unit.id?, unit)))
        .collect();
    let timed = || {
        let timed = units.iter().filter(|unit| unit.host.is_some());
        timed.filter_map(|unit| Some((model.span(unit)?, unit)))
    };
    let (_, mut unit) = timed().max_by_key(|(span, _)| span.to)?;
    let (mut chain, mut seen) = (vec![unit], HashSet::from([unit.id]));
    while let Some(before) = unit.after.and_then(|id| by_id.get(&id).copied()) {
        if !seen.insert(before.id) {
            break;
        }
        chain.push(before);
        unit = before;
    }
    chain.extend(ahead_of_all(model, unit));
    chain.reverse();
    Some(linked(model, chain))
}

/// What ended before the graph began, such as to unpack the bundle: the last first.
fn ahead_of_all<'a>(model: &Model<'a>, first: &Ended) -> Vec<&'a Ended> {
    let Some(begin) = model.span(first).map(|span| span.from) else {
        return Vec::new();
    };
    let hostless = model.run.units.iter().filter(|unit| unit.host.is_none());
    let mut ahead: Vec<(Span, &Ended)> = hostless
        .filter_map(|unit| Some((model.span(unit)?, unit)))
        .filter(|(span, _)| span.to <= begin)
        .collect();
    ahead.sort_by_key(|(span, _)| std::cmp::Reverse(span.to));
    let mut until = begin;
    let mut chain = Vec::new();
    for (span, unit) in ahead {
        if span.to <= until {
            chain.push(unit);
            until = span.from;
        }
    }
    chain
}

fn linked<'a>(model: &Model<'a>, chain: Vec<&'a Ended>) -> Vec<Link<'a>> {
    let mut links: Vec<Link<'a>> = Vec::new();
    for unit in chain {
        let Some(span) = model.span(unit) else {
            continue;
        };
        let place = (&unit.stage, &unit.host);
        match links.last_mut() {
            Some(link) if (&link.first().stage, &link.first().host) == place => {
                link.units.push(unit);
                link.span.to = span.to.max(link.span.to);
            }
            before => {
                let ended = before.map_or(0, |link| link.span.to);
                links.push(Link {
                    units: vec![unit],
                    span,
                    waited: span.from.saturating_sub(ended),
                });
            }
        }
    }
    links
}
