//! Members of etcd on masters that have lost their data: let in again, one after the other, while the masters stay as they are.

use std::sync::Arc;
use std::time::Duration;

use cluster::{EtcdType, Host};
use engine::{Order, Rolling, Slot, Task, Turn};
use step::{
    LookAtMember, LookForLoss, MemberLoss, PromoteEtcdMember, PromoteReadmitted, ReadmitMember,
    RemoveEtcdMember, RestartLostMember,
};

use crate::Site;
use crate::etcd::ETCD;

/// A member that was started a moment ago serves by then, or has ended.
const PATIENCE: Duration = Duration::from_secs(20);
/// A kubelet that cannot ask its apiserver waits a minute for an answer before it goes on.
const KUBELET: Duration = Duration::from_mins(3);

/// Looks at every master, and lets the lost ones in again. The only member of a cluster has nobody to join.
pub(super) fn readmit_lost(site: &Site, task: Task) -> Task {
    let masters = site.masters();
    if site.cluster.spec.etcd.kind != EtcdType::Kubeadm || masters.len() < 2 {
        return task;
    }
    let losses: Vec<(&Host, Slot<MemberLoss>)> = masters
        .into_iter()
        .map(|host| (host, Slot::new(&format!("the loss of {}", host.name))))
        .collect();
    let looked = losses.iter().fold(task, |task, (host, loss)| {
        task.on(&host.name, vec![Arc::new(look(site, host, loss))])
    });
    let turns = losses
        .iter()
        .fold(Rolling::one_by_one(), |turns, (host, loss)| {
            turns.on(&host.name, turn(site, host, loss))
        });
    looked.then(Order::Settled).roll(turns)
}

fn look(site: &Site, host: &Host, loss: &Slot<MemberLoss>) -> LookForLoss {
    let etcd = &site.cluster.spec.etcd;
    LookForLoss {
        look: LookAtMember {
            me: Site::peer(host),
            cluster: site.etcd(),
            data_dir: etcd.data_dir.clone(),
            quota: etcd.quota_backend_bytes,
            backup: None,
            seen: Slot::new(&host.name),
        },
        patience: PATIENCE,
        kubelet: KUBELET,
        loss: loss.clone(),
    }
}

fn turn(site: &Site, host: &Host, loss: &Slot<MemberLoss>) -> Turn {
    let me = Site::peer(host);
    let with = Slot::new("whom the member joins");
    let mut others = site.etcd();
    others.peers.retain(|peer| *peer != me);
    let readmit = ReadmitMember {
        loss: loss.clone(),
        with: with.clone(),
        remove: RemoveEtcdMember {
            member: me.clone(),
            cluster: others,
        },
        cluster: site.etcd(),
        by: ETCD,
    };
    let restart = RestartLostMember {
        loss: loss.clone(),
        with,
        cluster: site.etcd(),
        me: me.clone(),
        data_dir: site.cluster.spec.etcd.data_dir.clone(),
    };
    let promote = PromoteReadmitted {
        loss: loss.clone(),
        promote: PromoteEtcdMember {
            me,
            cluster: site.etcd(),
        },
        by: ETCD,
    };
    Turn::new(Arc::new(readmit))
        .then(Arc::new(restart))
        .then(Arc::new(promote))
}
