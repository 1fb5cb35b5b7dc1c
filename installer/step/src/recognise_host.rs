use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};

use crate::before::KEPT;
use crate::preflight::MARKER;

/// Refuses to take anything from a host that belongs to another cluster, or holds its data. One that bears no mark has nothing to be
/// taken, or was left half-way.
pub struct RecogniseHost {
    pub cluster: String,
}

#[async_trait]
impl Step for RecogniseHost {
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
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    async fn refusal(files: &[(&str, &str)]) -> Option<String> {
        let plain = FakeHost::new("node1");
        let with = |host: FakeHost, (path, cluster): &(&str, &str)| {
            host.with_file(path, format!("{cluster}\n"), 0o644)
        };
        let host = Arc::new(files.iter().fold(plain, with));
        let cx = Cx {
            host,
            progress: Progress::unseen(),
        };
        let cluster = "demo".to_owned();
        let checked = RecogniseHost { cluster }.check(&cx).await;
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
}
