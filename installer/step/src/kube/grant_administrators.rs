use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::kube::kubectl::{CACHE, ask_kubectl};
use crate::shell::must;

/// Gives the administrators' group its rights. Until then an administrator may do nothing at all, so this is the one
/// thing that a super-administrator does, whose kubeconfig lies on the first master.
pub struct GrantAdministrators {
    /// The grant, as YAML.
    pub manifest: String,
}

const SUPER_ADMIN: &str = "/etc/kubernetes/super-admin.conf";

#[async_trait]
impl Step for GrantAdministrators {
    fn id(&self) -> String {
        "grant administrators".to_owned()
    }

    fn describe(&self) -> String {
        "give the administrators their rights".to_owned()
    }

    fn inputs(&self) -> String {
        self.manifest.clone()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let everything = ["auth", "can-i", "*", "*", "--all-namespaces"];
        let output = ask_kubectl(cx, &everything).await?;
        Ok(if output.ok() {
            State::Satisfied
        } else if output.text() == "no" {
            State::needed("they have none")
        } else {
            State::needed(output.last_words())
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let kubectl = ["/usr/local/bin/kubectl", CACHE, "--kubeconfig", SUPER_ADMIN];
        let apply = ["apply", "--server-side", "--force-conflicts"];
        let from = ["--field-manager=kubexm", "--filename", "-"];
        let command = Command::new([&kubectl[..], &apply, &from].concat());
        let command = command.stdin(self.manifest.clone().into_bytes());
        must(cx, "give the administrators their rights", command)
            .await
            .map(drop)
    }

    // A right of the cluster goes with its store.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
