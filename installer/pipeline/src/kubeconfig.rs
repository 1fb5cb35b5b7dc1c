use std::fs;
use std::io;

use cluster::{ExternalLoadBalancer, InternalLoadBalancer, Role};
use module::Site;

use crate::PipelineError;

/// The administrator's kubeconfig, for a machine that is no node of the cluster.
#[derive(Debug)]
pub struct Kubeconfig {
    /// Holds the administrator's key.
    pub text: String,
    /// Where it reaches the apiservers.
    pub server: String,
    /// The name that their certificate is asked for.
    pub name: String,
}

/// What one kubeconfig of a cluster may have and another not: where it asks, and who asks.
const OWN: [&str; 4] = [
    "server",
    "tls-server-name",
    "client-certificate-data",
    "client-key-data",
];

impl Kubeconfig {
    /// Whether an older text is a kubeconfig of the same cluster, and nothing else.
    #[must_use]
    pub fn replaces(&self, older: &str) -> bool {
        let common = |line: &&str| {
            let key = line.trim_start().split(':').next();
            key.is_none_or(|key| !OWN.contains(&key))
        };
        older
            .lines()
            .filter(common)
            .eq(self.text.lines().filter(common))
    }
}

/// The kubeconfig that was made when the cluster was installed, with the apiservers' address as it is from here: the one
/// that is given, or the virtual address, or the first master. By whichever way, their certificate must be for the
/// control plane's name.
pub fn kubeconfig(site: &Site, server: Option<&str>) -> Result<Kubeconfig, PipelineError> {
    let path = site.admin_kubeconfig();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(PipelineError::NoKubeconfig { path });
        }
        Err(source) => return Err(PipelineError::Read { path, source }),
    };
    let server = match server {
        Some(given) if given.starts_with("https://") => given.to_owned(),
        Some(given) => return Err(PipelineError::Server(given.to_owned())),
        None => reachable(site),
    };
    let name = site.cluster.spec.control_plane_endpoint.domain.clone();
    let text =
        with_server(&text, &server, &name).ok_or(PipelineError::BrokenKubeconfig { path })?;
    Ok(Kubeconfig { text, server, name })
}

/// Where the apiservers are for somebody without an entry in `/etc/hosts`.
fn reachable(site: &Site) -> String {
    let endpoint = &site.cluster.spec.control_plane_endpoint;
    let has_virtual = endpoint.external_load_balancer != ExternalLoadBalancer::None
        || endpoint.internal_load_balancer == InternalLoadBalancer::KubeVip;
    let virtual_address = endpoint.lb_address.iter().next().filter(|_| has_virtual);
    let address = match virtual_address {
        Some(address) => Some(address.to_string()),
        None if endpoint.external_dns => None,
        // As SSH reaches it: the operator's machine may not be on the nodes' own network.
        None => {
            let masters = site.cluster.hosts_in(Role::Master).into_iter();
            masters.map(|master| master.address.clone()).next()
        }
    };
    match address {
        Some(address) if address.contains(':') => format!("https://[{address}]:{}", endpoint.port),
        Some(address) => format!("https://{address}:{}", endpoint.port),
        None => site.apiserver_url(),
    }
}

/// The file is of our own making, with one cluster in it: its line is known.
fn with_server(text: &str, server: &str, name: &str) -> Option<String> {
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with("server: "))?;
    let indent = &line[..line.len() - line.trim_start().len()];
    let replaced = format!("{indent}server: {server}\n{indent}tls-server-name: {name}");
    Some(text.replacen(line, &replaced, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kubeconfig_of_the_same_cluster_alone_is_replaced() {
        let text = |cluster: &str, authority: &str, rest: &str| {
            format!(
                "clusters:\n- name: {cluster}\n  cluster:\n{rest}    certificate-authority-data: {authority}\n"
            )
        };
        let (here, there) = (
            "    server: https://10.0.0.9:6443\n    tls-server-name: lb.kubexm.local\n",
            "    server: https://10.0.0.8:6443\n",
        );
        let new = Kubeconfig {
            text: text("demo", "QQ==", here),
            server: String::new(),
            name: String::new(),
        };
        assert!(new.replaces(&text("demo", "QQ==", there)));
        assert!(
            !new.replaces(&text("demo", "Qg==", here)),
            "of another authority"
        );
        assert!(!new.replaces(&(text("demo", "QQ==", here) + &text("other", "QQ==", there))));
        assert!(!new.replaces(""));
    }

    #[test]
    fn the_server_is_named_anew_and_its_certificate_is_not() {
        let text = "clusters:\n- name: demo\n  cluster:\n    server: https://lb.kubexm.local:6443\n    \
                    certificate-authority-data: QQ==\n";
        let text = with_server(text, "https://10.0.0.9:6443", "lb.kubexm.local").unwrap();
        insta::assert_snapshot!(text, @r"
        clusters:
        - name: demo
          cluster:
            server: https://10.0.0.9:6443
            tls-server-name: lb.kubexm.local
            certificate-authority-data: QQ==
        ");
        assert_eq!(
            with_server("clusters: []\n", "https://10.0.0.9:6443", "x"),
            None
        );
    }
}
