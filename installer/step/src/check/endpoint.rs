use async_trait::async_trait;
use engine::{Cx, Question, Retry, State, StepError};
use host::{Command, quote};

use crate::shell::ask;

/// A node reaches the apiservers by the name of the control plane, wherever it leads on this node.
pub struct ProveEndpoint {
    pub domain: String,
    pub port: u16,
    pub patience: Retry,
}

impl ProveEndpoint {
    /// By the first client that the node has: kubectl as the kubelet, or as nobody curl, wget or openssl. An apiserver that
    /// takes no anonymous requests refuses these with 401, wget's status 6. The last needs an answer of any kind over a
    /// connection that the cluster's authority vouches for.
    fn script(&self) -> String {
        let (domain, url) = (quote(&self.domain), quote(&self.url()));
        let at = quote(&format!("{}:{}", self.domain, self.port));
        format!(
            "printf '%s ' $(getent ahosts {domain} | awk '{{ print $1 }}' | sort -u); echo\n\
             kubelet=/etc/kubernetes/kubelet.conf; ca=/etc/kubernetes/pki/ca.crt\n\
             if command -v kubectl >/dev/null && [ -r $kubelet ]; then\n  \
               kubectl --kubeconfig $kubelet --server {url} --request-timeout=10s get --raw /readyz\n\
             elif command -v curl >/dev/null; then\n  \
               code=$(curl --silent --show-error --noproxy '*' --max-time 10 --cacert $ca --output /dev/null \
             --write-out '%{{http_code}}' {url}/readyz) || exit\n  \
               case $code in 200 | 401) ;; *) echo \"status $code\" >&2; exit 22 ;; esac\n\
             elif command -v wget >/dev/null; then\n  \
               wget --quiet --no-proxy --timeout=10 --tries=1 --ca-certificate=$ca --output-document=- {url}/readyz || \
             [ $? -eq 6 ]\n\
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
impl Question for ProveEndpoint {
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
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    /// The status and the last words of the script on a node whose only client is this one.
    fn asked(client: &str, text: &str) -> (i32, String) {
        let dir = tempfile::tempdir().unwrap();
        for tool in ["awk", "sort", "getent"] {
            symlink(format!("/usr/bin/{tool}"), dir.path().join(tool)).unwrap();
        }
        let program = dir.path().join(client);
        std::fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let proof = ProveEndpoint {
            domain: "localhost".to_owned(),
            port: 6443,
            patience: Retry::NETWORK,
        };
        let output = Command::new("/bin/sh")
            .args(["-c", &proof.script()])
            .env("PATH", dir.path())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        (output.status.code().unwrap(), words)
    }

    fn well() -> (i32, String) {
        (0, String::new())
    }

    #[test]
    fn an_apiserver_that_takes_no_anonymous_requests_answers() {
        for code in [200, 401] {
            assert_eq!(asked("curl", &format!("printf {code}")), well());
        }
        let refused = (22, "status 403".to_owned());
        assert_eq!(asked("curl", "printf 403"), refused);
        let gone = "echo 'curl: (7) Failed to connect' >&2; exit 7";
        let words = "curl: (7) Failed to connect".to_owned();
        assert_eq!(asked("curl", gone), (7, words));

        assert_eq!(asked("wget", "exit 0"), well());
        assert_eq!(asked("wget", "exit 6"), well());
        assert_eq!(asked("wget", "exit 8").0, 1);
    }
}
