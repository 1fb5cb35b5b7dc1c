//! Snapshots that members take by themselves.

use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::{EtcdBackup, EtcdType, Host};
use engine::{Step, Task};
use step::{BackupDirectory, BackupTimer, Content, RunService};
use templates::{BackUpEtcd, BackUpEtcdTimer, BackUpEtcdUnit, MemberHome};

use super::PKI;
use crate::Site;
use crate::files::{directory, text, upload};
use crate::os::rendered;

const DIR: &str = "/usr/local/lib/kubexm";
const SCRIPT: &str = "/usr/local/lib/kubexm/back-up-etcd";
const SERVICE: &str = "kubexm-etcd-backup.service";
const SERVICE_FILE: &str = "/etc/systemd/system/kubexm-etcd-backup.service";
const TIMER: &str = "kubexm-etcd-backup.timer";
const TIMER_FILE: &str = "/etc/systemd/system/kubexm-etcd-backup.timer";
/// Where kubeadm's etcd finds its certificates, on its host as in its container.
const PKI_OF_POD: &str = "/etc/kubernetes/pki/etcd";

/// The timer that the config asks for.
pub(super) fn timer(site: &Site) -> Option<BackupTimer> {
    let backup = site.cluster.spec.etcd.backup.as_ref()?;
    Some(BackupTimer {
        timer: TIMER,
        service: SERVICE,
        schedule: backup.schedule.clone(),
        dir: backup.dir.clone(),
    })
}

/// A timer on each member that is a service, where the config asks for it. One of a config that did is retired.
#[must_use]
pub fn backups_of_services(site: &Site) -> Task {
    scheduled(site, EtcdType::Kubexm)
}

/// The same where kubeadm sets up the members.
#[must_use]
pub fn backups_of_pods(site: &Site) -> Task {
    scheduled(site, EtcdType::Kubeadm)
}

fn scheduled(site: &Site, by: EtcdType) -> Task {
    let task = Task::new("snapshots of etcd");
    let etcd = &site.cluster.spec.etcd;
    let Some(backup) = etcd.backup.as_ref().filter(|_| etcd.kind == by) else {
        return task;
    };
    let members = site.members().into_iter();
    members.fold(task, |task, host| {
        task.on(&host.name, steps(site, backup, host))
    })
}

fn steps(site: &Site, backup: &EtcdBackup, host: &Host) -> Vec<Arc<dyn Step>> {
    let unit = BackUpEtcdUnit {
        script: SCRIPT.to_owned(),
        dir: backup.dir.to_string(),
    };
    let timer = BackUpEtcdTimer {
        schedule: backup.schedule.clone(),
    };
    vec![
        Arc::new(BackupDirectory(backup.dir.clone())),
        directory(DIR),
        upload(SCRIPT, Content::Text(script(site, backup, host)), 0o755),
        text(SERVICE_FILE, rendered(&unit)),
        text(TIMER_FILE, rendered(&timer)),
        Arc::new(RunService {
            unit: TIMER,
            reads: [TIMER_FILE, SERVICE_FILE].map(Utf8PathBuf::from).into(),
        }),
    ]
}

fn script(site: &Site, backup: &EtcdBackup, host: &Host) -> String {
    let (home, pki_dir) = match site.cluster.spec.etcd.kind {
        EtcdType::Kubexm | EtcdType::External => (MemberHome::Service, PKI),
        EtcdType::Kubeadm => (MemberHome::Pod, PKI_OF_POD),
    };
    rendered(&BackUpEtcd {
        cluster: site.cluster.name().to_owned(),
        kubernetes: site.kubernetes_version().with_v(),
        host: host.name.clone(),
        dir: backup.dir.to_string(),
        data_dir: site.cluster.spec.etcd.data_dir.to_string(),
        keep: backup.keep,
        home,
        endpoint: site.etcd().here(),
        pki_dir: pki_dir.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use engine::Data;

    use super::*;
    use crate::testing::site;

    #[test]
    fn the_script_of_a_pod_asks_its_container() {
        let stacked = "kubernetes: {type: kubeadm}\n  etcd: {type: kubeadm, backup: {keep: 3}}";
        let site = site(stacked);
        let text = script(&site, &EtcdBackup::default(), site.masters()[1]);
        assert!(text.contains("host=\"m2\"") && text.contains("crictl exec"));
        assert!(!text.contains("/usr/local/bin/etcdctl"));
    }

    /// The snapshots stay; their directory is given back.
    #[test]
    fn whatever_it_sets_up_has_a_counterpart() {
        let site = site("etcd: {backup: {}}");
        let backup = EtcdBackup::default();
        for step in steps(&site, &backup, site.masters()[0]) {
            for data in [Data::Keep, Data::Purge] {
                let back = step.counterpart(data).unwrap();
                assert!(!back.takes_back().is_empty(), "{}", step.id());
            }
        }
    }
}
