use crate::{ProxyMode, Version};

/// The format of kubeadm's own configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubeadmApi {
    V1Beta3,
    V1Beta4,
}

/// What kube-proxy makes of one of its modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeSupport {
    /// Neither known nor to be had.
    No,
    /// Only where this feature gate is on.
    Gated(&'static str),
    Yes,
    /// It works, and is to go.
    Deprecated,
}

/// How one release line of Kubernetes differs from others, as far as anything is written or started differently for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own about a version"
)]
pub struct Traits {
    /// The newest format that its kubeadm reads.
    pub kubeadm_api: KubeadmApi,
    /// The kubelet is told the sandbox image by a flag.
    pub sandbox_image_flag: bool,
    /// The administrator is of the group `kubeadm:cluster-admins`; `system:masters` is left to the super-administrator.
    pub cluster_admins_group: bool,
    /// The kubelet learns the runtime's endpoint from its configuration, and not from a flag alone.
    pub runtime_endpoint_in_config: bool,
    /// The kubelet's configuration has the key `failCgroupV1`.
    pub fail_cgroup_v1_key: bool,
    /// The kubelet refuses hosts with cgroup v1 unless it is told otherwise.
    pub refuses_cgroup_v1: bool,
    /// Major and minor of the oldest kernel that its kubeadm accepts. None: one that every system has is enough.
    pub kubeadm_kernel: Option<(u32, u32)>,
    /// The keys of the taints that masters have.
    pub control_plane_taints: &'static [&'static str],
    /// Apiserver and kubelet stream `kubectl exec` in a way that cri-dockerd does not, unless a gate is off.
    pub websockets_to_kubelet: bool,
    /// Its kube-proxy calls conntrack.
    pub conntrack_program: bool,
    pub ipvs: ModeSupport,
    pub nftables: ModeSupport,
    /// Major and minor of the oldest containerd that its kubelet works with.
    pub oldest_containerd: (u64, u64),
}

/// The oldest release line, from which the changes are counted.
const OLDEST: Traits = Traits {
    kubeadm_api: KubeadmApi::V1Beta3,
    sandbox_image_flag: true,
    cluster_admins_group: false,
    runtime_endpoint_in_config: false,
    fail_cgroup_v1_key: false,
    refuses_cgroup_v1: false,
    kubeadm_kernel: None,
    control_plane_taints: &[
        "node-role.kubernetes.io/master",
        "node-role.kubernetes.io/control-plane",
    ],
    websockets_to_kubelet: false,
    conntrack_program: true,
    ipvs: ModeSupport::Yes,
    nftables: ModeSupport::No,
    oldest_containerd: (1, 5),
};

/// A minor, and something that it changed.
type Change = (u64, fn(&mut Traits));

/// What each minor changed.
const CHANGES: &[Change] = &[
    (25, |it| {
        it.control_plane_taints = &["node-role.kubernetes.io/control-plane"];
    }),
    // The kubelet asks for CRI v1.
    (26, |it| it.oldest_containerd = (1, 6)),
    (27, |it| it.runtime_endpoint_in_config = true),
    (29, |it| it.cluster_admins_group = true),
    (29, |it| {
        it.nftables = ModeSupport::Gated("NFTablesProxyMode");
    }),
    (31, |it| it.nftables = ModeSupport::Yes),
    (31, |it| it.kubeadm_api = KubeadmApi::V1Beta4),
    (31, |it| it.fail_cgroup_v1_key = true),
    (32, |it| it.conntrack_program = false),
    (32, |it| it.kubeadm_kernel = Some((4, 19))),
    // It warns of older ones.
    (34, |it| it.kubeadm_kernel = None),
    (35, |it| it.sandbox_image_flag = false),
    (35, |it| it.refuses_cgroup_v1 = true),
    (35, |it| it.ipvs = ModeSupport::Deprecated),
    (36, |it| it.websockets_to_kubelet = true),
    (36, |it| it.oldest_containerd = (2, 0)),
    // As announced: the gate is off by default, and three minors later it is gone.
    (40, |it| it.ipvs = ModeSupport::Gated("KubeProxyIPVS")),
    (43, |it| it.ipvs = ModeSupport::No),
];

impl Traits {
    #[must_use]
    pub fn of(version: &Version) -> Self {
        let mut traits = OLDEST;
        let so_far = |(minor, _): &&Change| version.minor() >= (1, *minor);
        for (_, change) in CHANGES.iter().take_while(so_far) {
            change(&mut traits);
        }
        traits
    }

    /// How kube-proxy forwards where nobody says so: by ipvs as long as that has a future, and then by iptables, which
    /// every kernel has.
    #[must_use]
    pub fn default_proxy_mode(&self) -> ProxyMode {
        match self.ipvs {
            ModeSupport::Yes => ProxyMode::Ipvs,
            ModeSupport::Deprecated | ModeSupport::Gated(_) | ModeSupport::No => {
                ProxyMode::Iptables
            }
        }
    }
}

/// The first minor in which something holds of Kubernetes, counted from the oldest that can be installed.
pub(crate) fn first_minor(holds: impl Fn(&Traits) -> bool) -> Option<u64> {
    let mut minors = CHANGES.iter().map(|(minor, _)| *minor);
    minors.find(|minor| holds(&Traits::of(&Version::new(1, *minor, 0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(holds: bool) -> &'static str {
        if holds { "yes" } else { "-" }
    }

    fn support(mode: ModeSupport) -> &'static str {
        match mode {
            ModeSupport::No => "-",
            ModeSupport::Gated(_) => "gate",
            ModeSupport::Yes => "yes",
            ModeSupport::Deprecated => "old",
        }
    }

    #[test]
    fn every_release_line_has_its_traits() {
        let mut table = vec![
            "minor kubeadm  pause admins endpoint cgroup refuses taints wsock track ipvs nft  default  kernel containerd"
                .to_owned(),
        ];
        for minor in (24..=37).chain([40, 43]) {
            let it = Traits::of(&Version::new(1, minor, 0));
            let (major, least) = it.oldest_containerd;
            table.push(format!(
                "1.{minor}  {:8} {:5} {:6} {:8} {:6} {:7} {:<6} {:5} {:5} {:4} {:4} {:8} {:6} {major}.{least}",
                format!("{:?}", it.kubeadm_api).to_lowercase(),
                mark(it.sandbox_image_flag),
                mark(it.cluster_admins_group),
                mark(it.runtime_endpoint_in_config),
                mark(it.fail_cgroup_v1_key),
                mark(it.refuses_cgroup_v1),
                it.control_plane_taints.len(),
                mark(it.websockets_to_kubelet),
                mark(it.conntrack_program),
                support(it.ipvs),
                support(it.nftables),
                it.default_proxy_mode().name(),
                it.kubeadm_kernel.map_or("-".to_owned(), |(major, minor)| format!("{major}.{minor}")),
            ));
        }
        insta::assert_snapshot!(table.join("\n"), @"
        minor kubeadm  pause admins endpoint cgroup refuses taints wsock track ipvs nft  default  kernel containerd
        1.24  v1beta3  yes   -      -        -      -       2      -     yes   yes  -    ipvs     -      1.5
        1.25  v1beta3  yes   -      -        -      -       1      -     yes   yes  -    ipvs     -      1.5
        1.26  v1beta3  yes   -      -        -      -       1      -     yes   yes  -    ipvs     -      1.6
        1.27  v1beta3  yes   -      yes      -      -       1      -     yes   yes  -    ipvs     -      1.6
        1.28  v1beta3  yes   -      yes      -      -       1      -     yes   yes  -    ipvs     -      1.6
        1.29  v1beta3  yes   yes    yes      -      -       1      -     yes   yes  gate ipvs     -      1.6
        1.30  v1beta3  yes   yes    yes      -      -       1      -     yes   yes  gate ipvs     -      1.6
        1.31  v1beta4  yes   yes    yes      yes    -       1      -     yes   yes  yes  ipvs     -      1.6
        1.32  v1beta4  yes   yes    yes      yes    -       1      -     -     yes  yes  ipvs     4.19   1.6
        1.33  v1beta4  yes   yes    yes      yes    -       1      -     -     yes  yes  ipvs     4.19   1.6
        1.34  v1beta4  yes   yes    yes      yes    -       1      -     -     yes  yes  ipvs     -      1.6
        1.35  v1beta4  -     yes    yes      yes    yes     1      -     -     old  yes  iptables -      1.6
        1.36  v1beta4  -     yes    yes      yes    yes     1      yes   -     old  yes  iptables -      2.0
        1.37  v1beta4  -     yes    yes      yes    yes     1      yes   -     old  yes  iptables -      2.0
        1.40  v1beta4  -     yes    yes      yes    yes     1      yes   -     gate yes  iptables -      2.0
        1.43  v1beta4  -     yes    yes      yes    yes     1      yes   -     -    yes  iptables -      2.0
        ");
    }

    #[test]
    fn the_changes_are_in_order() {
        assert!(CHANGES.is_sorted_by_key(|(minor, _)| *minor));
    }

    #[test]
    fn a_preview_belongs_to_its_minor() {
        let preview: Version = "v1.35.0-rc.1".parse().unwrap();
        assert_eq!(Traits::of(&preview), Traits::of(&Version::new(1, 35, 4)));
    }
}
