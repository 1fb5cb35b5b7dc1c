use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use super::WantedRuntime;
use super::remove_containers::script;
use super::replacement::BEGUN;
use crate::before;
use crate::shell::{ask, must};

/// Ends all pods of a node by the runtime that has made them, and that runtime, where the one that comes does not know them: what
/// it does not know holds addresses and ports for ever. Only those are left that no drain takes. The kubelet stops before,
/// or it would make them again.
///
/// A run that is killed here is taken up: what is at work is asked anew, and a note has the rest of the turn done.
pub struct EndPods {
    pub wanted: WantedRuntime,
    /// The unit of the kubelet.
    pub kubelet: &'static str,
}

/// Lets the kubelet make its pods again.
pub struct ResumeKubelet {
    pub kubelet: &'static str,
}

/// The end of the turn in which a runtime was replaced.
pub struct EndReplacement;

#[async_trait]
impl Step for EndPods {
    fn id(&self) -> String {
        "end pods".to_owned()
    }

    fn describe(&self) -> String {
        "end the pods that another runtime has made".to_owned()
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.wanted)
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let goes = self.wanted.replaces(cx).await?.into_iter().next();
        Ok(goes.map_or(State::Satisfied, |(_, why)| State::Needed(why)))
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let goes = self.wanted.replaces(cx).await?;
        let kubelet = host::quote(self.kubelet);
        let begin = format!(
            "touch {BEGUN} && sync {BEGUN} && {{ ! systemctl cat {kubelet} >/dev/null 2>&1 || systemctl stop {kubelet}; }}"
        );
        must(cx, "stop the kubelet", Command::script(begin)).await?;
        for (it, _) in goes {
            let name = it.runtime.name;
            let run = |phase: &str| script(phase, it.runtime, &[&it.data_dir]);
            must(cx, "end the pods", run("containers")).await?;
            if it.runtime == self.wanted.runtime {
                let stop = ["systemctl", "stop"];
                let stop = Command::new(stop.iter().chain(it.runtime.units));
                must(cx, &format!("stop {name}"), stop).await?;
            } else {
                before::restore(cx, &format!("stop {name}"), &it.runtime.units_of()).await?;
            }
            must(cx, &format!("clean up after {name}"), run("leftovers")).await?;
        }
        Ok(())
    }

    /// Pods come back by themselves.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for ResumeKubelet {
    fn id(&self) -> String {
        format!("resume {}", self.kubelet)
    }

    fn describe(&self) -> String {
        format!("start {} again", self.kubelet)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let unit = host::quote(self.kubelet);
        let script = format!(
            "[ \"$(systemctl is-enabled {unit} 2>/dev/null)\" != enabled ] || systemctl is-active --quiet {unit}"
        );
        Ok(if ask(cx, Command::script(script)).await?.ok() {
            State::Satisfied
        } else {
            State::needed("waits for its runtime")
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let start = Command::new(["systemctl", "start", self.kubelet]);
        must(cx, &format!("start {}", self.kubelet), start)
            .await
            .map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for EndReplacement {
    fn id(&self) -> String {
        "end the replacement".to_owned()
    }

    fn describe(&self) -> String {
        "note that the runtime is replaced".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let begun = ask(cx, Command::new(["test", "-e", BEGUN])).await?.ok();
        Ok(if begun {
            State::needed("a replacement was begun")
        } else {
            State::Satisfied
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let remove = Command::new(["rm", "-f", "--", BEGUN]);
        must(cx, "end the replacement", remove).await.map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests;
