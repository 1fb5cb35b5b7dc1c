//! What each choice of the config consists of: the one table that says so. `artifact::needs` makes from it what a bundle must
//! hold.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    EtcdType, InternalLoadBalancer, KubernetesType, NetworkPlugin, RegistryType, RuntimeType, Tool,
};

/// A component of the catalogue, with the programs that are taken out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub component: &'static str,
    pub programs: &'static [&'static str],
}

/// What a choice consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    pub components: &'static [Part],
    pub images: &'static [ImageSet],
}

macro_rules! image_sets {
    ($($variant:ident = $name:literal,)*) => {
        /// What images are there for, under the catalogue's name of it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ImageSet {
            $(#[serde(rename = $name)] $variant,)*
            /// What the objects of addons name, and what their programs start by themselves.
            #[serde(rename = "addons")]
            Addons,
            /// What the config itself names, in `spec.images`.
            #[serde(rename = "user")]
            User,
        }

        impl ImageSet {
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Addons => "addons",
                    Self::User => "user",
                }
            }
        }
    };
}

image_sets! {
    Calico = "calico",
    ControlPlane = "control-plane",
    Coredns = "coredns",
    Etcd = "etcd",
    EtcdPrevious = "etcd-previous",
    Flannel = "flannel",
    Haproxy = "haproxy",
    KubeProxy = "kube-proxy",
    KubeVip = "kube-vip",
    Nginx = "nginx",
    Nodelocaldns = "nodelocaldns",
    Pause = "pause",
}

impl ImageSet {
    /// Whether its images are there for what people run in the cluster, and none of them for the cluster itself.
    #[must_use]
    pub const fn is_of_people(self) -> bool {
        matches!(self, Self::Addons | Self::User)
    }
}

impl fmt::Display for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const NOTHING: Parts = Parts {
    components: &[],
    images: &[],
};

const fn programs(components: &'static [Part]) -> Parts {
    Parts {
        components,
        ..NOTHING
    }
}

const fn images(images: &'static [ImageSet]) -> Parts {
    Parts { images, ..NOTHING }
}

/// A constant function would not do: what it gives is not static.
macro_rules! part {
    ($component:literal, $programs:expr $(,)?) => {
        Part {
            component: $component,
            programs: $programs,
        }
    };
}

const RUNC: Part = part!("runc", &["runc"]);

impl RuntimeType {
    #[must_use]
    pub const fn parts(self) -> Parts {
        match self {
            Self::Containerd => programs(&[
                part!(
                    "containerd",
                    &["containerd", "containerd-shim-runc-v2", "ctr"],
                ),
                RUNC,
            ]),
            Self::Docker => programs(&[
                part!(
                    "docker",
                    &[
                        "containerd",
                        "containerd-shim-runc-v2",
                        "docker",
                        "docker-init",
                        "docker-proxy",
                        "dockerd",
                        "runc",
                    ],
                ),
                part!("cri-dockerd", &["cri-dockerd"]),
            ]),
            Self::CriO => programs(&[part!("cri-o", &["crio", "pinns"]), RUNC]),
        }
    }

    /// What goes with every one of them.
    #[must_use]
    pub const fn common_parts() -> Parts {
        Parts {
            components: &[
                part!(
                    "cni-plugins",
                    &["bridge", "host-local", "loopback", "portmap"],
                ),
                part!("crictl", &["crictl"]),
            ],
            images: &[ImageSet::Pause],
        }
    }
}

impl KubernetesType {
    #[must_use]
    pub const fn parts(self) -> Parts {
        match self {
            Self::Kubeadm => Parts {
                components: &[
                    part!("kubeadm", &["kubeadm"]),
                    part!("kubelet", &["kubelet"]),
                    part!("kubectl", &["kubectl"]),
                ],
                images: &[
                    ImageSet::ControlPlane,
                    ImageSet::KubeProxy,
                    ImageSet::Coredns,
                    ImageSet::Pause,
                ],
            },
            Self::Kubexm => Parts {
                components: &[
                    part!("kube-apiserver", &["kube-apiserver"]),
                    part!("kube-controller-manager", &["kube-controller-manager"]),
                    part!("kube-scheduler", &["kube-scheduler"]),
                    part!("kube-proxy", &["kube-proxy"]),
                    part!("kubelet", &["kubelet"]),
                    part!("kubectl", &["kubectl"]),
                ],
                images: &[ImageSet::Coredns, ImageSet::Pause],
            },
        }
    }
}

impl EtcdType {
    #[must_use]
    pub const fn parts(self) -> Parts {
        match self {
            Self::Kubexm => programs(&[part!("etcd", &["etcd", "etcdctl"])]),
            Self::Kubeadm => images(&[ImageSet::Etcd]),
            Self::External => NOTHING,
        }
    }
}

impl RegistryType {
    #[must_use]
    pub const fn parts(self) -> Parts {
        match self {
            Self::Registry => programs(&[part!("registry", &["registry"])]),
            Self::Harbor => programs(&[
                part!("harbor", &[]),
                part!("docker", &["docker", "dockerd"]),
                part!("docker-compose", &["docker-compose"]),
            ]),
            Self::External => NOTHING,
        }
    }
}

impl NetworkPlugin {
    #[must_use]
    pub const fn parts(self) -> Parts {
        match self {
            Self::Calico => Parts {
                components: &[part!("calico", &[]), part!("calicoctl", &["calicoctl"])],
                images: &[ImageSet::Calico],
            },
            Self::Flannel => Parts {
                components: &[part!("flannel", &[])],
                images: &[ImageSet::Flannel],
            },
            // The images of a chart are those that its objects name.
            Self::Cilium | Self::KubeOvn | Self::Bridge | Self::None => NOTHING,
        }
    }
}

impl InternalLoadBalancer {
    #[must_use]
    pub const fn parts(self) -> Parts {
        match self {
            Self::None => NOTHING,
            Self::Haproxy => images(&[ImageSet::Haproxy]),
            Self::Nginx => images(&[ImageSet::Nginx]),
            Self::KubeVip => images(&[ImageSet::KubeVip]),
        }
    }
}

impl Tool {
    #[must_use]
    pub const fn parts(self) -> Parts {
        match self {
            Self::Helm => programs(&[part!("helm", &["helm"])]),
            Self::Nerdctl => programs(&[part!("nerdctl", &["nerdctl"])]),
            Self::Calicoctl => programs(&[part!("calicoctl", &["calicoctl"])]),
            Self::Buildkit => programs(&[part!("buildkit", &["buildctl", "buildkitd"])]),
            Self::DockerCompose => programs(&[part!("docker-compose", &["docker-compose"])]),
        }
    }
}
