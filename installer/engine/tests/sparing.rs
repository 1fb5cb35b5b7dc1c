//! A stage without some of its hosts.

use std::sync::Arc;

use async_trait::async_trait;
use engine::{
    Batch, Cx, Data, Graph, Order, Plan, Rolling, Stage, State, Step, StepError, Task, Turn,
};

struct Act(&'static str);

#[async_trait]
impl Step for Act {
    fn id(&self) -> String {
        self.0.to_owned()
    }

    fn describe(&self) -> String {
        self.id()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

fn stage() -> Stage {
    let turn = || Turn::new(Arc::new(Act("restart")));
    let task = Task::new("service")
        .on_each(&["a", "b"], |_| vec![Arc::new(Act("file"))])
        .then(Order::Settled)
        .roll(Rolling::new(Batch::One).on("a", turn()).on("b", turn()))
        .on("(control plane)", vec![Arc::new(Act("mark"))]);
    Stage::new("nodes", vec![task])
}

fn places(stage: Stage) -> Vec<String> {
    let graph = Graph::of(Plan::new("upgrade", vec![stage])).unwrap();
    let view = graph.view().into_iter();
    view.map(|node| format!("{} {}", node.host, node.title))
        .collect()
}

#[test]
fn chains_and_turns_of_spared_hosts_are_left_out() {
    let both = places(stage());
    assert_eq!(both.len(), 5, "{both:?}");
    let one = places(stage().sparing(&["a".to_owned()]));
    assert_eq!(one, ["b file", "b restart", "(control plane) mark"]);
    let none = places(stage().sparing(&["a".to_owned(), "b".to_owned()]));
    assert_eq!(none, ["(control plane) mark"]);
    assert_eq!(places(stage().sparing(&["c".to_owned()])), both);
}
