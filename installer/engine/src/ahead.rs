use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use petgraph::graph::NodeIndex;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::answers::{Act, Answers, Moment, Remembered};
use crate::graph::{Graph, Work};
use crate::{Asks, Cx, Name, State, Step, StepError, together};

/// What hosts answer to the checks of steps that are yet to come.
///
/// Where nothing is to do, hundreds of checks follow each other on a host, and the way there is most of what each costs. So the
/// first check takes those behind it along. What was answered is forgotten before anything is done on the host, and then
/// checks go alone at first, and in ever larger groups as long as nothing is done.
pub(crate) struct Ahead<'g> {
    graph: &'g Graph,
    /// How often something was done that may concern any host.
    acts: Arc<AtomicU64>,
    hosts: HashMap<&'g Name, OnHost>,
}

struct OnHost {
    /// The steps that ask this host alone, in plan order.
    steps: Vec<NodeIndex>,
    answers: Arc<Answers>,
    group: Mutex<Group>,
}

/// The checks that were last made together.
struct Group {
    /// The first that is behind them.
    end: NodeIndex,
    /// Those ahead of it that had not what they take by then.
    left: Vec<NodeIndex>,
    /// How many will go together the next time.
    next: usize,
    at: Instant,
    asked: Moment,
}

/// How long an answer counts where nothing is done. Others may be at work on the host.
const FRESH: Duration = Duration::from_mins(1);

/// As long as this lives, something is being done.
pub(crate) enum Doing<'a> {
    Here { _act: Act<'a> },
    Anywhere(&'a AtomicU64),
}

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        if let Self::Anywhere(acts) = self {
            acts.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl<'g> Ahead<'g> {
    pub(crate) fn of(graph: &'g Graph) -> Self {
        let acts = Arc::new(AtomicU64::new(0));
        let mut hosts: HashMap<&Name, OnHost> = HashMap::new();
        for (index, work) in graph.work() {
            if work.step.asks() == Asks::Host {
                let on = hosts.entry(&work.host).or_insert_with(|| OnHost {
                    steps: Vec::new(),
                    answers: Arc::new(Answers::new(acts.clone())),
                    group: Mutex::new(Group::before(index)),
                });
                on.steps.push(index);
            }
        }
        Self { graph, acts, hosts }
    }

    /// The check of a step whose turn has come.
    pub(crate) async fn check(
        &self,
        index: NodeIndex,
        work: &Work,
        cx: &Cx,
    ) -> Result<State, StepError> {
        let Some(on) = self.hosts.get(&work.host) else {
            return work.step.check(cx).await;
        };
        let found = self.checked(index, work, cx, on).await;
        if found.is_err() {
            // Whoever tries again wants to know anew, and so do those that follow.
            on.answers.forget();
            let mut group = on.group.lock().await;
            (group.end, group.next) = (index, 1);
        }
        found
    }

    async fn checked(
        &self,
        index: NodeIndex,
        work: &Work,
        cx: &Cx,
        on: &OnHost,
    ) -> Result<State, StepError> {
        if work.step.asks() == Asks::Host {
            let mut group = on.group.lock().await;
            let ahead = self.with(index, on, &mut group);
            if !ahead.is_empty() {
                return together::check(&*work.step, ahead, cx, &on.answers).await;
            }
        }
        let known = Remembered {
            host: cx.host.clone(),
            answers: on.answers.clone(),
        };
        work.step.check(&cx.on(Arc::new(known))).await
    }

    /// To be called before a step is applied; the answers count again when the result is dropped.
    pub(crate) fn doing(&self, work: &Work) -> Doing<'_> {
        match self.hosts.get(&work.host) {
            Some(on) if work.step.asks() == Asks::Host => Doing::Here {
                _act: on.answers.act(),
            },
            _ => {
                self.acts.fetch_add(1, Ordering::SeqCst);
                Doing::Anywhere(&self.acts)
            }
        }
    }

    /// The steps that are to be checked together with this one: none if it has been asked for already.
    fn with(&self, index: NodeIndex, on: &OnHost, group: &mut Group) -> Vec<&'g dyn Step> {
        let now = on.answers.moment();
        if group.asked != now {
            group.next = 1;
        } else if group.at.elapsed() > FRESH {
            on.answers.forget();
        } else if index < group.end {
            return self.left_with(index, group);
        }
        let at = on.steps.partition_point(|step| *step < index);
        let end = at.saturating_add(group.next).min(on.steps.len());
        *group = Group {
            end: on.steps.get(end).copied().unwrap_or(NodeIndex::end()),
            left: on.steps.get(at..end).unwrap_or_default().to_vec(),
            next: group.next.saturating_mul(2),
            at: Instant::now(),
            asked: now,
        };
        self.left_with(index, group)
    }

    /// Of those that are left in the group, all that can be asked now, if this one is among them.
    fn left_with(&self, index: NodeIndex, group: &mut Group) -> Vec<&'g dyn Step> {
        if !group.left.contains(&index) {
            return Vec::new();
        }
        let (mut together, mut left) = (Vec::new(), Vec::new());
        for at in group.left.drain(..).filter(|at| *at > index) {
            match self.graph.work_at(at).map(|work| &*work.step) {
                Some(step) if is_ready(step) => together.push(step),
                _ => left.push(at),
            }
        }
        group.left = left;
        together
    }
}

impl Group {
    /// All that follow go together.
    fn before(first: NodeIndex) -> Self {
        Self {
            end: first,
            left: Vec::new(),
            next: usize::MAX,
            at: Instant::now(),
            asked: Moment::default(),
        }
    }
}

/// Whether a check can be made before its turn: it has what it takes, and leaves nothing behind for others.
fn is_ready(step: &dyn Step) -> bool {
    step.fills().is_empty() && step.takes().iter().all(crate::SlotId::is_full)
}
