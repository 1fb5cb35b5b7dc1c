use std::fmt::Write;

use crate::{Template, TemplateError};

/// When somebody has to look at etcd: for Prometheus, in one of the forms in which it is told of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtcdAlerts {
    /// A file of rules.
    Rules,
    /// An object for the Prometheus operator.
    Operator,
}

const RULES: &str = include_str!("../files/etcd-alerts.yaml");
const OBJECT: &str = "apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: kubexm-etcd
  namespace: kube-system
  labels:
    app.kubernetes.io/name: etcd
spec:
";

impl Template for EtcdAlerts {
    fn render(&self) -> Result<String, TemplateError> {
        let mut text = "# Written by kubexm.\n".to_owned();
        match self {
            Self::Rules => text.push_str(RULES),
            Self::Operator => {
                text.push_str(OBJECT);
                for line in RULES.lines() {
                    writeln!(text, "  {line}")
                        .map_err(|error| TemplateError::new("etcd-alerts.yaml", error))?;
                }
            }
        }
        Ok(text)
    }
}
