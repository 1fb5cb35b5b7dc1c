//! What a node has to know of registries, whichever runtime it has: whom it asks for images, how, and as whom. Runtimes write it in
//! their own words; that there is one answer for all of them is what this is for.

use camino::Utf8PathBuf;

use crate::{Cluster, Host, ImageHome, RegistryAuth};

/// A registry as a node speaks to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRegistry {
    /// Host and port, as they stand in a reference: `hub.corp:5000`.
    pub authority: String,
    /// What all repositories there begin with: `team/docker`; empty for most.
    pub path: String,
    pub scheme: Scheme,
    pub trust: RegistryTrust,
    pub login: NodeLogin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Https,
    Http,
}

impl Scheme {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

/// By what a node knows a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryTrust {
    /// The authority that kubexm has made for the site's own registry.
    Site,
    /// The `*.crt` of this folder of the operator's machine.
    Folder(Utf8PathBuf),
    /// Whatever the node's system trusts.
    System,
    /// Nothing: its certificate is not looked at.
    Unchecked,
}

/// As whom a node speaks to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeLogin {
    Nobody,
    /// The account that nodes have at the site's registry.
    Site,
    /// The account of `registry.auths` under this name.
    Named(String),
}

/// Who has the images of a host that references begin with, beside the site's registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSource {
    /// `docker.io`, `hub.corp:5000`.
    pub host: String,
    /// Asked in this order.
    pub registries: Vec<NodeRegistry>,
}

impl NodeRegistry {
    /// `https://hub.corp:5000`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme.name(), self.authority)
    }
}

const MIRRORED: &str = "docker.io";

impl Cluster {
    /// The site's registry, once for each place where it can be asked, in the order in which nodes do: every pull goes there first.
    /// None where images are imported.
    #[must_use]
    pub fn site_registries(&self) -> Vec<NodeRegistry> {
        match self.image_home() {
            ImageHome::Nodes => Vec::new(),
            ImageHome::External => vec![NodeRegistry {
                login: match self.registry_auth() {
                    Some(auth) if auth.username.is_some() || auth.pull.is_some() => NodeLogin::Site,
                    _ => NodeLogin::Nobody,
                },
                ..spoken_to(self.registry_authority(), self.registry_auth())
            }],
            ImageHome::Hosts(hosts) => self.own_registries(&hosts),
        }
    }

    /// Where nodes pull from the site's own registry.
    #[must_use]
    pub fn pull_port(&self) -> u16 {
        let read_only = self.spec.registry.read_only_port;
        read_only.unwrap_or_else(|| self.registry_port())
    }

    fn own_registries(&self, hosts: &[&Host]) -> Vec<NodeRegistry> {
        let at = |authority: String| NodeRegistry {
            authority,
            path: String::new(),
            scheme: Scheme::Https,
            trust: RegistryTrust::Site,
            login: NodeLogin::Site,
        };
        let port = self.pull_port();
        match hosts {
            [_] => vec![at(format!("{}:{port}", self.registry_domain()))],
            several => {
                let names = several.iter().map(|host| format!("{}:{port}", host.name));
                names.map(at).collect()
            }
        }
    }

    /// Whom the config has nodes ask themselves, beside the site's registry: mirrors of docker.io, registries whose certificate is not
    /// checked, and those of `registry.auths` that say so.
    #[must_use]
    pub fn image_sources(&self) -> Vec<ImageSource> {
        let containerd = &self.spec.kubernetes.container_runtime.containerd;
        let auths = &self.spec.registry.auths;
        let own = self.registry_names();
        let mirrors: Vec<NodeRegistry> = containerd
            .registry_mirrors
            .iter()
            .map(|written| self.mirror(written))
            .collect();
        let insecure = containerd.insecure_registries.iter();
        let insecure = insecure.map(|host| (host, self.unchecked(host)));
        let named = auths.iter().filter(|(_, auth)| auth.on_nodes);
        let named = named.map(|(host, auth)| (host.as_str(), vec![by_name(host, Some(auth))]));
        let mut sources: Vec<ImageSource> = Vec::new();
        if !mirrors.is_empty() {
            sources.push(ImageSource {
                host: MIRRORED.to_owned(),
                registries: mirrors,
            });
        }
        for (host, registries) in insecure.chain(named) {
            let known = sources.iter().any(|source| source.host == host);
            if !known && !own.iter().any(|name| name == host) {
                sources.push(ImageSource {
                    host: host.to_owned(),
                    registries,
                });
            }
        }
        sources
    }

    /// As its `auths` say; by TLS unless the text says otherwise.
    fn mirror(&self, written: &str) -> NodeRegistry {
        let (scheme, rest) = match written.split_once("://") {
            Some(("http", rest)) => (Some(Scheme::Http), rest),
            Some((_, rest)) => (Some(Scheme::Https), rest),
            None => (None, written),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let registry = by_name(authority, self.spec.registry.auths.get(authority));
        let trust = if self.is_insecure(authority) {
            RegistryTrust::Unchecked
        } else {
            registry.trust.clone()
        };
        NodeRegistry {
            path: path.trim_matches('/').to_owned(),
            scheme: scheme.unwrap_or(registry.scheme),
            trust,
            ..registry
        }
    }

    fn is_insecure(&self, authority: &str) -> bool {
        let containerd = &self.spec.kubernetes.container_runtime.containerd;
        let mut insecure = containerd.insecure_registries.iter();
        insecure.any(|host| host == authority)
    }

    /// First as if it had a certificate, whoever signed it; then without any.
    fn unchecked(&self, host: &str) -> Vec<NodeRegistry> {
        let auth = self.spec.registry.auths.get(host);
        let by = |scheme| NodeRegistry {
            scheme,
            trust: RegistryTrust::Unchecked,
            ..by_name(host, auth)
        };
        match auth {
            Some(auth) if auth.plain_http => vec![by(Scheme::Http)],
            _ => vec![by(Scheme::Https), by(Scheme::Http)],
        }
    }
}

fn by_name(host: &str, auth: Option<&RegistryAuth>) -> NodeRegistry {
    let login = match auth {
        Some(auth) if auth.username.is_some() => NodeLogin::Named(host.to_owned()),
        _ => NodeLogin::Nobody,
    };
    NodeRegistry {
        login,
        ..spoken_to(host.to_owned(), auth)
    }
}

fn spoken_to(authority: String, auth: Option<&RegistryAuth>) -> NodeRegistry {
    let (scheme, trust) = match auth {
        Some(auth) if auth.plain_http => (Scheme::Http, RegistryTrust::Unchecked),
        Some(auth) if auth.skip_tls_verify => (Scheme::Https, RegistryTrust::Unchecked),
        Some(RegistryAuth {
            certs_path: Some(folder),
            ..
        }) => (Scheme::Https, RegistryTrust::Folder(folder.clone())),
        _ => (Scheme::Https, RegistryTrust::System),
    };
    NodeRegistry {
        authority,
        path: String::new(),
        scheme,
        trust,
        login: NodeLogin::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(roles: &str, spec: &str) -> Cluster {
        let text = format!(
            "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {{name: c}}
spec:
  hosts: [{{name: a, address: 10.0.0.1}}]
  roleGroups: {{etcd: [a], master: [a], worker: [a]{roles}}}
{spec}"
        );
        crate::parse("config.yaml", &text).unwrap().cluster
    }

    fn told(registries: &[NodeRegistry]) -> Vec<String> {
        let line = |registry: &NodeRegistry| {
            let NodeRegistry {
                path, trust, login, ..
            } = registry;
            format!("{}/{path} {trust:?} {login:?}", registry.url())
        };
        registries.iter().map(line).collect()
    }

    #[test]
    fn the_sites_registry_is_its_own_or_was_there_before() {
        assert_eq!(cluster("", "").site_registries(), []);
        assert_eq!(
            told(&cluster(", registry: [a]", "").site_registries()),
            ["https://dockerhub.kubexm.local:5000/ Site Site"]
        );
        let external = |auth: &str| {
            let text = format!(
                "  registry: {{type: external, privateRegistry: hub.corp, auths: {{hub.corp: {{{auth}}}}}}}\n"
            );
            told(&cluster("", &text).site_registries())
        };
        assert_eq!(external(""), ["https://hub.corp/ System Nobody"]);
        assert_eq!(
            external("username: me, password: x, certsPath: /ca"),
            [r#"https://hub.corp/ Folder("/ca") Site"#]
        );
        assert_eq!(
            external("plainHTTP: true"),
            ["http://hub.corp/ Unchecked Nobody"]
        );
    }

    #[test]
    fn nodes_ask_whom_the_config_names_and_nobody_else() {
        let cluster = cluster(
            "",
            "  kubernetes:
    containerRuntime:
      containerd:
        registryMirrors: 'mirror.corp, http://plain.corp:8080/hub'
        insecureRegistries: [old.corp:5000]
  registry:
    auths:
      mirror.corp: {username: me, password: x, certsPath: /ca}
      team.corp: {username: me, password: x, onNodes: true}
      quay.io: {username: me, password: x}
",
        );
        let sources = cluster.image_sources();
        let sources: Vec<_> = sources
            .iter()
            .map(|source| (source.host.as_str(), told(&source.registries)))
            .collect();
        let named = |host: &str, rest: &[&str]| {
            let rest: Vec<String> = rest.iter().map(|line| (*line).to_owned()).collect();
            (host.to_owned(), rest)
        };
        let sources: Vec<_> = sources
            .into_iter()
            .map(|(h, r)| (h.to_owned(), r))
            .collect();
        assert_eq!(
            sources,
            [
                named(
                    "docker.io",
                    &[
                        r#"https://mirror.corp/ Folder("/ca") Named("mirror.corp")"#,
                        "http://plain.corp:8080/hub System Nobody",
                    ]
                ),
                named(
                    "old.corp:5000",
                    &[
                        "https://old.corp:5000/ Unchecked Nobody",
                        "http://old.corp:5000/ Unchecked Nobody",
                    ]
                ),
                named(
                    "team.corp",
                    &[r#"https://team.corp/ System Named("team.corp")"#]
                ),
            ]
        );
    }
}
