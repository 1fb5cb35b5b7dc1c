//! Which pods of a node have to go, and what is lost with them.

use serde_json::Value;

use crate::kube::eviction::leaves;
use crate::kube::objects::{Metadata, Pod};

/// What becomes of a pod when its node is drained.
#[derive(Debug, PartialEq, Eq)]
pub enum Resident {
    /// It ends with the node, or has ended already.
    Stays,
    /// With what is lost by that.
    Goes { loses: Vec<String> },
}

/// What runs there is made by those who know how to make it again.
const SYSTEM: &str = "kube-system";

pub fn resident(pod: &Pod) -> Resident {
    let Metadata {
        owner_references,
        namespace,
        ..
    } = &pod.metadata;
    if !leaves(pod) {
        return Resident::Stays;
    }
    let mut loses = Vec::new();
    if pod.metadata.deletion_timestamp.is_none() && namespace != SYSTEM {
        if owner_references.is_empty() {
            loses.push("nobody makes it again".to_owned());
        }
        let local = pod
            .spec
            .volumes
            .iter()
            .filter(|volume| volume.empty_dir.is_some());
        loses.extend(local.map(|volume| format!("its emptyDir {}", volume.name)));
    }
    Resident::Goes { loses }
}

/// A claim whose data can be on this node only.
pub fn of_volume(volume: &Value, node: &str) -> Option<String> {
    let terms = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"].as_array()?;
    let names_it = |term: &Value| {
        let wanted = term["matchExpressions"].as_array();
        let mut wanted = wanted.into_iter().flatten();
        wanted.any(|wanted| {
            let values = wanted["values"].as_array();
            values.is_some_and(|values| values.len() == 1 && values[0] == *node)
        })
    };
    if terms.is_empty() || !terms.iter().all(names_it) {
        return None;
    }
    let claim = &volume["spec"]["claimRef"];
    let (namespace, name) = (claim["namespace"].as_str()?, claim["name"].as_str()?);
    Some(format!("claim {namespace}/{name}: its volume is there"))
}
