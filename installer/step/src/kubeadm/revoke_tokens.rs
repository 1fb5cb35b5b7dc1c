use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::kubeadm::KUBECTL;
use crate::kubeadm::bootstrap_token::OURS;
use crate::shell::{ask, must};

/// Takes every bootstrap token away that was made for joining, also by a run that was cut short: who reads one later
/// joins nothing with it. Those that somebody else has made stay.
pub struct RevokeTokens;

/// A secret's name and its description, a line for each token. The name holds a token's public part alone.
const LIST: &str = "--namespace kube-system get secrets --field-selector type=bootstrap.kubernetes.io/token --output \
     'jsonpath={range .items[*]}{.metadata.name} {.data.description}{\"\\n\"}{end}'";

fn list() -> Command {
    Command::script(format!("{KUBECTL} {LIST}"))
}

fn ours(listed: &str) -> Vec<&str> {
    let is_ours = |description: &str| {
        let text = STANDARD.decode(description).unwrap_or_default();
        text.starts_with(OURS.as_bytes())
    };
    listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, description)| is_ours(description.trim()))
        .map(|(name, _)| name)
        .collect()
}

#[async_trait]
impl Step for RevokeTokens {
    fn id(&self) -> String {
        "revoke bootstrap tokens".to_owned()
    }

    fn describe(&self) -> String {
        "revoke the tokens that were made for joining".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let listed = ask(cx, list()).await?;
        if !listed.ok() {
            return Ok(State::needed(listed.last_words()));
        }
        Ok(match ours(&listed.text()).len() {
            0 => State::Satisfied,
            1 => State::needed("a token is valid"),
            many => State::needed(format!("{many} tokens are valid")),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let listed = must(cx, "list the bootstrap tokens", list()).await?.text();
        let names: Vec<String> = ours(&listed).into_iter().map(host::quote).collect();
        if names.is_empty() {
            return Ok(());
        }
        let delete = format!(
            "{KUBECTL} --namespace kube-system delete secrets --ignore-not-found {}",
            names.join(" ")
        );
        must(cx, "revoke the bootstrap tokens", Command::script(delete))
            .await
            .map(drop)
    }

    /// What it takes away is gone for good.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_others_stay() {
        let described = |text: &str| STANDARD.encode(text);
        let listed = format!(
            "bootstrap-token-aaaaaa {}\nbootstrap-token-bbbbbb {}\nbootstrap-token-cccccc \n",
            described("kubexm: nodes that join"),
            described("for the autoscaler of kubexm: keep")
        );
        assert_eq!(ours(&listed), ["bootstrap-token-aaaaaa"]);
    }
}
