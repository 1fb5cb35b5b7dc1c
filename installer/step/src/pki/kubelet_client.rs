use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use host::{Command, FileAttrs, Source};
use secrecy::zeroize::Zeroizing;
use time::OffsetDateTime;

use super::{KeyPairFiles, certificates_of, signer_name};
use crate::local_file;
use crate::service::mark_for_restart;
use crate::shell::{ask, must};

/// Gives a kubelet another certificate where its own has ended, or is about to: such a one can no longer ask for a new one by
/// itself. And where another authority has signed it than the one that signs now.
pub struct MendKubeletClient {
    pub by: KubeletClient,
    /// The certificates of the authorities, on the operator's machine.
    pub authority: Utf8PathBuf,
    /// The service that reads it.
    pub kubelet: &'static str,
}

/// Where its next certificate is.
pub enum KubeletClient {
    /// In these files of the operator's machine: its kubeconfig names its own alone.
    Given(KeyPairFiles),
    /// In its kubeconfig: it goes by that where it has none of its own, and asks for one.
    InKubeconfig,
}

const DIR: &str = "/var/lib/kubelet/pki";
const CURRENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
const KUBECONFIG: &str = "/etc/kubernetes/kubelet.conf";
/// Kubelets renew theirs long before.
const AT_LEAST_DAYS: i64 = 7;

#[async_trait]
impl Step for MendKubeletClient {
    fn id(&self) -> String {
        "the kubelet's own certificate".to_owned()
    }

    fn describe(&self) -> String {
        "renew the kubelet's own certificate, where it has ended or its authority is another"
            .to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let joined = ask(cx, Command::new(["test", "-e", KUBECONFIG])).await?;
        if !joined.ok() {
            return Ok(State::Satisfied);
        }
        let now = OffsetDateTime::now_utc();
        let seen = certificates_of(cx).await?;
        let own = seen.iter().find(|seen| seen.path == CURRENT);
        let authorities = local_file::read(&self.authority)?.unwrap_or_default();
        let signer = signer_name(&authorities);
        Ok(match own {
            Some(own)
                if signer
                    .as_ref()
                    .is_some_and(|signer| own.authority != *signer) =>
            {
                State::needed(format!("{} has signed it", own.authority))
            }
            Some(own) if own.days_left(now) >= AT_LEAST_DAYS => State::Satisfied,
            Some(own) if own.ends <= now => State::needed("it has ended"),
            Some(own) => State::needed(format!("it ends in {} days", own.days_left(now))),
            None => match self.by {
                KubeletClient::Given(_) => State::needed("there is none"),
                KubeletClient::InKubeconfig => State::Satisfied,
            },
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        mark_for_restart(cx, self.kubelet).await?;
        let from = match &self.by {
            KubeletClient::Given(from) => from,
            KubeletClient::InKubeconfig => {
                let remove = Command::new(["rm", "-f", CURRENT]);
                let trying = "remove the kubelet's own certificate";
                return must(cx, trying, remove).await.map(drop);
            }
        };
        let mut pem = Zeroizing::new(Vec::new());
        for path in [from.certificate(), from.key()] {
            let Some(part) = local_file::read(&path)? else {
                return Err(StepError::new(format!("there is no {path}")));
            };
            pem.extend(part);
        }
        // As the kubelet names its own.
        let time = jiff::Timestamp::now().strftime("%Y-%m-%d-%H-%M-%S");
        let file = format!("{DIR}/kubelet-client-{time}.pem");
        let source = Source::Bytes(pem.to_vec().into());
        let attrs = FileAttrs::root(0o600);
        cx.host
            .upload(&source, file.as_str().into(), &attrs, &cx.progress)
            .await?;
        // A kubeconfig that carries a certificate in itself would keep the old one.
        let script = format!(
            "set -e; ln -sfn {file} {CURRENT}
sed -i -e 's|^\\( *\\)client-certificate-data:.*|\\1client-certificate: {CURRENT}|' \
-e 's|^\\( *\\)client-key-data:.*|\\1client-key: {CURRENT}|' {KUBECONFIG}"
        );
        must(
            cx,
            "give the kubelet its certificate",
            Command::script(script),
        )
        .await
        .map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
