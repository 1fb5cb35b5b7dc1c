use async_trait::async_trait;
use engine::{Cx, Question, Retry, State, StepError};
use serde::Deserialize;

use super::webhooks::ServiceName;
use super::{all_well, count, list};
use crate::kube::objects::{Condition, Metadata};

/// Every part of the API that the apiserver leaves to somebody else is there. One that is not keeps every namespace that is
/// deleted from going away, and is in the way of whoever asks what the API has.
pub struct ProveApiServices {
    pub patience: Retry,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ApiService {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    /// None: it is the apiserver's own.
    service: Option<ServiceName>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
}

impl ApiService {
    fn trouble(&self) -> Option<String> {
        let ServiceName { namespace, name } = self.spec.service.as_ref()?;
        let mut conditions = self.status.conditions.iter();
        let available = conditions.find(|condition| condition.kind == "Available");
        let why = match available {
            Some(condition) if condition.status == "True" => return None,
            Some(Condition {
                reason, message, ..
            }) => format!("{reason}: {message}"),
            None => "nobody has asked it yet".to_owned(),
        };
        Some(format!(
            "APIService {} has no server (service {namespace}/{name}): {why}",
            self.metadata.name
        ))
    }
}

#[async_trait]
impl Question for ProveApiServices {
    fn id(&self) -> String {
        "prove API services".to_owned()
    }

    fn describe(&self) -> String {
        "every part of the API has a server".to_owned()
    }

    fn retry(&self) -> Retry {
        self.patience
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let services: Vec<ApiService> = list(cx, &["apiservices"]).await?;
        let troubles: Vec<String> = services.iter().filter_map(ApiService::trouble).collect();
        all_well(&troubles).map_err(|error| {
            error.with_hint(
                "bring its server up, or remove it: kubectl delete apiservice NAME; until then no namespace can be deleted",
            )
        })?;
        let others = services
            .iter()
            .filter(|service| service.spec.service.is_some());
        cx.progress.seen(
            format!(
                "{} beside the apiserver's own",
                count(others.count() as u64, "part")
            ),
            None,
        );
        Ok(State::Satisfied)
    }
}
