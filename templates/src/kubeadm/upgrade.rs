use serde::Serialize;

use super::KubeadmForm;
use super::documents::Header;
use crate::{Template, TemplateError, yaml};

/// How kubeadm upgrades a node that is there. Only the newer form has it; before, it was said on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeadmUpgradeConfig {
    pub ignore_preflight_errors: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(flatten)]
    header: Header,
    apply: Settings<'a>,
    node: Settings<'a>,
}

/// etcd is changed by itself, one member after the other, and nothing is copied beside its data.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Settings<'a> {
    etcd_upgrade: bool,
    certificate_renewal: bool,
    image_pull_policy: &'static str,
    ignore_preflight_errors: &'a [String],
}

impl Template for KubeadmUpgradeConfig {
    fn render(&self) -> Result<String, TemplateError> {
        let settings = || Settings {
            etcd_upgrade: false,
            certificate_renewal: true,
            image_pull_policy: "IfNotPresent",
            ignore_preflight_errors: &self.ignore_preflight_errors,
        };
        let document = Document {
            header: Header {
                api_version: KubeadmForm::V1Beta4.api_version(),
                kind: "UpgradeConfiguration",
            },
            apply: settings(),
            node: settings(),
        };
        yaml::document("kubeadm-upgrade.yaml", &document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubeadm_is_told_by_a_file() {
        let config = KubeadmUpgradeConfig {
            ignore_preflight_errors: vec!["SystemVerification".to_owned()],
        };
        insta::assert_snapshot!(config.render().unwrap(), @r"
        apiVersion: kubeadm.k8s.io/v1beta4
        kind: UpgradeConfiguration
        apply:
          etcdUpgrade: false
          certificateRenewal: true
          imagePullPolicy: IfNotPresent
          ignorePreflightErrors:
          - SystemVerification
        node:
          etcdUpgrade: false
          certificateRenewal: true
          imagePullPolicy: IfNotPresent
          ignorePreflightErrors:
          - SystemVerification
        ");
    }
}
