//! How containerd learns whom to ask for images: a `hosts.toml` for each host that references begin with, and one for all others.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use camino::Utf8PathBuf;
use cluster::{NodeRegistry, RegistryTrust};
use engine::{Slot, SlotId, Step, StepError};
use secrecy::ExposeSecret;
use step::{Content, LoginManner, RegistryCredentials};
use templates::{RegistryHost, RegistryHosts, RegistryLogin};

use super::{CA, REGISTRY_HOSTS};
use crate::Site;
use crate::files::{directory, upload};
use crate::os::rendered_late;
use crate::registries::{Endpoint, LateLogin, Route, Upstream, folder};

/// For every registry that the bundle has images of, and for all others: pulls go to the site's registry, and to whom the config names
/// behind it. Without any nothing is written, and nothing can be pulled from a site without a route out.
pub(super) fn files(site: &Site) -> Vec<Arc<dyn Step>> {
    let mut steps: Vec<Arc<dyn Step>> = Vec::new();
    let mut known: Vec<Utf8PathBuf> = Vec::new();
    for registry in site.asked_registries() {
        if let (Some(local), Some(path)) =
            (site.authorities_of(&registry), authorities_file(&registry))
            && !known.contains(&path)
        {
            steps.push(upload(path.clone(), Content::Local(local), 0o644));
            known.push(path);
        }
    }
    for Route { of, endpoints } in site.routes() {
        let folder = match &of {
            Upstream::Host(host) => folder(host),
            Upstream::Others => "_default".to_owned(),
        };
        steps.push(directory(format!("{REGISTRY_HOSTS}/{folder}")));
        let path = format!("{REGISTRY_HOSTS}/{folder}/hosts.toml");
        steps.push(hosts_toml(site, path, endpoints));
    }
    steps
}

/// Where a node keeps the authorities of a registry.
pub(crate) fn authorities_file(registry: &NodeRegistry) -> Option<Utf8PathBuf> {
    match registry.trust {
        RegistryTrust::Site => Some(CA.into()),
        RegistryTrust::Folder(_) => {
            let name = folder(&registry.authority);
            Some(format!("{REGISTRY_HOSTS}/{name}.crt").into())
        }
        RegistryTrust::System | RegistryTrust::Unchecked => None,
    }
}

fn hosts_toml(site: &Site, path: String, endpoints: Vec<Endpoint>) -> Arc<dyn Step> {
    let hosts: Vec<(Endpoint, LateLogin)> = endpoints
        .into_iter()
        .map(|endpoint| {
            let login = site.login_at(&endpoint.registry);
            (endpoint, login)
        })
        .collect();
    let takes: Vec<SlotId> = hosts
        .iter()
        .filter_map(|(_, login)| login.takes())
        .take(1)
        .collect();
    let render = Arc::new(move || {
        let rendered = hosts.iter().map(|(endpoint, login)| {
            let login = login.get()?;
            Ok(RegistryHost {
                endpoint: endpoint.url(),
                ca_file: authorities_file(&endpoint.registry).map(Utf8PathBuf::into_string),
                unchecked: endpoint.registry.trust == RegistryTrust::Unchecked,
                authorization: login.as_ref().map(basic),
            })
        });
        let mut first: Vec<RegistryHost> = rendered.collect::<Result<_, StepError>>()?;
        let last = first
            .pop()
            .ok_or_else(|| StepError::new("nobody is asked for these images"))?;
        rendered_late(&RegistryHosts { first, last })
    });
    upload(path, Content::Late { takes, render }, 0o600)
}

fn basic(login: &RegistryCredentials) -> String {
    let pair = format!("{}:{}", login.username, login.password.expose_secret());
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

/// The login of nodes at a registry that may give a token for it: containerd then sends what `hosts.toml` has to the registry, and
/// nothing to whoever gives tokens.
pub(super) struct TokenLogin {
    authority: String,
    login: LateLogin,
    manner: Slot<LoginManner>,
}

impl TokenLogin {
    /// None where the site has no registry that was there before, or nobody logs in.
    pub fn of(site: &Site) -> Option<Self> {
        let registries = site.cluster.site_registries();
        let registry = registries.first()?;
        let login = site.login_at(registry);
        if registry.trust == RegistryTrust::Site || matches!(login, LateLogin::Nobody) {
            return None;
        }
        Some(Self {
            authority: registry.authority.clone(),
            login,
            manner: site.login_manner.clone(),
        })
    }

    pub fn takes(&self) -> Vec<SlotId> {
        vec![self.manner.id()]
    }

    pub fn get(&self) -> Result<Vec<RegistryLogin>, StepError> {
        match self.manner.get() {
            None => Err(StepError::new(
                "how the registry takes a login is not known",
            )),
            Some(LoginManner::Basic) => Ok(Vec::new()),
            Some(LoginManner::Token) => {
                let login = self.login.get()?.into_iter();
                let login = login.map(|RegistryCredentials { username, password }| RegistryLogin {
                    authority: self.authority.clone(),
                    username,
                    password: password.expose_secret().to_owned(),
                });
                Ok(login.collect())
            }
        }
    }
}
