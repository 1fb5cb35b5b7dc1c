use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use crate::before::{self, Resource};
use crate::shell::{ask, must};
use crate::{TakeBack, UploadFile};

/// Keeps `NetworkManager` away from interfaces that others look after: it would take their addresses and routes. A host
/// without `NetworkManager` gets no such file.
pub struct SpareInterfaces {
    pub file: UploadFile,
}

const FOLDER: &str = "/etc/NetworkManager";

impl SpareInterfaces {
    /// It reads only names that end with `.conf`.
    fn new_path(&self) -> Utf8PathBuf {
        format!("{}.new", self.file.path).into()
    }

    /// A file that `NetworkManager` has not read is taken away again, so that the next run sees that it is needed.
    fn script(&self) -> String {
        let new = self.new_path();
        let (new, path) = (
            host::quote(new.as_str()),
            host::quote(self.file.path.as_str()),
        );
        format!(
            "mv -f {new} {path} && systemctl is-active --quiet NetworkManager || exit 0; \
             systemctl reload NetworkManager || {{ rm -f {path}; exit 1; }}"
        )
    }
}

#[async_trait]
impl Step for SpareInterfaces {
    fn id(&self) -> String {
        format!("spare interfaces by {}", self.file.path)
    }

    fn describe(&self) -> String {
        "keep NetworkManager away from the interfaces of the pods' network".to_owned()
    }

    fn inputs(&self) -> String {
        self.file.inputs()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let there = Command::new(["test", "-d", FOLDER]);
        if ask(cx, there).await?.ok() {
            self.file.check(cx).await
        } else {
            Ok(State::Satisfied)
        }
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[Resource::File(self.file.path.clone())]).await?;
        let new = UploadFile {
            path: self.new_path(),
            content: self.file.content.clone(),
            attrs: self.file.attrs.clone(),
        };
        new.put(cx).await?;
        must(
            cx,
            "have NetworkManager read its configuration",
            Command::script(self.script()),
        )
        .await
        .map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(TakeBack::file(&self.file.path))
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::FileAttrs;
    use host::fake::FakeHost;

    use super::*;
    use crate::Content;

    const PATH: &str = "/etc/NetworkManager/conf.d/99-kubexm.conf";

    fn step() -> SpareInterfaces {
        SpareInterfaces {
            file: UploadFile {
                path: PATH.into(),
                content: Content::Text("[keyfile]\n".to_owned()),
                attrs: FileAttrs::root(0o644),
            },
        }
    }

    #[tokio::test]
    async fn a_host_without_networkmanager_gets_no_file() {
        let host = Arc::new(FakeHost::new("node1").on("test -d", 1, ""));
        let cx = Cx::new(host.clone(), Progress::unseen());
        assert_eq!(step().check(&cx).await.unwrap(), State::Satisfied);
        assert!(host.files().is_empty());
    }

    #[tokio::test]
    async fn what_networkmanager_did_not_read_is_no_file_of_its() {
        let host = Arc::new(FakeHost::new("node1").on("stat -c", 3, "").on(
            "systemctl reload",
            1,
            "",
        ));
        let cx = Cx::new(host.clone(), Progress::unseen());
        assert_ne!(step().check(&cx).await.unwrap(), State::Satisfied);
        let error = step().apply(&cx).await.unwrap_err();
        insta::assert_snapshot!(error, @"cannot have NetworkManager read its configuration: status 1");
        assert!(!host.files().contains_key(camino::Utf8Path::new(PATH)));
        assert!(
            host.transcript()
                .contains("systemctl reload NetworkManager || { rm -f")
        );
    }
}
