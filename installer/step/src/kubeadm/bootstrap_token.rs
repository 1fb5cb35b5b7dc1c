use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use host::Command;
use secrecy::SecretString;

use crate::Membership;
use crate::shell::must;

/// Makes the token by which nodes join. It is revoked when they have, and by itself ends where nobody came to that.
/// Without a node that needs one there is none.
pub struct BootstrapToken {
    /// Of every node that may have to join. One that could not be looked at does not join in this run.
    pub nodes: Vec<Slot<Membership>>,
    /// None where nobody joins.
    pub credentials: Slot<Option<JoinCredentials>>,
}

/// With what a node joins.
#[derive(Debug)]
pub struct JoinCredentials {
    pub token: SecretString,
    /// `172.16.0.2:6443`, of an apiserver that runs.
    pub apiserver: String,
}

/// Where kubeadm notes how this master's own apiserver is reached.
const APISERVER: &str = "sed -n 's|^ *kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: *||p' \
     /etc/kubernetes/manifests/kube-apiserver.yaml";

/// Begins the description of each token that kubexm makes.
pub(crate) const OURS: &str = "kubexm:";
/// Longer than masters take to join, one after the other.
const LIFETIME: &str = "30m";

#[async_trait]
impl Step for BootstrapToken {
    fn id(&self) -> String {
        "bootstrap token".to_owned()
    }

    fn describe(&self) -> String {
        "make a token for the nodes that join".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.credentials.id()]
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        if self.credentials.get().is_some() {
            return Ok(State::Satisfied);
        }
        let outside = |node: &Slot<Membership>| node.get() == Some(&Membership::Outside);
        let joining = self.nodes.iter().filter(|node| outside(node)).count();
        Ok(match joining {
            0 => {
                self.credentials.fill(None);
                State::Satisfied
            }
            1 => State::needed("a node has not joined yet"),
            many => State::needed(format!("{many} nodes have not joined yet")),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let description = format!("{OURS} nodes that join");
        let create = Command::new([
            "/usr/local/bin/kubeadm",
            "token",
            "create",
            "--ttl",
            LIFETIME,
            "--description",
            &description,
            "--kubeconfig",
            "/etc/kubernetes/admin.conf",
        ]);
        let output = must(cx, "make a bootstrap token", create).await?;
        let token = output.text().trim().to_owned();
        if token.is_empty() {
            return Err(StepError::new(
                "kubeadm made a bootstrap token and did not tell it",
            ));
        }
        let trying = "read where the apiserver is reached";
        let apiserver = must(cx, trying, Command::script(APISERVER)).await?.text();
        let apiserver = apiserver.trim().to_owned();
        if apiserver.is_empty() {
            return Err(StepError::new(
                "the manifest of the apiserver does not say where it is reached",
            )
            .with_hint("on a master: cat /etc/kubernetes/manifests/kube-apiserver.yaml"));
        }
        self.credentials.fill(Some(JoinCredentials {
            token: SecretString::from(token),
            apiserver,
        }));
        Ok(())
    }

    /// `RevokeTokens` follows the joins.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
