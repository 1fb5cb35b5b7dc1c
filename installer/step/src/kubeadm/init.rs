use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Slot, State, Step, StepError};
use host::Command;

use crate::kubeadm::{CONFIG, NOTES, exclusive, note_kubelet, run, without_signed};
use crate::shell::ask;
use crate::{Membership, ResetNode, local_file};

/// Begins the cluster on its first master. Every phase of kubeadm but the preflight may be run again, and so an init
/// that was cut short is begun anew without that one: the ports and files it would find are its own. Whether it was cut
/// short, a note tells that is written after the preflight and taken away at the end.
pub struct KubeadmInit {
    /// What kubeadm signs by itself, without suffix.
    pub certificates: Vec<String>,
    pub reset: Arc<ResetNode>,
    /// Of the other masters; empty where one could not be looked at.
    pub others: Vec<(String, Slot<Membership>)>,
    /// On the operator's machine: is there as soon as the cluster has been begun.
    pub note: Utf8PathBuf,
}

/// What a master has when its init has gone through.
const STATE: &str = "[ -s /etc/kubernetes/kubelet.conf ] && [ -s /etc/kubernetes/admin.conf ] || \
     echo has no control plane yet";
const NOTE: &str = "kubeadm has begun the cluster of these authorities. kubexm begins no other where this one may be.\n";

impl KubeadmInit {
    /// A second cluster of the same name and the same authorities, and an empty one, is the worst that could be made of a
    /// master that was lost.
    fn refuse_a_second_cluster(&self) -> Result<(), StepError> {
        let is = |wanted: Option<Membership>| {
            let mut others = self.others.iter();
            others.find(|(_, slot)| slot.get().copied() == wanted)
        };
        if let Some((name, _)) = is(Some(Membership::Joined)) {
            return Err(StepError::new(format!(
                "{name} is a master of this cluster, and this host, the first of the config, is not: to begin here would \
                 make a second and empty cluster"
            ))
            .with_hint(format!(
                "if this host was lost and set up anew: kubexm delete node NAME --dead takes it out of the cluster; then name {name} \
                 first under roleGroups.master, and run kubexm add nodes: then this host joins"
            )));
        }
        if local_file::read(&self.note)?.is_some()
            && let Some((name, _)) = is(None)
        {
            return Err(StepError::new(format!(
                "this cluster has been begun before; {name} may be a master of it and could not be asked"
            ))
            .with_hint(format!(
                "run again when {name} can be reached; if the cluster is lost as a whole, a new and empty one is begun \
                 after: rm {}",
                self.note
            )));
        }
        Ok(())
    }
}

#[async_trait]
impl Step for KubeadmInit {
    fn id(&self) -> String {
        "kubeadm init".to_owned()
    }

    fn describe(&self) -> String {
        "begin the control plane with kubeadm".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let script = format!("[ ! -e {NOTES}/init ] || {{ echo was cut short; exit; }}; {STATE}");
        let output = ask(cx, Command::script(script)).await?;
        Ok(match output.text() {
            reason if !reason.is_empty() => State::needed(reason),
            _ if local_file::read(&self.note)?.is_none() => State::needed("is not noted here"),
            _ => State::Satisfied,
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let bare = format!("[ ! -e {NOTES}/init ] && [ -n \"$({STATE})\" ]");
        if ask(cx, Command::script(bare)).await?.ok() {
            self.refuse_a_second_cluster()?;
        }
        note_kubelet(cx).await?;
        // A disk of its own has this in it, and kubeadm begins a store in an empty directory alone. If need be, fsck
        // makes it anew.
        let remains = self.reset.data.iter().map(|data| {
            let path = host::quote(data.join("lost+found").as_str());
            format!("rmdir {path} 2>/dev/null || true; ")
        });
        let remains: String = remains.collect();
        let script = format!(
            "missing=$({STATE})
if [ -e {NOTES}/init ]; then {signed}
elif [ -z \"$missing\" ]; then exit 0
else {remains}quietly kubeadm init phase preflight --config {CONFIG}; : > {NOTES}/init; fi
quietly kubeadm init --config {CONFIG} --skip-phases preflight --skip-token-print
rm -f {NOTES}/init \"$log\"",
            signed = without_signed(&self.certificates),
        );
        run(cx, "begin the control plane", exclusive(&script)).await?;
        Ok(local_file::write(&self.note, 0o600, NOTE.as_bytes())?)
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        Some(self.reset.for_data(data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::reads;

    fn refusal(others: &[Option<Membership>], note: &camino::Utf8Path) -> String {
        let slot = |(at, seen): (usize, &Option<Membership>)| {
            let name = format!("m{}", at + 2);
            let slot = Slot::new(&name);
            if let Some(seen) = seen {
                slot.fill(*seen);
            }
            (name, slot)
        };
        let init = KubeadmInit {
            certificates: Vec::new(),
            reset: Arc::new(ResetNode { data: Vec::new() }),
            others: others.iter().enumerate().map(slot).collect(),
            note: note.to_owned(),
        };
        match init.refuse_a_second_cluster() {
            Ok(()) => "begins".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_first_master_that_was_lost_begins_no_second_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let note = camino::Utf8Path::from_path(dir.path())
            .unwrap()
            .join("begun");
        let (joined, outside) = (Some(Membership::Joined), Some(Membership::Outside));
        assert_eq!(refusal(&[], &note), "begins");
        assert_eq!(refusal(&[outside, None], &note), "begins");
        insta::assert_snapshot!(refusal(&[outside, joined], &note), @"m3 is a master of this cluster, and this host, the first of the config, is not: to begin here would make a second and empty cluster");
        std::fs::write(&note, NOTE).unwrap();
        assert_eq!(refusal(&[outside, outside], &note), "begins");
        insta::assert_snapshot!(refusal(&[outside, None], &note), @"this cluster has been begun before; m3 may be a master of it and could not be asked");
    }

    #[test]
    fn a_shell_reads_the_script() {
        reads(STATE);
    }
}
