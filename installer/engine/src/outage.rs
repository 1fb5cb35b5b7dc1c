use std::sync::{Mutex, PoisonError};

use petgraph::graph::NodeIndex;
use tokio_util::sync::CancellationToken;

use crate::drive::{Ended, Skipped, Visitor, drive};
use crate::graph::Work;
use crate::rolls::Look;
use crate::{Graph, NodeView};

impl Graph {
    /// The steps that are still done where each step on this host fails.
    pub async fn without(&self, host: &str) -> Vec<NodeView> {
        let outage = Outage {
            graph: self,
            host,
            done: Mutex::default(),
        };
        drive(self, 1, &CancellationToken::new(), &outage).await;
        outage
            .done
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run in which nothing is asked of anybody: one host fails, all others succeed.
struct Outage<'g> {
    graph: &'g Graph,
    host: &'g str,
    done: Mutex<Vec<NodeView>>,
}

impl Outage<'_> {
    fn is_down(&self, work: &Work) -> bool {
        work.host.as_str() == self.host
    }
}

impl Visitor for Outage<'_> {
    async fn visit(&self, index: NodeIndex, work: &Work) -> Ended {
        if self.is_down(work) {
            return Ended::Failed;
        }
        self.pass(index, work);
        Ended::Succeeded
    }

    async fn look(&self, first: &Work, _: NodeIndex, _: &Work) -> Look {
        if self.is_down(first) {
            Look::Lost
        } else {
            Look::Due
        }
    }

    fn pass(&self, index: NodeIndex, work: &Work) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.push(self.graph.viewed(index, work));
    }

    fn skip(&self, _: &Work, _: Skipped) {}
}
