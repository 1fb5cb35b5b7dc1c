use std::collections::HashSet;

use petgraph::graph::NodeIndex;

use crate::Graph;
use crate::graph::{Member, Roll, Work};
use crate::rolls::Place;

/// The turns that were begun, in this run or an earlier one, and have not been seen to end well.
///
/// An act that was done is not needed any more, and so a run that was cut short between an act and what proves the host to be
/// well would leave that unasked for ever. It is the journal that knows.
pub(crate) struct Turns {
    open: HashSet<(usize, usize)>,
    /// Those that need no proof: nothing was at work.
    fresh: HashSet<(usize, usize)>,
}

impl Turns {
    /// `begun` are the acts that earlier runs began and have not seen to be well.
    pub(crate) fn of(graph: &Graph, begun: &HashSet<String>) -> Self {
        let is_begun = |act: &&Work| begun.contains(&graph.path(act));
        let rolls = graph.rolls.iter().enumerate();
        let members = rolls.flat_map(|(roll, Roll { members, .. })| {
            let members = members.iter().enumerate();
            members.map(move |(member, of)| ((roll, member), of))
        });
        let open = members.filter(|(_, member)| acts(graph, member).any(|act| is_begun(&act)));
        Self {
            open: open.map(|(at, _)| at).collect(),
            fresh: HashSet::new(),
        }
    }

    /// Whether an act of this turn was done, and its host not seen to be well since.
    pub(crate) fn is_open(&self, work: &Work) -> bool {
        work.place
            .is_some_and(|place| self.open.contains(&at(place)))
    }

    /// Nothing was at work where this turn is to be taken.
    pub(crate) fn is_fresh(&mut self, work: &Work) {
        self.fresh.extend(work.place.map(at));
    }

    /// It is about to be done.
    pub(crate) fn begin(&mut self, work: &Work) {
        let act = work.place.filter(|_| work.is_act());
        self.open.extend(act.map(at));
    }

    /// A step went well. Gives the acts of its turn if that ends with it.
    pub(crate) fn went_well<'g>(
        &mut self,
        graph: &'g Graph,
        index: NodeIndex,
        work: &Work,
    ) -> Vec<&'g Work> {
        let Some(place) = work.place else {
            return Vec::new();
        };
        let member = &graph.rolls[place.roll].members[place.member];
        // Nothing behind the acts is visited where nothing was at work.
        let is_last_act = work.is_act() && member.asked.last() == Some(&index);
        let ends = member.last == index || is_last_act && self.fresh.contains(&at(place));
        if ends && self.open.remove(&at(place)) {
            acts(graph, member).collect()
        } else {
            Vec::new()
        }
    }
}

fn acts<'g>(graph: &'g Graph, member: &'g Member) -> impl Iterator<Item = &'g Work> {
    let asked = member.asked.iter();
    asked
        .filter_map(|index| graph.work_at(*index))
        .filter(|work| work.is_act())
}

fn at(place: Place) -> (usize, usize) {
    (place.roll, place.member)
}
