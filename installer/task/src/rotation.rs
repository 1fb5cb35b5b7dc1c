//! Authorities that give way to others, move by move, while the cluster is at work.

use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::{EtcdType, KubernetesType};
use engine::{Batch, Rolling, Slot, Step, StepError, Task, Turn};
use step::{
    Content, ForgetPredecessor, KubeadmControlPlane, LocalNote, Move, Noted, OwnPods,
    PrepareSuccessor, ProveSuccession, RestartControlPlane, RollClients, Succeed, Succession,
    TrustInCluster, TrustInKubeconfigs,
};

use crate::check::CONTROL_PLANE;
use crate::control_plane::pki::{CA, FRONT_PROXY_CA, SERVICE_ACCOUNT};
use crate::files::upload;
use crate::kept_keys::kept_keys;
use crate::kube::PKI;
use crate::nodes::kubelet;
use crate::site::names;
use crate::{OPERATOR, Site, certificates, etcd, kubeadm, registry};

/// What the site has made itself, and everybody trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Authority {
    Kubernetes,
    FrontProxy,
    /// The key that signs the tokens of service accounts.
    ServiceAccounts,
    Etcd,
    Registry,
}

impl Authority {
    pub const ALL: [Self; 5] = [
        Self::Kubernetes,
        Self::FrontProxy,
        Self::ServiceAccounts,
        Self::Etcd,
        Self::Registry,
    ];

    /// As it is called on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::FrontProxy => "front-proxy",
            Self::ServiceAccounts => "service-accounts",
            Self::Etcd => "etcd",
            Self::Registry => "registry",
        }
    }

    /// Whether the site has made it.
    fn is_of(self, site: &Site) -> bool {
        match self {
            Self::Kubernetes | Self::FrontProxy | Self::ServiceAccounts => {
                !site.runtime_hosts().is_empty()
            }
            Self::Etcd => site.cluster.spec.etcd.kind != EtcdType::External,
            Self::Registry => site.registry().is_some(),
        }
    }

    fn stem(self, site: &Site) -> Utf8PathBuf {
        let kubernetes = |name: &str| site.tree.certs("kubernetes").join(name);
        match self {
            Self::Kubernetes => kubernetes(CA),
            Self::FrontProxy => kubernetes(FRONT_PROXY_CA),
            Self::ServiceAccounts => kubernetes(SERVICE_ACCOUNT),
            Self::Etcd => site.tree.certs("etcd").join("ca"),
            Self::Registry => site.registry_dir().join("ca"),
        }
    }

    /// Each has a name of its own, so that a certificate tells which of two authorities of one kind has signed it.
    fn succession(self, site: &Site, since: &str) -> Succession {
        let stem = self.stem(site);
        let of = match self {
            Self::ServiceAccounts => return Succession::of_service_accounts(stem),
            Self::Kubernetes => "kubernetes-ca".to_owned(),
            Self::FrontProxy => "front-proxy-ca".to_owned(),
            Self::Etcd => "etcd-ca".to_owned(),
            Self::Registry => format!("kubexm registry of {}", site.cluster.name()),
        };
        Succession::of_authority(stem, format!("{of} {since}"))
    }
}

/// A rotation, from its beginning or from where it was cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Since when; by it its works are known on the hosts.
    pub since: String,
    pub of: Vec<Authority>,
    /// The move that is to be made next, or again.
    pub from: Move,
}

impl Rotation {
    fn has(&self, any: &[Authority]) -> bool {
        self.of.iter().any(|of| any.contains(of))
    }

    /// What a move is called on the hosts.
    fn mark(&self, to: Move) -> String {
        format!("{} {}", self.since, to.name())
    }

    fn successions(&self, site: &Site) -> Vec<Succession> {
        let of = self.of.iter();
        of.map(|of| of.succession(site, &self.since)).collect()
    }
}

/// What a rotation of this site can be of.
#[must_use]
pub fn authorities(site: &Site) -> Vec<Authority> {
    let all = Authority::ALL.into_iter();
    all.filter(|of| of.is_of(site)).collect()
}

/// The authorities that others follow here, each with the move that it has come to.
///
/// # Errors
///
/// If what lies there is neither of before nor of any move.
pub fn under_way(site: &Site) -> Result<Vec<(Authority, Move)>, StepError> {
    let mut found = Vec::new();
    for of in authorities(site) {
        if let Some(stand) = of.succession(site, "").stand()? {
            found.push((of, stand));
        }
    }
    Ok(found)
}

/// A rotation by its beginning and what it is of: what was begun is ended.
#[must_use]
pub fn rotation_note(site: &Site) -> Utf8PathBuf {
    site.tree.state().join("certs-rotation")
}

/// What is noted of it.
#[must_use]
pub fn noted(rotation: &Rotation) -> String {
    let of: Vec<&str> = rotation.of.iter().map(|of| of.name()).collect();
    format!("{} {}\n", rotation.since, of.join(","))
}

/// Notes that it has begun; the next run goes on with it.
#[must_use]
pub fn begin_rotation(site: &Site, rotation: &Rotation) -> Task {
    note(site, "begin", Noted::As(noted(rotation)))
}

fn note(site: &Site, name: &'static str, keeps: Noted) -> Task {
    let step = LocalNote {
        path: rotation_note(site),
        of: "the rotation",
        keeps,
    };
    Task::new(name).on(OPERATOR, vec![Arc::new(step)])
}

/// The operator's machine trusts and signs as the move would have it.
#[must_use]
pub fn take_move(site: &Site, rotation: &Rotation, to: Move) -> Task {
    let mut steps: Vec<Arc<dyn Step>> = Vec::new();
    for of in rotation.successions(site) {
        if to == Move::Trust {
            steps.push(Arc::new(PrepareSuccessor(of.clone())));
        }
        steps.push(Arc::new(Succeed { of, to }));
    }
    Task::new("authorities").on(OPERATOR, steps)
}

/// All that hosts have of authorities, beside what has read it before.
#[must_use]
pub fn bring_authorities(site: &Site) -> Task {
    let mut task = Task::new("authorities");
    for host in site.etcd_hosts() {
        task = task.on(&host.name, vec![etcd::authority_file(site)]);
    }
    if site.cluster.spec.kubernetes.kind == KubernetesType::Kubeadm {
        for host in site.masters() {
            task = task.on(&host.name, kubeadm::authorities(site));
        }
    }
    for host in site.masters() {
        task = task.on(&host.name, kept_keys(site));
    }
    let registry = site.registry().map(|_| site.runtime());
    for host in site.runtime_hosts() {
        let mut steps = vec![kubelet::authority_file(site)];
        if let Some(runtime) = registry {
            let from = registry::authority(site).certificate();
            let to = runtime.registry_trust(site).authority;
            steps.push(upload(to, Content::Local(from), 0o644));
        }
        task = task.on(&host.name, steps);
    }
    task
}

/// And what they have signed. What kubeadm signs, it signs anew when the authority is another.
#[must_use]
pub fn bring_signed(site: &Site, rotation: &Rotation, to: Move) -> Task {
    const BY_KUBEADM: &[Authority] = &[
        Authority::Kubernetes,
        Authority::FrontProxy,
        Authority::Etcd,
    ];
    let anew = to == Move::Issue && rotation.has(BY_KUBEADM);
    let mark = anew.then(|| rotation.mark(to));
    let task = certificates::bring(site, mark.as_deref());
    if site.cluster.spec.kubernetes.kind != KubernetesType::Kubeadm {
        return task;
    }
    task.on_each(&names(site.runtime_hosts()), |_| {
        vec![Arc::new(TrustInKubeconfigs {
            authority: site.kubernetes_files(CA).certificate(),
            kubelet: kubelet::UNIT,
        })]
    })
}

/// Members read at their start whom they trust: one after the other, while the others keep the majority. What they serve with
/// they read again by themselves, so that the second move needs no start.
#[must_use]
pub fn restart_members(site: &Site, rotation: &Rotation, to: Move) -> Task {
    let task = Task::new("etcd");
    if to == Move::Issue || !rotation.has(&[Authority::Etcd]) {
        return task;
    }
    match site.cluster.spec.etcd.kind {
        EtcdType::External => task,
        EtcdType::Kubexm => task.roll(etcd::restarts(site)),
        EtcdType::Kubeadm => task.roll(own_pods(site, OwnPods::Etcd, &rotation.mark(to))),
    }
}

/// Apiservers and who acts through them, one master after the other.
#[must_use]
pub fn restart_masters(site: &Site, rotation: &Rotation, to: Move) -> Task {
    if rotation.of == [Authority::Registry] {
        return Task::new("control plane");
    }
    certificates::restart_control_plane(site, &rotation.mark(to))
}

/// Pods of each master's own, which know nothing of what they were started with but this mark.
pub(crate) fn own_pods(site: &Site, pods: OwnPods, mark: &str) -> Rolling {
    let port = site.cluster.spec.control_plane_endpoint.port;
    let masters = site.masters().into_iter();
    masters.fold(Rolling::new(Batch::One), |rolling, host| {
        let restart = RestartControlPlane {
            pods,
            renewal: mark.to_owned(),
            port,
        };
        let turn = Turn::new(Arc::new(restart));
        let turn = match pods {
            // A controller manager that does not like its kubeconfig ends a second after its start.
            OwnPods::ControlPlane => turn.healthy(vec![Arc::new(KubeadmControlPlane { port })]),
            OwnPods::Etcd => turn,
        };
        rolling.on(&host.name, turn)
    })
}

/// What the cluster tells its clients, and the clients that have to hear it.
#[must_use]
pub fn tell_clients(site: &Site, rotation: &Rotation) -> Task {
    const OF_CLIENTS: &[Authority] = &[
        Authority::Kubernetes,
        Authority::FrontProxy,
        Authority::ServiceAccounts,
    ];
    let task = Task::new("clients");
    if !rotation.has(OF_CLIENTS) {
        return task;
    }
    let authority = site.kubernetes_files(CA).certificate();
    let mut steps: Vec<Arc<dyn Step>> = vec![Arc::new(TrustInCluster {
        authority: authority.clone(),
        front_proxy: site.kubernetes_files(FRONT_PROXY_CA).certificate(),
    })];
    if rotation.has(&[Authority::Kubernetes, Authority::ServiceAccounts]) {
        steps.push(Arc::new(RollClients {
            authority,
            accounts: site.service_account_key().public(),
            tried: Slot::new("the clients"),
        }));
    }
    task.on(CONTROL_PLANE, steps)
}

/// Nothing is signed by the old ones any more.
#[must_use]
pub fn prove_successors(site: &Site, rotation: &Rotation) -> Task {
    Task::new("successors")
        .apart()
        .on_each(&site.host_names(), |_| {
            let of = rotation.successions(site);
            vec![Arc::new(ProveSuccession { of })]
        })
}

/// Nobody needs the old ones any more.
#[must_use]
pub fn end_rotation(site: &Site, rotation: &Rotation) -> [Task; 2] {
    let forget = rotation.successions(site).into_iter();
    let forget = forget.map(|of| -> Arc<dyn Step> { Arc::new(ForgetPredecessor(of)) });
    [
        Task::new("predecessors").on(OPERATOR, forget.collect()),
        note(site, "end", Noted::No),
    ]
}

/// What the controller manager signs with: it knows one authority at a time.
pub(crate) fn signing_file(site: &Site) -> Arc<dyn Step> {
    let from = site.kubernetes_files(CA).certificate();
    upload(format!("{PKI}/{SIGNING}"), Content::Signer(from), 0o644)
}

/// The authority that signs now, alone.
pub(crate) const SIGNING: &str = "ca-signing.crt";
