use std::collections::{HashMap, HashSet};

use crate::Journal;
use crate::graph::{Graph, Work};
use crate::plan::When;

/// The tasks that are done `after_changes`. Whether one is proven is a property of the whole: what one of its steps sets up
/// is there for the others, and so all of them are done or none.
pub(crate) struct Proofs {
    /// By the position of the task.
    tasks: HashMap<usize, Proof>,
}

struct Proof {
    key: String,
    /// An earlier run has seen all of it go well.
    known: bool,
    /// How its first step found it.
    begun: Option<Begun>,
    /// How many of its steps have not gone well.
    open: usize,
}

#[derive(Clone, Copy)]
struct Begun {
    passed_over: bool,
    /// How much had been touched by then.
    touched: u64,
}

impl Proofs {
    pub(crate) fn of(graph: &Graph, bundle: &str, known: &HashSet<String>) -> Self {
        let mut steps: HashMap<usize, Vec<&Work>> = HashMap::new();
        for (_, work) in graph.work() {
            if graph.task_of(work).when == When::AfterChanges {
                steps.entry(work.task).or_default().push(work);
            }
        }
        let proof = |(task, steps): (usize, Vec<&Work>)| {
            let key = |work: &&Work| Journal::key(&graph.path(work), &work.step.inputs(), bundle);
            let keys: Vec<String> = steps.iter().map(key).collect();
            let key = Journal::key("task", &keys.join(" "), bundle);
            let proof = Proof {
                known: known.contains(&key),
                key,
                begun: None,
                open: steps.len(),
            };
            (task, proof)
        };
        Self {
            tasks: steps.into_iter().map(proof).collect(),
        }
    }

    /// Whether this step need not be done, because an earlier run has proven its task and nothing has been touched since.
    /// The first step of the task to ask decides for all.
    pub(crate) fn passes_over(&mut self, work: &Work, touched: u64) -> bool {
        let Some(proof) = self.tasks.get_mut(&work.task) else {
            return false;
        };
        let passed_over = proof.known && touched == 0;
        proof
            .begun
            .get_or_insert(Begun {
                passed_over,
                touched,
            })
            .passed_over
    }

    /// This step went well. Gives the key of its task if that is proven by it.
    pub(crate) fn went_well(&mut self, work: &Work, touched: u64) -> Option<&str> {
        let proof = self.tasks.get_mut(&work.task)?;
        proof.open -= 1;
        let still = proof.begun.is_some_and(|begun| begun.touched == touched);
        (proof.open == 0 && still).then_some(&proof.key)
    }
}
