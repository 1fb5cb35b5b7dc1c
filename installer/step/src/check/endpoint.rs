use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, Retry, State, Step, StepError};
use host::{Command, quote};

use crate::shell::ask;

/// A node reaches the apiservers by the name of the control plane, wherever it leads on this node.
pub struct ProveEndpoint {
    pub domain: String,
    pub port: u16,
    pub patience: Retry,
}

impl ProveEndpoint {
    /// By the first client that the node has: kubectl as the kubelet, curl, wget or openssl. The last needs an answer of
    /// any kind over a connection that the cluster's authority vouches for.
    fn script(&self) -> String {
        let (domain, url) = (quote(&self.domain), quote(&self.url()));
        let at = quote(&format!("{}:{}", self.domain, self.port));
        format!(
            "printf '%s ' $(getent ahosts {domain} | awk '{{ print $1 }}' | sort -u); echo\n\
             kubelet=/etc/kubernetes/kubelet.conf; ca=/etc/kubernetes/pki/ca.crt\n\
             if command -v kubectl >/dev/null && [ -r $kubelet ]; then\n  \
               kubectl --kubeconfig $kubelet --server {url} --request-timeout=10s get --raw /readyz\n\
             elif command -v curl >/dev/null; then\n  \
               curl --silent --show-error --fail --noproxy '*' --max-time 10 --cacert $ca {url}/readyz\n\
             elif command -v wget >/dev/null; then\n  \
               wget --quiet --no-proxy --timeout=10 --tries=1 --ca-certificate=$ca --output-document=- {url}/readyz\n\
             elif command -v openssl >/dev/null; then\n  \
               timeout 10 openssl s_client -connect {at} -servername {domain} -CAfile $ca -verify_return_error \
             </dev/null >/dev/null 2>&1 && echo ok\n\
             else\n  echo 'no kubectl, curl, wget or openssl to ask with' >&2; exit 69\nfi\n"
        )
    }

    fn url(&self) -> String {
        format!("https://{}:{}", self.domain, self.port)
    }
}

/// `EX_UNAVAILABLE`: the script has found nothing to ask with.
const NO_CLIENT: u32 = 69;

#[async_trait]
impl Step for ProveEndpoint {
    fn id(&self) -> String {
        "prove endpoint".to_owned()
    }

    fn describe(&self) -> String {
        format!("{} answers", self.url())
    }

    fn retry(&self) -> Retry {
        self.patience
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let output = ask(cx, Command::script(self.script())).await?;
        let text = output.text();
        let addresses: Vec<&str> = text
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let leads = if addresses.is_empty() {
            "which leads nowhere".to_owned()
        } else {
            format!("at {}", addresses.join(", "))
        };
        match output.status {
            0 => cx.progress.seen(format!("answers {leads}"), None),
            NO_CLIENT => cx.progress.seen(
                format!("{} {leads}", self.domain),
                Some(output.last_words()),
            ),
            _ => {
                let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                let (domain, why) = (
                    &self.domain,
                    if words.is_empty() {
                        "no answer"
                    } else {
                        &words
                    },
                );
                return Err(
                    StepError::passing(format!("{domain}, {leads}, does not answer: {why}"))
                        .with_hint(format!(
                            "on the host: getent hosts {domain}; is the load balancer up, and does it reach a master?"
                        )),
                );
            }
        }
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
