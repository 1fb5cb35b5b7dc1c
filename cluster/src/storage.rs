use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Storage for workloads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Storage {
    /// The addon openebs-localpv: volumes on the disks of nodes. Absent: not installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openebs: Option<OpenEbs>,
}

impl Storage {
    pub(crate) const fn is_empty(&self) -> bool {
        self.openebs.is_none()
    }
}

/// Settings of `OpenEBS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OpenEbs {
    /// Where the volumes lie on each node.
    #[schemars(with = "String", extend("format" = "data-directory"))]
    pub base_path: Utf8PathBuf,
}

impl Default for OpenEbs {
    fn default() -> Self {
        Self {
            base_path: "/var/openebs/local".into(),
        }
    }
}
