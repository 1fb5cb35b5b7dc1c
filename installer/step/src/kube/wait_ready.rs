use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::kube::kubectl::ask_kubectl;
use crate::service::run::with_last_lines;
use crate::shell::ask;

/// Waits until a component of the control plane says that it is ready, on its own host and past every load balancer. A
/// component that has started is not ready yet: the next host must not be touched before.
pub struct WaitReady {
    /// Its service, whose last words are told where it does not become ready.
    pub unit: &'static str,
    /// `https://127.0.0.1:6443`
    pub server: String,
    pub health: Health,
}

/// How a component is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// As an administrator, by the site's certificates: an apiserver, which need not answer to anybody else.
    Apiserver,
    /// As anybody: the others, who sign their own certificates and tell everyone how they are.
    Other,
}

/// How long a component may take, with a store that is just settling.
const PATIENCE: Duration = Duration::from_mins(2);
/// kubectl asks a person where it is told of nobody; the components read no such name.
const NOBODY: [&str; 4] = ["--username", "nobody", "--password", "none"];
const ASK_EVERY: Duration = Duration::from_secs(1);

impl WaitReady {
    fn component(&self) -> &'static str {
        self.unit.trim_end_matches(".service")
    }
}

/// Of an apiserver's long answer the checks that fail, as far as it comes to answer.
fn failing(words: &str) -> String {
    let lines = words.split("\\n").flat_map(str::lines);
    let checks: Vec<&str> = lines
        .filter_map(|line| line.split("[-]").nth(1)?.split(' ').next())
        .collect();
    if checks.is_empty() {
        words.to_owned()
    } else {
        format!("not ready yet: {}", checks.join(", "))
    }
}

#[async_trait]
impl Step for WaitReady {
    fn id(&self) -> String {
        format!("ready {}", self.component())
    }

    fn describe(&self) -> String {
        format!("wait until {} is ready", self.component())
    }

    fn inputs(&self) -> String {
        self.server.clone()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let server = ["--server", &self.server, "--request-timeout", "5s"];
        let output = match self.health {
            Health::Apiserver => {
                ask_kubectl(cx, &[&server[..], &["get", "--raw", "/readyz"]].concat()).await?
            }
            Health::Other => {
                let alone = ["/usr/local/bin/kubectl", "--kubeconfig", "/dev/null"];
                let get = ["--insecure-skip-tls-verify", "get", "--raw", "/healthz"];
                let command = [&alone[..], &NOBODY, &server, &get].concat();
                ask(cx, Command::new(command)).await?
            }
        };
        Ok(if output.ok() {
            State::Satisfied
        } else {
            State::needed(failing(&output.last_words()))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || self.check(cx);
        let State::Needed(reason) = cx.wait_until(PATIENCE, ASK_EVERY, look).await? else {
            return Ok(());
        };
        let error = format!("{} does not become ready: {reason}", self.component());
        Err(with_last_lines(cx, self.unit, error).await)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_answer_only_what_fails_is_told() {
        let words = r#"Error from server (InternalError): an error on the server ("[+]ping ok\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n[+]shutdown ok\n[-]etcd failed: reason withheld\nreadyz check failed") has prevented the request from succeeding"#;
        assert_eq!(
            failing(words),
            "not ready yet: poststarthook/rbac/bootstrap-roles, etcd"
        );
        assert_eq!(failing("connection refused"), "connection refused");
    }
}
