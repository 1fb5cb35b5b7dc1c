use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::{Command, FileAttrs};

use crate::before;
use crate::preflight::MARKER;
use crate::shell::{ask, must};
use crate::{Content, UploadFile};

/// What uploads of the mark have left that were killed.
const PARTS: &str = "/etc/kubexm/.kubexm-cluster.????????";

/// Marks a host as one of its cluster. Stands before everything else that is done there, so that its counterpart comes
/// after everything else.
pub struct MarkHost {
    pub cluster: String,
}

impl MarkHost {
    fn file(&self) -> UploadFile {
        UploadFile {
            path: MARKER.into(),
            content: Content::Text(format!("{}\n", self.cluster)),
            attrs: FileAttrs::root(0o644),
        }
    }
}

#[async_trait]
impl Step for MarkHost {
    fn id(&self) -> String {
        self.file().id()
    }

    fn describe(&self) -> String {
        self.file().describe()
    }

    fn inputs(&self) -> String {
        self.file().inputs()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.file().check(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.file().put(cx).await?;
        // Removals go by it: it must not be lost where what follows is not.
        let sync = Command::new(["sync", "--", "/etc/kubexm", "/etc"]);
        must(cx, "have the mark outlast a power cut", sync)
            .await
            .map(drop)
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        Some(Arc::new(LeaveHost { data }))
    }
}

/// Takes back whatever is still noted on a host, also what no plan names any more, then the notes and at last the mark.
pub struct LeaveHost {
    pub data: Data,
}

#[async_trait]
impl Step for LeaveHost {
    fn id(&self) -> String {
        "leave the host".to_owned()
    }

    fn describe(&self) -> String {
        format!("take back what is left, remove {MARKER}")
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.data)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let notes = match self.data {
            Data::Keep => String::new(),
            Data::Purge => format!("[ ! -e {0} ] || echo {0} is there; ", before::HOME),
        };
        let script = format!(
            "for file in {MARKER} {PARTS}; do [ ! -e \"$file\" ] || echo the host is marked; done; {notes}"
        );
        let found = ask(cx, Command::script(script)).await?.text();
        Ok(match found.lines().next() {
            None => State::Satisfied,
            Some(reason) => State::needed(reason),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::leave(cx, self.data).await?;
        let parts = Command::script(format!("rm -f -- {PARTS}"));
        must(cx, "remove what is left of the mark", parts).await?;
        before::unmark(cx, MARKER).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
