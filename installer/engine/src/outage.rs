use std::sync::{Mutex, PoisonError};

use petgraph::graph::NodeIndex;
use tokio_util::sync::CancellationToken;

use crate::drive::{Ended, Ready, Skipped, Visitor, drive};
use crate::graph::Work;
use crate::rolls::Look;
use crate::{Graph, NodeView};

impl Graph {
    /// The steps that are still done where each step on this host fails.
    pub async fn without(&self, host: &str) -> Vec<NodeView> {
        self.bearing(Fault::Host(host)).await
    }

    /// The steps that are still done where this one fails on this host, and everything is at work and to be changed.
    pub async fn failing_at(&self, host: &str, step: &str) -> Vec<NodeView> {
        self.bearing(Fault::Step { host, step }).await
    }

    async fn bearing(&self, fault: Fault<'_>) -> Vec<NodeView> {
        let outage = Outage {
            graph: self,
            fault,
            done: Mutex::default(),
        };
        drive(self, 1, &CancellationToken::new(), &outage).await;
        outage
            .done
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes wrong.
#[derive(Clone, Copy)]
enum Fault<'a> {
    Host(&'a str),
    Step { host: &'a str, step: &'a str },
}

/// A run in which nothing is asked of anybody: one thing fails, all others succeed.
struct Outage<'g> {
    graph: &'g Graph,
    fault: Fault<'g>,
    done: Mutex<Vec<NodeView>>,
}

impl Outage<'_> {
    fn is_down(&self, work: &Work) -> bool {
        matches!(self.fault, Fault::Host(host) if *work.host == *host)
    }

    fn fails(&self, work: &Work) -> bool {
        match self.fault {
            Fault::Host(_) => self.is_down(work),
            Fault::Step { host, step } => *work.host == *host && work.step.id() == step,
        }
    }
}

impl Visitor for Outage<'_> {
    async fn visit(&self, ready: Ready<'_>) -> Ended {
        if self.fails(ready.work) {
            return Ended::Failed;
        }
        self.pass(ready);
        Ended::Succeeded
    }

    async fn look(&self, first: Ready<'_>, _: &[(NodeIndex, &Work)]) -> Look {
        if self.is_down(first.work) {
            Look::Lost
        } else {
            Look::Due
        }
    }

    fn pass(&self, ready: Ready<'_>) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.push(self.graph.viewed(ready.index, ready.work));
    }

    fn skip(&self, _: &Work, _: Skipped) {}
}
