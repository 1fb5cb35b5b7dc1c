//! A store that is brought back from a snapshot: each member's data made ready beside its old one, everybody who reads the
//! store stopped, the data of all members changed, everything started again.

mod bring;
mod halt;
mod prepare;
mod progress;
mod resume;
mod swap;

use camino::{Utf8Path, Utf8PathBuf};

pub use bring::{BringSnapshot, RemoveSnapshot};
pub use halt::HaltNode;
pub use prepare::{PrepareData, Revisions, SnapshotSeal};
pub use progress::{BeginRestore, EndRestore, NoteSwapped, Restore, RestorePhase};
pub use resume::{RestartWorkloads, StartStaticPods, StartUnits, StartWait};
pub use swap::SwapData;

/// On a member: which restore it has the data of.
const RESTORED: &str = "/var/lib/kubexm/etcd/restored";
/// Where manifests of static pods wait that shall not run yet, out of the kubelet's sight and on the same file system.
const HELD: &str = "/etc/kubernetes/kubexm-held";

/// Where what a restore needs is brought to.
fn brought(id: &str) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("/var/lib/kubexm/etcd/restore-{id}"))
}

/// Where a member's new data is made ready: on the file system of the old, which may be one of its own.
fn prepared(data_dir: &Utf8Path, id: &str) -> Utf8PathBuf {
    data_dir.join(format!("kubexm-restore-{id}"))
}

/// A condition: the member has the data of this restore.
fn is_restored(id: &str) -> String {
    format!(
        "[ \"$(cat {RESTORED} 2>/dev/null)\" = {} ]",
        host::quote(id)
    )
}
