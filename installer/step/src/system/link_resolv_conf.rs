use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::{ask, must};

/// Has a path lead to the file that names the host's DNS servers, for pods to ask the same. Where systemd-resolved runs,
/// that is its own file: `/etc/resolv.conf` names an address there that answers on the host alone. A host that has
/// neither gets an empty file.
pub struct LinkResolvConf {
    pub path: Utf8PathBuf,
}

/// The best that is there, or nothing.
const BEST: &str = "best=$(for f in /run/systemd/resolve/resolv.conf /etc/resolv.conf; do \
                    [ ! -e \"$f\" ] || { echo \"$f\"; break; }; done)";

impl LinkResolvConf {
    async fn link(&self, cx: &Cx) -> Result<(), StepError> {
        let path = host::quote(self.path.as_str());
        let new = host::quote(&format!("{}.new", self.path));
        let script = format!(
            "{BEST}; rm -f {new} && if [ -n \"$best\" ]; then ln -s \"$best\" {new}; else : > {new}; fi && \
             mv -fT {new} {path}"
        );
        must(cx, &format!("link {}", self.path), Command::script(script))
            .await
            .map(drop)
    }
}

#[async_trait]
impl Step for LinkResolvConf {
    fn id(&self) -> String {
        format!("link {}", self.path)
    }

    fn describe(&self) -> String {
        format!("have {} lead to the host's DNS servers", self.path)
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let path = host::quote(self.path.as_str());
        let script = format!(
            "{BEST}; if [ -n \"$best\" ]; then \
             [ \"$(readlink {path})\" = \"$best\" ] || echo \"does not lead to $best\"; \
             else [ -f {path} ] && [ ! -L {path} ] || echo 'is not there'; fi"
        );
        Ok(match ask(cx, Command::script(script)).await?.text() {
            reason if reason.is_empty() => State::Satisfied,
            reason => State::needed(reason),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[Resource::File(self.path.clone())]).await?;
        self.link(cx).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(TakeBack::file(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use event::Progress;
    use host::Redactor;
    use host::local::LocalHost;
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn pods_ask_the_dns_servers_of_the_host() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("resolv.conf");
        let step = LinkResolvConf {
            path: path.to_str().unwrap().into(),
        };
        let cx = Cx::new(
            Arc::new(LocalHost::new("here", Redactor::default())),
            Progress::unseen(),
        );
        symlink("/nowhere", &path).unwrap();
        assert_ne!(step.check(&cx).await.unwrap(), State::Satisfied);
        step.link(&cx).await.unwrap();
        assert_eq!(step.check(&cx).await.unwrap(), State::Satisfied);
        // Where this machine has no such file, there is an empty one.
        let best = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];
        match best.into_iter().find(|path| fs::exists(path).unwrap()) {
            Some(best) => assert_eq!(fs::read_link(&path).unwrap().to_str(), Some(best)),
            None => assert_eq!(fs::read(&path).unwrap(), b""),
        }
    }
}
