//! Proofs: steps that ask whether something holds. What they see goes into the run's events; nothing that they change
//! stays. Where a thing may still settle, an error is one that may pass, and the patience of the proof says how long.

mod api_services;
mod apiserver;
mod causes;
mod certificates;
mod dns_message;
mod endpoint;
mod etcd;
mod image_source;
mod images;
mod nodes;
mod pods;
mod probe_corefiles;
mod probe_namespace;
pub(crate) mod probe_pods;
mod reach;
mod registry;
mod time;
mod webhooks;

pub use api_services::ProveApiServices;
pub use apiserver::{ProveApiserver, api_answers};
pub use certificates::ProveCertificates;
pub use endpoint::ProveEndpoint;
pub use etcd::ProveEtcd;
pub use image_source::ProveImageSource;
pub use images::{KnownImage, ProveImages};
pub(crate) use images::{Older, older};
pub use nodes::{LookAtNodes, NodeSeen, ProveNodes};
pub use pods::ProveSystemPods;
pub use probe_pods::{ProbePods, Probes, RemoveProbePods, SetUpProbePods};
pub use reach::{Family, ProveReach};
pub use registry::ProveRegistry;
pub use time::ProveTime;
pub(crate) use webhooks::guards_of_pods;
pub use webhooks::{ProveWebhooks, WebhookSeen};

use engine::StepError;
use serde::de::DeserializeOwned;

use crate::kube::kubectl::get_json;

/// A list of the cluster's objects, as far as proofs look at them.
pub(crate) async fn list<T: DeserializeOwned>(
    cx: &engine::Cx,
    what: &[&str],
) -> Result<Vec<T>, StepError> {
    #[derive(serde::Deserialize)]
    struct List<T> {
        items: Vec<T>,
    }
    let list: List<T> = get_json(cx, &[what, &["--request-timeout=20s"]].concat())
        .await
        .map_err(|error| StepError::passing(error.to_string()))?;
    Ok(list.items)
}

/// Everything that is wrong, below each other.
fn all_well(troubles: &[String]) -> Result<(), StepError> {
    if troubles.is_empty() {
        Ok(())
    } else {
        Err(StepError::passing(troubles.join("\n")))
    }
}

/// `1 node`, `3 nodes`
fn count(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}
