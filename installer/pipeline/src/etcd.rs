use camino::Utf8Path;
use cluster::EtcdType;
use engine::{DryState, Graph, Inventory, Plan, Slot};
use module::{
    BackupNote, Drilled, MemberSeen, Recipients, Restore, RestorePlan, Site, SnapshotFile,
};
use tokio_util::sync::CancellationToken;

use crate::PipelineError;
use crate::snapshot::{
    MissingNote, OnTrust, OtherAuthorities, insist_on_authorities, insist_on_origin, refused,
};

/// Each member in the order of the config, as its own host tells of it, or why it does not.
pub async fn members(
    site: &Site,
    inventory: &Inventory,
    jobs: usize,
    cancel: &CancellationToken,
) -> Result<Vec<(String, Result<MemberSeen, String>)>, PipelineError> {
    insist(site)?;
    let names = site.members().into_iter().map(|host| host.name.clone());
    let members: Vec<(String, Slot<MemberSeen>)> =
        names.map(|name| (name.clone(), Slot::new(&name))).collect();
    let stages = vec![module::etcd_status(site, &members)];
    let graph = Graph::of(Plan::new("etcd status", stages))?;
    let asked = engine::dry_run(&graph, inventory, jobs, cancel).await;
    let why = |host: &str| {
        let of_host = asked.iter().find(|dry| dry.node.host == host);
        match of_host.map(|dry| &dry.state) {
            Some(DryState::Unknown { because }) => because.clone(),
            _ => "it was not asked".to_owned(),
        }
    };
    let seen = members.iter().map(|(name, slot)| {
        let seen = slot.get().cloned();
        (name.clone(), seen.ok_or_else(|| why(name)))
    });
    Ok(seen.collect())
}

/// Asks every member how it is, and nothing else.
pub fn etcd_look(site: &Site) -> Result<Graph, PipelineError> {
    let names = site.members().into_iter().map(|host| host.name.clone());
    let members: Vec<(String, Slot<MemberSeen>)> =
        names.map(|name| (name.clone(), Slot::new(&name))).collect();
    let stages = vec![module::etcd_status(site, &members)];
    Ok(Graph::of(Plan::new("etcd status", stages))?)
}

/// To whom the keys of a backup are encrypted: to those who are named, or to those whom the config names.
pub fn recipients(site: &Site, named: &[String]) -> Result<Option<Recipients>, PipelineError> {
    let backup = site.cluster.spec.etcd.backup.as_ref();
    let of_config = backup.map_or(&[][..], |backup| &backup.recipients);
    let texts = if named.is_empty() { of_config } else { named };
    Recipients::of(texts).map_err(|error| PipelineError::Recipient {
        error: error.to_string(),
        hint: error.hint().map(str::to_owned),
    })
}

/// Takes a snapshot to this file of the operator's machine; what it holds is told by the slot. The cluster's keys go beside it
/// where there are recipients.
pub fn etcd_backup(
    site: &Site,
    to: &Utf8Path,
    saved: &Slot<BackupNote>,
    recipients: Option<&Recipients>,
) -> Result<Graph, PipelineError> {
    insist(site)?;
    let stages = vec![module::etcd_backup(site, to, saved, recipients)];
    Ok(Graph::of(Plan::new("etcd backup", stages))?)
}

/// Members that give back what they no longer use, one after the other in this order.
pub fn etcd_defrag(site: &Site, order: &[String]) -> Result<Graph, PipelineError> {
    insist(site)?;
    let stages = vec![module::etcd_defrag(site, order)];
    Ok(Graph::of(Plan::new("etcd defrag", stages))?)
}

/// No alarm any more.
pub fn etcd_disarm(site: &Site) -> Result<Graph, PipelineError> {
    insist(site)?;
    let stages = vec![module::etcd_disarm(site)];
    Ok(Graph::of(Plan::new("etcd alarms", stages))?)
}

/// A store that comes back is of use only to a cluster with the keys of before: they must be in the work directory.
pub fn insist_on_keys(site: &Site, snapshot: &Utf8Path) -> Result<(), PipelineError> {
    if site.tree.certs("etcd").join("ca.key").exists() {
        return Ok(());
    }
    Err(PipelineError::NoKeys {
        certs: site.tree.root().join("certs"),
        keys: module::keys_of(snapshot),
    })
}

/// The restore of this snapshot, or what a run that was cut short has left of it to do.
pub fn restore_plan(
    site: &Site,
    snapshot: SnapshotFile,
    note: Option<&BackupNote>,
    trust: OnTrust,
) -> Result<RestorePlan, PipelineError> {
    insist(site)?;
    insist_on_origin(site, &snapshot, note, trust.note)?;
    let encryption = match trust.authorities {
        OtherAuthorities::Refuse => {
            insist_on_authorities(site, &snapshot, note)?;
            note.and_then(|note| note.bound_to.encryption)
        }
        OtherAuthorities::Accept => None,
    };
    let missing = site.missing();
    if !missing.is_empty() {
        return Err(PipelineError::Missing(missing));
    }
    let restore = Restore::of(&module::restore_note(site), snapshot.sha256)
        .map_err(|error| refused(&error))?;
    Ok(RestorePlan {
        snapshot,
        restore,
        aside: jiff::Timestamp::now()
            .strftime("%Y%m%dT%H%M%SZ")
            .to_string(),
        encryption,
    })
}

/// From whatever the store is now to what the snapshot holds.
pub fn etcd_restore(site: &Site, plan: &RestorePlan) -> Result<Graph, PipelineError> {
    let stages = module::etcd_restore(site, plan);
    Ok(Graph::of(Plan::new("etcd restore", stages))?)
}

/// An etcd on this machine with what a snapshot holds.
pub fn etcd_drill(
    site: &Site,
    snapshot: &SnapshotFile,
    note: Option<BackupNote>,
    drilled: &Slot<Drilled>,
) -> Result<Graph, PipelineError> {
    insist(site)?;
    // Nothing is changed by it: a snapshot that tells nothing of itself may be tried.
    insist_on_origin(site, snapshot, note.as_ref(), MissingNote::Accept)?;
    let stage = module::etcd_drill(site, snapshot, note, drilled);
    let stage = stage.ok_or(PipelineError::NoEtcd)?;
    Ok(Graph::of(Plan::new("etcd drill", vec![stage]))?)
}

/// Whoever runs an etcd that was there before takes care of it.
fn insist(site: &Site) -> Result<(), PipelineError> {
    match site.cluster.spec.etcd.kind {
        EtcdType::External => Err(PipelineError::NotOurs),
        EtcdType::Kubexm | EtcdType::Kubeadm => Ok(()),
    }
}
