use bytes::Bytes;
use engine::{Cx, StepError};
use host::{Command, Output};
use serde_json::Value;

use crate::shell::{ask, must};

/// Otherwise kubectl leaves what it knows of the API in the home of root.
pub(crate) const CACHE: &str = "--cache-dir=/var/lib/kubexm/kubectl";

/// kubectl on a master, as the administrator.
const KUBECTL: [&str; 4] = [
    "/usr/local/bin/kubectl",
    CACHE,
    "--kubeconfig",
    "/etc/kubernetes/admin.conf",
];

/// The same for scripts.
pub(crate) fn line() -> String {
    KUBECTL.join(" ")
}

pub(crate) fn kubectl(arguments: &[&str]) -> Command {
    Command::new(KUBECTL.iter().chain(arguments).copied())
}

/// What the cluster answers, whatever its status.
pub(crate) async fn ask_kubectl(cx: &Cx, arguments: &[&str]) -> Result<Output, StepError> {
    ask(cx, kubectl(arguments)).await
}

pub(crate) async fn ask_kubectl_with(
    cx: &Cx,
    arguments: &[&str],
    stdin: Bytes,
) -> Result<Output, StepError> {
    ask(cx, kubectl(arguments).stdin(stdin)).await
}

pub(crate) async fn must_kubectl_with(
    cx: &Cx,
    trying: &str,
    arguments: &[&str],
    stdin: Bytes,
) -> Result<Output, StepError> {
    must(cx, trying, kubectl(arguments).stdin(stdin)).await
}

/// Objects of the cluster.
pub(crate) async fn get_json(cx: &Cx, what: &[&str]) -> Result<Value, StepError> {
    let arguments = [&["get", "--output", "json"], what].concat();
    let trying = format!("get {}", what.join(" "));
    let output = must(cx, &trying, kubectl(&arguments)).await?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| StepError::new(format!("cannot read the answer to {trying}: {error}")))
}
