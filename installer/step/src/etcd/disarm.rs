use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};

use crate::etcd::etcdctl::EtcdCluster;
use crate::shell::refused;

/// Disarms all alarms of the cluster. One whose cause is still there is raised again by etcd.
pub struct DisarmAlarms {
    pub cluster: EtcdCluster,
}

impl DisarmAlarms {
    async fn alarms(&self, cx: &Cx, verb: &str) -> Result<String, StepError> {
        let endpoints = [self.cluster.here()];
        let output = self
            .cluster
            .etcdctl(cx, &endpoints, &["alarm", verb])
            .await?;
        if output.ok() {
            Ok(output.text())
        } else {
            Err(refused(&format!("{verb} etcd's alarms"), &output))
        }
    }
}

#[async_trait]
impl Step for DisarmAlarms {
    fn id(&self) -> String {
        "disarm alarms".to_owned()
    }

    fn describe(&self) -> String {
        "disarm etcd's alarms".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let alarms = self.alarms(cx, "list").await?;
        Ok(if alarms.trim().is_empty() {
            State::Satisfied
        } else {
            let lines: Vec<&str> = alarms.lines().collect();
            State::needed(lines.join("; "))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.alarms(cx, "disarm").await.map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
