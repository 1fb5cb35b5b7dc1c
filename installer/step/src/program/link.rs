use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::{ask, must};

/// Gives a program another name. What bore that name before comes back when it is taken away.
pub struct LinkProgram {
    pub path: Utf8PathBuf,
    /// The program, as seen from the directory of the link.
    pub target: &'static str,
}

#[async_trait]
impl Step for LinkProgram {
    fn id(&self) -> String {
        format!("link {}", self.path)
    }

    fn describe(&self) -> String {
        format!("call {} {} as well", self.target, self.path)
    }

    fn inputs(&self) -> String {
        self.target.to_owned()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let read = Command::new(["readlink", self.path.as_str()]);
        let found = ask(cx, read).await?.text();
        Ok(match found.as_str() {
            found if found == self.target => State::Satisfied,
            "" => State::needed("is not there"),
            other => State::needed(format!("leads to {other}")),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[Resource::File(self.path.clone())]).await?;
        let link = Command::new(["ln", "-sfn", self.target, self.path.as_str()]);
        must(cx, &format!("link {}", self.path), link)
            .await
            .map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(TakeBack::file(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    #[tokio::test]
    async fn what_bore_the_name_is_noted_before_and_given_back() {
        let host = Arc::new(FakeHost::new("node1"));
        let cx = Cx::new(host.clone(), Progress::unseen());
        let step = LinkProgram {
            path: "/usr/local/bin/kubectl-calico".into(),
            target: "calicoctl",
        };
        step.apply(&cx).await.unwrap();
        let done = host.transcript();
        let note = "note file /usr/local/bin/kubectl-calico";
        let noted = done.find(note).expect("it is noted");
        let linked = done.find("ln -sfn calicoctl").expect("it is linked");
        assert!(noted < linked, "{done}");
        let back = step.counterpart(Data::Keep).expect("it goes");
        back.apply(&cx).await.unwrap();
        let restored = "restore file /usr/local/bin/kubectl-calico";
        assert!(host.transcript().contains(restored));
    }
}
