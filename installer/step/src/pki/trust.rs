use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use crate::local_file;
use crate::service::mark_for_restart;
use crate::shell::{REPLACE, ask, must};

/// Has the kubeconfigs that kubeadm wrote on a host trust the authorities that the operator's machine does: kubeadm knows
/// one authority at a time, and does not come back to a node that has joined.
pub struct TrustInKubeconfigs {
    /// The certificates of the apiservers' authorities, on the operator's machine.
    pub authority: Utf8PathBuf,
    /// The service that reads the kubelet's.
    pub kubelet: &'static str,
}

const FILES: &str = "for file in /etc/kubernetes/admin.conf /etc/kubernetes/super-admin.conf \
/etc/kubernetes/controller-manager.conf /etc/kubernetes/scheduler.conf /etc/kubernetes/kubelet.conf; do
  data=$(sed -n 's/^ *certificate-authority-data: *//p' \"$file\" 2>/dev/null | tr -d '\"' | head -n 1)
  [ -n \"$data\" ] && [ \"$data\" != \"$wanted\" ] || continue";

impl TrustInKubeconfigs {
    fn wanted(&self) -> Result<String, StepError> {
        let pem = local_file::read(&self.authority)?;
        let pem = pem.ok_or_else(|| StepError::new(format!("there is no {}", self.authority)))?;
        Ok(format!("wanted={}\n{FILES}", BASE64_STANDARD.encode(pem)))
    }
}

#[async_trait]
impl Step for TrustInKubeconfigs {
    fn id(&self) -> String {
        "authorities in kubeconfigs".to_owned()
    }

    fn describe(&self) -> String {
        "have kubeadm's kubeconfigs trust the authorities of now".to_owned()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        if !self.authority.exists() {
            return Ok(State::needed("the authority is not made yet"));
        }
        let script = format!("{}\n  printf '%s ' \"${{file##*/}}\"\ndone", self.wanted()?);
        let others = ask(cx, Command::script(script)).await?.text();
        Ok(match others.trim() {
            "" => State::Satisfied,
            others => State::needed(format!("other authorities in {others}")),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        // Before: a run that is cut short in between starts it once too often, and not once too little.
        mark_for_restart(cx, self.kubelet).await?;
        let script = format!(
            "set -e\n{REPLACE}{}\n  replace \"$file\" sed \"s|^\\( *\\)certificate-authority-data:.*|\\1certificate-authority-data: $wanted|\" \
             \"$file\"\ndone",
            self.wanted()?
        );
        let trying = "write the authorities into the kubeconfigs";
        must(cx, trying, Command::script(script)).await.map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::reads;

    #[test]
    fn kubeconfigs_are_written_anew_with_all_else_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let text = "clusters:\n- cluster:\n    certificate-authority-data: b2xk\n    server: https://a:6443\n";
        std::fs::write(dir.path().join("kubelet.conf"), text).unwrap();
        // One that names a file instead is left alone.
        std::fs::write(
            dir.path().join("admin.conf"),
            "    certificate-authority: /ca.crt\n",
        )
        .unwrap();
        let ca = dir.path().join("ca.crt");
        std::fs::write(&ca, "old and new").unwrap();
        let step = TrustInKubeconfigs {
            authority: Utf8PathBuf::from_path_buf(ca).unwrap(),
            kubelet: "kubelet.service",
        };
        let script = format!(
            "set -e\n{REPLACE}{}\n  replace \"$file\" sed \"s|^\\( *\\)certificate-authority-data:.*|\\1certificate-authority-data: $wanted|\" \"$file\"\ndone",
            step.wanted().unwrap()
        );
        reads(&script);
        let script = script.replace("/etc/kubernetes", dir.path().to_str().unwrap());
        let ran = std::process::Command::new("sh")
            .args(["-c", &script])
            .status()
            .unwrap();
        assert!(ran.success());
        let found = std::fs::read_to_string(dir.path().join("kubelet.conf")).unwrap();
        assert_eq!(
            found,
            text.replace("b2xk", &BASE64_STANDARD.encode("old and new"))
        );
    }
}
