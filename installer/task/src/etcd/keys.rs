//! What a restore on other machines needs beside a snapshot.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use engine::{Slot, Step, Task};
use step::{ReadSecret, Recipients, SealKeys};

use crate::{CONTROL_PLANE, OPERATOR, Site};

/// Where the keys lie that belong to a snapshot.
#[must_use]
pub fn keys_of(snapshot: &Utf8Path) -> Utf8PathBuf {
    format!("{snapshot}.keys.age").into()
}

/// The argument of apiservers that names what the store is encrypted with.
const ENCRYPTION: &str = "encryption-provider-config";

/// The cluster's authorities and keys, encrypted, beside a snapshot. What the store is encrypted with lies on the masters alone.
#[must_use]
pub fn seal_keys(site: &Site, snapshot: &Utf8Path, recipients: &Recipients) -> [Task; 2] {
    let arguments = &site.cluster.spec.kubernetes.api_server.extra_args;
    let encryption = arguments.get(ENCRYPTION).map(|path| ReadSecret {
        path: path.into(),
        read: Slot::new(path),
    });
    let seal = SealKeys {
        certs: site.tree.root().join("certs"),
        beside: vec![
            (site.tree.applied_config(), "applied/config.yaml"),
            (site.tree.applied_contents(), "applied/bundle.json"),
        ],
        secrets: encryption.iter().map(|read| read.read.clone()).collect(),
        to: keys_of(snapshot),
        recipients: recipients.clone(),
    };
    let mut read = Task::new("keys of the masters");
    if let Some(step) = encryption {
        let step: Arc<dyn Step> = Arc::new(step);
        read = read.on(CONTROL_PLANE, vec![step]);
    }
    [read, Task::new("keys").on(OPERATOR, vec![Arc::new(seal)])]
}
