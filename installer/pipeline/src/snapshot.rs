//! Whether a snapshot may become the store of a cluster: judged before anything is stopped.

use camino::Utf8Path;
use cluster::{Cluster, EtcdType, Role};
use engine::{DryState, Graph, Inventory, Plan, Slot};
use module::{BackupNote, CopiedStore, HostSeen, Site, SnapshotFile};
use tokio_util::sync::CancellationToken;

use crate::PipelineError;

/// Whether a snapshot is taken of which no note tells where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingNote {
    Refuse,
    Accept,
}

/// Whether a snapshot is taken that goes with other authorities than those of the work directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherAuthorities {
    Refuse,
    Accept,
}

/// What is taken of a snapshot because somebody says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnTrust {
    pub note: MissingNote,
    pub authorities: OtherAuthorities,
}

/// Whether a file of this machine is a snapshot, before anything else is done; and its note, where it has one.
pub fn judge_snapshot(
    path: &Utf8Path,
    copied: CopiedStore,
) -> Result<(SnapshotFile, Option<BackupNote>), PipelineError> {
    let snapshot = SnapshotFile::judge(path, copied).map_err(|error| refused(&error))?;
    let note = BackupNote::read(path).map_err(|error| refused(&error))?;
    Ok((snapshot, note))
}

pub(crate) fn refused(error: &engine::StepError) -> PipelineError {
    PipelineError::Snapshot {
        error: error.to_string(),
        hint: error.hint().map(str::to_owned),
    }
}

/// A store is brought back to the cluster that it was taken from.
pub(crate) fn insist_on_origin(
    site: &Site,
    snapshot: &SnapshotFile,
    note: Option<&BackupNote>,
    missing: MissingNote,
) -> Result<(), PipelineError> {
    let (path, name) = (&snapshot.path, site.cluster.name());
    match note {
        Some(note) if note.cluster == name => Ok(()),
        Some(BackupNote { cluster, .. }) => Err(PipelineError::Snapshot {
            error: format!(
                "{path} is a snapshot of the cluster {cluster}, and the config is of {name}"
            ),
            hint: Some(format!(
                "name a snapshot of {name}, or the config of {cluster} with -f"
            )),
        }),
        None if missing == MissingNote::Accept => Ok(()),
        None => Err(PipelineError::Snapshot {
            error: format!(
                "nobody knows of which cluster {path} is: there is no {}",
                BackupNote::path(path)
            ),
            hint: Some(
                "put the note of kubexm etcd backup beside it; --without-note takes a snapshot that others have made"
                    .to_owned(),
            ),
        }),
    }
}

/// What a snapshot holds was signed and encrypted by what it goes with. With other authorities the tokens of its pods and the
/// kubeconfigs of its nodes are worth nothing.
pub(crate) fn insist_on_authorities(
    site: &Site,
    snapshot: &SnapshotFile,
    note: Option<&BackupNote>,
) -> Result<(), PipelineError> {
    let Some(note) = note else { return Ok(()) };
    let files = module::binding_files(site);
    let ours = files.authorities().map_err(|error| refused(&error))?;
    let theirs = note.bound_to.authorities.iter();
    let others = theirs.filter(|(name, digest)| ours.get(*name) != Some(digest));
    let others: Vec<&str> = others.map(|(name, _)| name.as_str()).collect();
    if others.is_empty() {
        return Ok(());
    }
    let (path, certs) = (&snapshot.path, site.tree.certs("kubernetes"));
    Err(PipelineError::Snapshot {
        error: format!(
            "{path} goes with another {} than {certs} has: tokens of pods and certificates of nodes in it would be worth nothing",
            others.join(" and ")
        ),
        hint: Some(format!(
            "put {certs} in place as it was kept with the snapshot, and run kubexm install with it first; \
             --other-authorities restores all the same"
        )),
    })
}

/// The members and masters of the config applied last that another config does not have as such: a restore would leave them
/// at work on the store of before.
#[must_use]
pub fn left_at_work(applied: &Cluster, config: &Cluster) -> Vec<String> {
    let roles = |cluster: &Cluster| {
        let etcd = match cluster.spec.etcd.kind {
            EtcdType::Kubexm => cluster.hosts_in(Role::Etcd),
            EtcdType::Kubeadm | EtcdType::External => Vec::new(),
        };
        let mut roles: Vec<(Role, String)> = Vec::new();
        roles.extend(etcd.iter().map(|host| (Role::Etcd, host.name.clone())));
        let masters = cluster.hosts_in(Role::Master);
        roles.extend(masters.iter().map(|host| (Role::Master, host.name.clone())));
        roles
    };
    let has = roles(config);
    let lost = roles(applied)
        .into_iter()
        .filter(|role| !has.contains(role));
    let mut names: Vec<String> = lost.map(|(_, name)| name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Goes on only where none of these hosts is reached: who is down has stopped.
pub async fn insist_on_absence(
    applied: &Site,
    names: &[String],
    inventory: &Inventory,
    jobs: usize,
    cancel: &CancellationToken,
) -> Result<(), PipelineError> {
    let hosts: Vec<(String, Slot<HostSeen>)> = names
        .iter()
        .map(|name| (name.clone(), Slot::new(name)))
        .collect();
    let stages = vec![module::hosts(applied, &hosts)];
    let graph = Graph::of(Plan::new("etcd restore", stages))?;
    let asked = engine::dry_run(&graph, inventory, jobs, cancel).await;
    let silent = |name: &str| {
        let mut of_host = asked.iter().filter(|dry| dry.node.host == name);
        of_host.all(|dry| matches!(dry.state, DryState::Unknown { .. }))
    };
    let seen = hosts
        .iter()
        .filter(|(name, slot)| slot.get().is_some() || !silent(name));
    let seen: Vec<&str> = seen.map(|(name, _)| name.as_str()).collect();
    if seen.is_empty() {
        return Ok(());
    }
    let names = seen.join(", ");
    Err(PipelineError::Snapshot {
        error: format!(
            "{names}: a member or master by the config applied last, not by this one, and up: it would go on with the store \
             of before, beside the one that is brought back"
        ),
        hint: Some(format!(
            "restore with the config that has {names} as it was; what shall go goes before, by kubexm delete node, or is \
             switched off for good"
        )),
    })
}
