use std::collections::HashSet;

use petgraph::graph::NodeIndex;

use crate::Graph;
use crate::graph::{Roll, Work};
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
        let rolls = graph.rolls.iter().enumerate();
        let members = rolls.flat_map(|(roll, Roll { members, .. })| {
            let members = members.iter().enumerate();
            members.map(move |(member, of)| ((roll, member), of.act))
        });
        let open = members.filter(|(_, act)| {
            let act = graph.work_at(*act);
            act.is_some_and(|act| begun.contains(&graph.path(act)))
        });
        Self {
            open: open.map(|(at, _)| at).collect(),
            fresh: HashSet::new(),
        }
    }

    /// Whether this act was done, and its host not seen to be well since.
    pub(crate) fn is_open(&self, act: &Work) -> bool {
        act.place
            .is_some_and(|place| self.open.contains(&at(place)))
    }

    /// Nothing was at work where this act is to be done.
    pub(crate) fn is_fresh(&mut self, act: &Work) {
        self.fresh.extend(act.place.map(at));
    }

    /// It is about to be done.
    pub(crate) fn begin(&mut self, work: &Work) {
        let act = work.place.filter(|place| place.is_act);
        self.open.extend(act.map(at));
    }

    /// A step went well. Gives the act of its turn if that ends with it.
    pub(crate) fn went_well<'g>(
        &mut self,
        graph: &'g Graph,
        index: NodeIndex,
        work: &Work,
    ) -> Option<&'g Work> {
        let place = work.place?;
        let member = &graph.rolls[place.roll].members[place.member];
        let ends = member.last == index || (place.is_act && self.fresh.contains(&at(place)));
        (ends && self.open.remove(&at(place)))
            .then(|| graph.work_at(member.act))
            .flatten()
    }
}

fn at(place: Place) -> (usize, usize) {
    (place.roll, place.member)
}
