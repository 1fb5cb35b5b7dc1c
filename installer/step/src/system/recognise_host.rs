use async_trait::async_trait;
use engine::{Cx, Data, Question, State, StepError};
use host::Command;

use crate::before::KEPT;
use crate::preflight::MARKER;
use crate::shell::ask;

/// Refuses to take anything from a host that belongs to another cluster, or holds its data. From one that bears no mark
/// nothing is taken but what is noted there. Data that stayed is not taken from under somebody who runs Kubernetes there
/// since.
pub struct RecogniseHost {
    pub cluster: String,
    pub data: Data,
}

/// Says how Kubernetes is there, on a host that the cluster has left.
const SINCE: &str = "if systemctl is-active --quiet kubelet; then echo a kubelet runs; \
     elif [ -e /etc/kubernetes/kubelet.conf ]; then echo there is /etc/kubernetes/kubelet.conf; fi";

#[async_trait]
impl Question for RecogniseHost {
    fn id(&self) -> String {
        "recognise".to_owned()
    }

    fn describe(&self) -> String {
        "look whose the host is".to_owned()
    }

    fn inputs(&self) -> String {
        self.cluster.clone()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        for (file, belongs) in [(MARKER, "it belongs"), (KEPT, "data on it belongs")] {
            let Some(mark) = cx.host.read(file.into()).await? else {
                continue;
            };
            let found = String::from_utf8_lossy(&mark).trim().to_owned();
            if found != self.cluster {
                return Err(StepError::new(format!(
                    "{belongs} to the cluster '{found}' ({file}), not to '{}'",
                    self.cluster
                ))
                .with_hint("correct the host's address in the config, or give the config of its own cluster"));
            }
            // What was kept before this cluster came is under its mark now.
            break;
        }
        if self.data == Data::Purge && Mark::of(cx).await? == Mark::Data {
            let since = ask(cx, Command::script(SINCE)).await?.text();
            if !since.is_empty() {
                return Err(StepError::new(format!(
                    "{since}, set up after '{}' left it: the data that stayed may be in use",
                    self.cluster
                ))
                .with_hint(
                    "take the host out of the config; /var/lib/kubexm there tells what stayed",
                ));
            }
        }
        Ok(State::Satisfied)
    }
}

/// What of a host is its cluster's. A removal that goes by what it finds there, and not by notes, asks for it; that it is
/// no other cluster's is what [`RecogniseHost`] has made sure of by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// All of it: the mark is written before anything is set up, and taken away last.
    Host,
    /// The data that stayed when the cluster left.
    Data,
    /// Nothing: whatever runs there is somebody else's.
    Nothing,
}

impl Mark {
    pub(crate) async fn of(cx: &Cx) -> Result<Self, StepError> {
        let read = async |file: &str| cx.host.read(file.into()).await;
        Ok(if read(MARKER).await?.is_some() {
            Self::Host
        } else if read(KEPT).await?.is_some() {
            Self::Data
        } else {
            Self::Nothing
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    async fn refusal(files: &[(&str, &str)]) -> Option<String> {
        refused(FakeHost::new("node1"), files, Data::Purge).await
    }

    async fn refused(plain: FakeHost, files: &[(&str, &str)], data: Data) -> Option<String> {
        let with = |host: FakeHost, (path, cluster): &(&str, &str)| {
            host.with_file(path, format!("{cluster}\n"), 0o644)
        };
        let host = Arc::new(files.iter().fold(plain, with));
        let cx = Cx::new(host, Progress::unseen());
        let cluster = "demo".to_owned();
        let checked = RecogniseHost { cluster, data }.check(&cx).await;
        checked.err().map(|error| error.to_string())
    }

    #[tokio::test]
    async fn neither_another_clusters_host_nor_its_data_is_touched() {
        assert_eq!(refusal(&[]).await, None);
        assert_eq!(refusal(&[(MARKER, "demo"), (KEPT, "other")]).await, None);
        assert_eq!(refusal(&[(KEPT, "demo")]).await, None);
        insta::assert_snapshot!(
            refusal(&[(MARKER, "other")]).await.unwrap(),
            @"it belongs to the cluster 'other' (/etc/kubexm/cluster), not to 'demo'"
        );
        insta::assert_snapshot!(
            refusal(&[(KEPT, "other")]).await.unwrap(),
            @"data on it belongs to the cluster 'other' (/var/lib/kubexm/cluster), not to 'demo'"
        );
    }
    #[tokio::test]
    async fn data_is_not_taken_from_under_kubernetes_of_others() {
        let reused = || FakeHost::new("node1").on("kubelet.conf", 0, "a kubelet runs\n");
        insta::assert_snapshot!(
            refused(reused(), &[(KEPT, "demo")], Data::Purge).await.unwrap(),
            @"a kubelet runs, set up after 'demo' left it: the data that stayed may be in use"
        );
        assert_eq!(refused(reused(), &[(KEPT, "demo")], Data::Keep).await, None);
        let ours = [(MARKER, "demo"), (KEPT, "demo")];
        assert_eq!(refused(reused(), &ours, Data::Purge).await, None);
        assert_eq!(refused(reused(), &[], Data::Purge).await, None);
    }
}
