use serde::Serialize;

use crate::{Arguments, template};

/// `kube-apiserver.service`.
#[derive(Clone, Debug, Serialize)]
pub struct ApiserverUnit {
    pub arguments: Arguments,
}
template!(ApiserverUnit, "kube-apiserver.service.j2");

/// `kube-controller-manager.service`.
#[derive(Clone, Debug, Serialize)]
pub struct ControllerManagerUnit {
    pub arguments: Arguments,
}
template!(ControllerManagerUnit, "kube-controller-manager.service.j2");

/// `kube-scheduler.service`.
#[derive(Clone, Debug, Serialize)]
pub struct SchedulerUnit {
    pub arguments: Arguments,
}
template!(SchedulerUnit, "kube-scheduler.service.j2");

/// `kube-proxy.service`. What it does is in its configuration.
#[derive(Clone, Debug, Serialize)]
pub struct KubeProxyUnit {}
template!(KubeProxyUnit, "kube-proxy.service.j2");

/// Who may do what, beside what every apiserver grants by itself.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterRoles {}
template!(ClusterRoles, "cluster-roles.yaml.j2");

/// The group of administrators. Only a super-administrator can give it its rights.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterAdmins {}
template!(ClusterAdmins, "cluster-admins.yaml.j2");
