use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use serde::Deserialize;
use serde_json::json;

use crate::check::list;
use crate::kube::kubectl::must_kubectl_with;
use crate::kube::objects::Metadata;
use crate::local_file;
use crate::pki::members;

/// Has the cluster tell its clients to trust the authorities that the operator's machine does, and no others. What pods
/// read, the controller manager writes; what joining nodes and the servers of further APIs read is written here, because
/// apiservers only ever add to it.
pub struct TrustInCluster {
    /// The apiservers' authorities, on the operator's machine.
    pub authority: Utf8PathBuf,
    /// Those of the apiservers themselves to the servers of further APIs.
    pub front_proxy: Utf8PathBuf,
}

const SYSTEM: &str = "kube-system";
const PUBLIC: &str = "kube-public";
const ROOT: &str = "kube-root-ca.crt";
const CLUSTER_INFO: &str = "cluster-info";
const AUTHENTICATION: &str = "extension-apiserver-authentication";
const CLIENTS: &str = "client-ca-file";
const FRONT_PROXY: &str = "requestheader-client-ca-file";
/// The controller manager has started anew just now.
const PATIENCE: Duration = Duration::from_mins(3);
const ASK_EVERY: Duration = Duration::from_secs(2);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConfigMap {
    metadata: Metadata,
    data: BTreeMap<String, String>,
}

/// What is to be trusted.
struct Wanted {
    authority: String,
    front_proxy: String,
}

impl TrustInCluster {
    fn wanted(&self) -> Result<Wanted, StepError> {
        let text = |path: &Utf8PathBuf| {
            let bytes = local_file::read(path)?;
            let bytes = bytes.ok_or_else(|| StepError::new(format!("there is no {path}")))?;
            Ok::<_, StepError>(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Wanted {
            authority: text(&self.authority)?,
            front_proxy: text(&self.front_proxy)?,
        })
    }

    async fn look(&self, cx: &Cx) -> Result<(Vec<String>, Vec<ConfigMap>), StepError> {
        let wanted = self.wanted()?;
        let named = |name: &str| format!("--field-selector=metadata.name={name}");
        let mut maps: Vec<ConfigMap> = Vec::new();
        for name in [ROOT, CLUSTER_INFO, AUTHENTICATION] {
            let found = list(cx, &["configmaps", "--all-namespaces", &named(name)]).await?;
            maps.extend(found);
        }
        let lacking = maps.iter().filter(|map| !wanted.is_in(map));
        let lacking =
            lacking.map(|map| format!("{}/{}", map.metadata.namespace, map.metadata.name));
        Ok((lacking.collect(), maps))
    }

    async fn lacking(&self, cx: &Cx) -> Result<State, StepError> {
        let (lacking, _) = self.look(cx).await?;
        Ok(match lacking.as_slice() {
            [] => State::Satisfied,
            lacking => State::needed(format!("other authorities in {}", lacking.join(", "))),
        })
    }
}

impl Wanted {
    /// One that is somebody else's is as it should be.
    fn is_in(&self, map: &ConfigMap) -> bool {
        let holds = |key: &str, wanted: &str| {
            let found = map.data.get(key);
            found.is_none_or(|found| members(found.as_bytes()) == members(wanted.as_bytes()))
        };
        match (&*map.metadata.namespace, &*map.metadata.name) {
            (_, ROOT) => holds("ca.crt", &self.authority),
            (SYSTEM, AUTHENTICATION) => {
                holds(CLIENTS, &self.authority) && holds(FRONT_PROXY, &self.front_proxy)
            }
            (PUBLIC, CLUSTER_INFO) => {
                let kubeconfig = map.data.get("kubeconfig");
                kubeconfig.is_none_or(|text| {
                    let found = text.lines().find_map(authority_data);
                    let pem = found.and_then(|(_, data)| BASE64_STANDARD.decode(data).ok());
                    pem.is_some_and(|pem| members(&pem) == members(self.authority.as_bytes()))
                })
            }
            _ => true,
        }
    }

    /// What is to be written into it; nothing where others do.
    fn patch(&self, map: &ConfigMap) -> Option<serde_json::Value> {
        if self.is_in(map) {
            return None;
        }
        match (&*map.metadata.namespace, &*map.metadata.name) {
            (SYSTEM, AUTHENTICATION) => {
                Some(json!({"data": {CLIENTS: self.authority, FRONT_PROXY: self.front_proxy}}))
            }
            (PUBLIC, CLUSTER_INFO) => {
                let kubeconfig = map.data.get("kubeconfig")?;
                let lines = kubeconfig.lines().map(|line| match authority_data(line) {
                    Some((head, _)) => {
                        format!("{head} {}", BASE64_STANDARD.encode(&self.authority))
                    }
                    None => line.to_owned(),
                });
                let lines: Vec<String> = lines.collect();
                Some(json!({"data": {"kubeconfig": lines.join("\n") + "\n"}}))
            }
            _ => None,
        }
    }
}

/// The line of a kubeconfig that carries the authority: what stands ahead of it, and itself.
fn authority_data(line: &str) -> Option<(&str, &str)> {
    let (head, data) = line.split_at(line.find(':')? + 1);
    let named = head.trim_start() == "certificate-authority-data:";
    named.then(|| (head, data.trim().trim_matches('"')))
}

#[async_trait]
impl Step for TrustInCluster {
    fn id(&self) -> String {
        "authorities in the cluster".to_owned()
    }

    fn describe(&self) -> String {
        "have the cluster tell its clients the authorities of now".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.lacking(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let (wanted, (_, maps)) = (self.wanted()?, self.look(cx).await?);
        for map in &maps {
            let Some(patch) = wanted.patch(map) else {
                continue;
            };
            let Metadata {
                namespace, name, ..
            } = &map.metadata;
            let arguments = [
                "patch",
                "configmap",
                name,
                "--namespace",
                namespace,
                "--type=merge",
                "--patch-file=/dev/stdin",
            ];
            let trying = format!("write the authorities into {namespace}/{name}");
            let patch = patch.to_string().into();
            must_kubectl_with(cx, &trying, &arguments, patch).await?;
        }
        let look = || async {
            match self.lacking(cx).await {
                Err(error) if error.may_pass() => Ok(State::needed(error.to_string())),
                other => other,
            }
        };
        match cx.wait_until(PATIENCE, ASK_EVERY, look).await? {
            State::Satisfied => Ok(()),
            State::Needed(lacking) => Err(StepError::new(format!(
                "after {} s there are {lacking}",
                PATIENCE.as_secs()
            ))
            .with_hint("kube-root-ca.crt is written by the controller manager: look at its log")),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n")
    }

    fn map(namespace: &str, name: &str, data: &[(&str, &str)]) -> ConfigMap {
        let data = data.iter();
        ConfigMap {
            metadata: Metadata {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                ..Metadata::default()
            },
            data: data
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn what_the_cluster_tells_is_compared_and_written_where_nobody_else_does() {
        let (old, new) = (block("old"), block("new"));
        let wanted = Wanted {
            authority: format!("{new}{old}"),
            front_proxy: new.clone(),
        };
        let turned = format!("{old}{new}");
        assert!(wanted.is_in(&map("default", ROOT, &[("ca.crt", &turned)])));
        let stale = map("default", ROOT, &[("ca.crt", &old)]);
        assert!(!wanted.is_in(&stale));
        assert_eq!(wanted.patch(&stale), None, "the controller manager does");

        let merged = map(
            SYSTEM,
            AUTHENTICATION,
            &[(CLIENTS, &turned), (FRONT_PROXY, &turned)],
        );
        let patch = wanted.patch(&merged).unwrap();
        assert_eq!(patch["data"][FRONT_PROXY], new);

        let kubeconfig = |pem: &str| {
            let data = BASE64_STANDARD.encode(pem);
            format!(
                "clusters:\n- cluster:\n    certificate-authority-data: {data}\n    server: https://a:6443\n  name: \"\"\n"
            )
        };
        let info = map(PUBLIC, CLUSTER_INFO, &[("kubeconfig", &kubeconfig(&old))]);
        let patch = wanted.patch(&info).unwrap();
        assert_eq!(patch["data"]["kubeconfig"], kubeconfig(&wanted.authority));
        let foreign = map("other", CLUSTER_INFO, &[("kubeconfig", "x")]);
        assert!(wanted.is_in(&foreign));
    }
}
