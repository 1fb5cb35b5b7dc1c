use serde::Serialize;

use crate::{Template, TemplateError, yaml};

/// How a client finds and enters a cluster. Holds a private key, so it is never shown.
pub struct Kubeconfig<'a> {
    pub cluster: &'a str,
    pub user: &'a str,
    /// `https://lb.kubexm.local:6443`
    pub server: &'a str,
    /// PEM in base64, as the others.
    pub authority: &'a str,
    pub certificate: &'a str,
    pub key: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    kind: &'static str,
    clusters: [Named<'a, ClusterEntry<'a>>; 1],
    users: [Named<'a, UserEntry<'a>>; 1],
    contexts: [Named<'a, ContextEntry<'a>>; 1],
    current_context: &'a str,
}

/// An entry of a list: its name, and what it is under the name of its kind.
#[derive(Serialize)]
struct Named<'a, T> {
    name: &'a str,
    #[serde(flatten)]
    what: T,
}

#[derive(Serialize)]
struct ClusterEntry<'a> {
    cluster: Cluster<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster<'a> {
    server: &'a str,
    certificate_authority_data: &'a str,
}

#[derive(Serialize)]
struct UserEntry<'a> {
    user: User<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct User<'a> {
    client_certificate_data: &'a str,
    client_key_data: &'a str,
}

#[derive(Serialize)]
struct ContextEntry<'a> {
    context: Context<'a>,
}

#[derive(Serialize)]
struct Context<'a> {
    cluster: &'a str,
    user: &'a str,
}

impl Template for Kubeconfig<'_> {
    fn render(&self) -> Result<String, TemplateError> {
        let context = format!("{}@{}", self.user, self.cluster);
        let cluster = ClusterEntry {
            cluster: Cluster {
                server: self.server,
                certificate_authority_data: self.authority,
            },
        };
        let user = UserEntry {
            user: User {
                client_certificate_data: self.certificate,
                client_key_data: self.key,
            },
        };
        let entry = ContextEntry {
            context: Context {
                cluster: self.cluster,
                user: self.user,
            },
        };
        let document = Document {
            api_version: "v1",
            kind: "Config",
            clusters: [named(self.cluster, cluster)],
            users: [named(self.user, user)],
            contexts: [named(&context, entry)],
            current_context: &context,
        };
        yaml::document("kubeconfig", &document)
    }
}

const fn named<T>(name: &str, what: T) -> Named<'_, T> {
    Named { name, what }
}
