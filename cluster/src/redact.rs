use secrecy::SecretString;

use crate::{Bastion, Cluster, Host, RegistryAuth, Secret, yaml};

/// The config cannot be written as YAML.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the config as YAML")]
pub struct WriteError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Cluster {
    /// Every secret that is written out in the config, to keep it out of anything that is shown.
    #[must_use]
    pub fn secrets(&self) -> Vec<SecretString> {
        let mut copy = self.clone();
        let mut found = Vec::new();
        copy.each_secret(&mut |slot| {
            if let Some(Secret::Plain(text)) = slot {
                found.push(text.clone());
            }
        });
        found
    }

    /// The same config without any secret. What only points to one, `{env: NAME}` or `{file: PATH}`, stays.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut copy = self.clone();
        copy.each_secret(&mut |slot| {
            if slot.as_ref().is_some_and(Secret::is_plain) {
                *slot = None;
            }
        });
        copy
    }

    /// The config as YAML, with every default filled in and without any secret.
    pub fn to_yaml(&self) -> Result<String, WriteError> {
        yaml::write(&self.written_out()).map_err(|error| WriteError(error.to_string().into()))
    }

    /// The same config without any secret, and with those defaults that depend on other keys written out.
    #[must_use]
    pub fn written_out(&self) -> Self {
        let mut copy = self.redacted();
        let kubernetes = &mut copy.spec.kubernetes;
        kubernetes.proxy_mode = Some(kubernetes.proxy_mode());
        copy
    }

    fn each_secret(&mut self, visit: &mut dyn FnMut(&mut Option<Secret>)) {
        // Taken apart by name, so that a new field cannot be forgotten here.
        for host in &mut self.spec.hosts {
            let Host {
                password,
                sudo_password,
                private_key,
                passphrase,
                bastion,
                name: _,
                address: _,
                internal_address: _,
                port: _,
                user: _,
                private_key_path: _,
                agent: _,
                host_key: _,
                arch: _,
                labels: _,
                taints: _,
                os: _,
            } = host;
            for slot in [password, sudo_password, private_key, passphrase] {
                visit(slot);
            }
            if let Some(bastion) = bastion {
                each_of_bastion(bastion, visit);
            }
        }
        if let Some(bastion) = &mut self.spec.bastion {
            each_of_bastion(bastion, visit);
        }
        for auth in self.spec.registry.auths.values_mut() {
            let RegistryAuth {
                password,
                username: _,
                skip_tls_verify: _,
                plain_http: _,
                certs_path: _,
            } = auth;
            visit(password);
        }
    }
}

fn each_of_bastion(bastion: &mut Bastion, visit: &mut dyn FnMut(&mut Option<Secret>)) {
    let Bastion {
        password,
        private_key,
        passphrase,
        address: _,
        port: _,
        user: _,
        private_key_path: _,
        agent: _,
        host_key: _,
    } = bastion;
    for slot in [password, private_key, passphrase] {
        visit(slot);
    }
}
