//! Every file that kubexm renders for a host: a template in `files/` and, beside it, the one typed context it takes.
//! What programs read as YAML with settings of the config in it is written from types alone.
//!
//! Undefined names are errors, nothing is escaped by itself: values go through the filter `quoted`.

mod alerts;
mod arguments;
mod backup;
mod balancer;
mod containerd;
mod control_plane;
mod dns;
mod etcd;
mod kube_proxy;
mod kubeadm;
mod kubeconfig;
mod kubelet;
mod network;
mod os;
mod registry;
mod renewal;
mod runtimes;
mod time;
mod tools;
mod yaml;

pub use alerts::EtcdAlerts;
pub use arguments::Arguments;
pub use backup::{BackUpEtcd, BackUpEtcdTimer, BackUpEtcdUnit, MemberHome};
pub use balancer::{
    Backend, Balancer, BalancerCheck, BalancerHome, BalancerPod, BalancerProgram, HaproxyConfig,
    KeepalivedConfig, KubeVipPod, KubeVipRole, NginxConfig,
};
pub use containerd::{
    Containerd1, Containerd2, ContainerdHandler, ContainerdHandlerKind, ContainerdUnit, Crictl,
    RegistryHost, RegistryHosts, RegistryLogin,
};
pub use control_plane::{
    ApiserverUnit, ClusterAdmins, ClusterRoles, ControllerManagerUnit, KubeProxyUnit, SchedulerUnit,
};
pub use dns::{
    CorednsConfig, CorednsManifest, Corefile, ForwardedZone, NodeLocalCorefile,
    NodeLocalDnsManifest, NodeLocalUpstream,
};
pub use etcd::{
    BootstrapState, CorruptionCheck, EtcdBootstrap, EtcdEnvironment, EtcdUnit, MetricsReach,
};
pub use kube_proxy::{KubeProxy, KubeProxyMode};
pub use kubeadm::{
    Kubeadm, KubeadmCluster, KubeadmComponent, KubeadmEndpoint, KubeadmEtcd, KubeadmEtcdClient,
    KubeadmEtcdTls, KubeadmForm, KubeadmJoin, KubeadmKubelet, KubeadmNode, KubeadmUpgradeConfig,
    KubeadmVolume,
};
pub use kubeconfig::Kubeconfig;
pub use kubelet::{KubeletConfig, KubeletDropIn, KubeletUnit, NodeTaint};
pub use network::{
    CalicoctlConfig, CniBridge, NetworkdRoutes, PodFamily, PodRoute, PodRoutes, PodRoutesUnit,
};
pub use os::{HostEntry, HostsBlock, Modules, Sysctls};
pub use registry::{HarborConfig, HarborUnit, RegistryConfig, RegistryTakes, RegistryUnit};
pub use renewal::{RenewCertificates, RenewCertificatesTimer, RenewCertificatesUnit};
pub use runtimes::{
    CriDockerUnit, Crio, CrioUnit, DockerLogin, DockerLogins, DockerUnit, IMAGE_POLICY, Location,
    OciRuntime, PodRuntime, RegistriesConf, Remap, RuntimeClasses,
};
pub use time::ChronyConfig;
pub use tools::{BashCompletion, BuildkitConfig, BuildkitRegistry, BuildkitUnit, NerdctlConfig};

use std::error::Error;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;

/// A template's context.
pub trait Template {
    /// The file's text.
    fn render(&self) -> Result<String, TemplateError>;
}

/// Fills a template of `files/`; its name is for error messages.
fn fill(
    name: &'static str,
    source: &'static str,
    context: &impl Serialize,
) -> Result<String, TemplateError> {
    environment()
        .and_then(|env| env.render_named_str(name, source, Serde(context)))
        .map_err(|error| TemplateError::new(name, error))
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()?;
    let mut env = Environment::new();
    env.set_syntax(syntax);
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.add_filter("quoted", quoted);
    env.add_filter("word", arguments::word);
    Ok(env)
}

/// A template does not fit its context. Always a mistake in this crate.
#[derive(Debug, thiserror::Error)]
#[error("cannot render {name}: {source:#}")]
pub struct TemplateError {
    name: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl TemplateError {
    fn new(name: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = source.into();
        Self { name, source }
    }
}

/// A double-quoted string as JSON, TOML, YAML and systemd's environment files all read it.
fn quoted(value: &Value) -> String {
    let mut out = String::from('"');
    for c in value.to_string().chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Implements [`Template`] for a context by the name of its file.
macro_rules! template {
    ($context:ty, $file:literal) => {
        impl $crate::Template for $context {
            fn render(&self) -> Result<String, $crate::TemplateError> {
                $crate::fill($file, include_str!(concat!("../files/", $file)), self)
            }
        }
    };
}
pub(crate) use template;
