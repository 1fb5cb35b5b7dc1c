use std::collections::BTreeSet;

use secrecy::SecretString;

use crate::{
    Bastion, Cluster, Host, NetworkPlugin, RegistryAccount, RegistryAuth, Secret, Spec, yaml,
};

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

    /// What is read on the machine that the config is used on: variables of the environment, files of secrets and keys.
    #[must_use]
    pub fn pointers(&self) -> BTreeSet<String> {
        let mut copy = self.clone();
        let mut found = BTreeSet::new();
        copy.each_secret(&mut |slot| {
            found.extend(match slot {
                Some(Secret::Env(name)) => Some(format!("{{env: {name}}}")),
                Some(Secret::File(path)) => Some(format!("{{file: {path}}}")),
                Some(Secret::Plain(_)) | None => None,
            });
        });
        let hosts = &self.spec.hosts;
        let own = hosts.iter().map(|host| &host.private_key_path);
        let bastions = hosts
            .iter()
            .map(|host| &host.bastion)
            .chain([&self.spec.bastion])
            .flatten()
            .map(|bastion| &bastion.private_key_path);
        let paths = own.chain(bastions).flatten();
        found.extend(paths.map(|path| format!("privateKeyPath: {path}")));
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
        copy.spec.tools = Some(self.tools().into_iter().collect());
        for host in &mut copy.spec.hosts {
            host.internal_address = host.internal();
        }
        let Spec {
            kubernetes,
            network,
            ..
        } = &mut copy.spec;
        kubernetes.proxy_mode = Some(kubernetes.proxy_mode());
        if network.plugin == NetworkPlugin::Calico {
            let calico = &mut network.calico;
            (calico.ipip_mode, calico.vxlan_mode) = (Some(calico.ipip()), Some(calico.vxlan()));
        }
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
                runtime_classes: _,
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
                pull,
                username: _,
                on_nodes: _,
                skip_tls_verify: _,
                plain_http: _,
                certs_path: _,
            } = auth;
            visit(password);
            if let Some(RegistryAccount {
                password,
                username: _,
            }) = pull
            {
                visit(password);
            }
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

#[cfg(test)]
mod tests {
    const HOSTS: &str = "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: c}
spec:
  hosts: [{name: a, address: 10.0.0.1}]
  roleGroups: {etcd: [a], master: [a], worker: [a]}
";

    #[test]
    fn what_is_read_on_the_machine_is_named() {
        let config = HOSTS.replace(
            "address: 10.0.0.1",
            "address: 10.0.0.1, privateKeyPath: ~/id, passphrase: {env: WORD}, bastion: {address: b, privateKeyPath: /b}",
        );
        let config = config.trim_end().to_owned()
            + "\n  registry: {auths: {r.example.org: {username: u, password: {file: /pw}}}}\n";
        let cluster = crate::parse("c.yaml", &config).unwrap().cluster;
        let pointers: Vec<String> = cluster.pointers().into_iter().collect();
        assert_eq!(
            pointers,
            [
                "privateKeyPath: /b",
                "privateKeyPath: ~/id",
                "{env: WORD}",
                "{file: /pw}"
            ]
        );
        let plain = crate::parse("c.yaml", HOSTS).unwrap().cluster;
        assert!(plain.pointers().is_empty());
    }

    #[test]
    fn what_other_keys_decide_is_written_out() {
        let cluster = crate::parse("c.yaml", HOSTS).unwrap().cluster;
        let written = cluster.to_yaml().unwrap();
        for decided in [
            "proxyMode: ipvs",
            "ipipMode: Always",
            "vxlanMode: Never",
            "internalAddress: \"10.0.0.1\"",
            "- calicoctl",
        ] {
            assert!(written.contains(decided), "{decided}: {written}");
        }
        let again = crate::parse("c.yaml", &written).unwrap().cluster;
        assert_eq!(again.to_yaml().unwrap(), written);
    }

    #[test]
    fn nobody_is_warned_of_what_was_written_out_for_him() {
        // Only containerd does without a registry.
        let with_registry = HOSTS.replace("worker: [a]}", "worker: [a], registry: [a]}");
        for plugin in ["calico", "flannel", "cilium", "kube-ovn", "bridge", "none"] {
            for runtime in ["containerd", "docker", "cri-o"] {
                let text = format!(
                    "{with_registry}  network: {{plugin: {plugin}}}\n  kubernetes: {{containerRuntime: {{type: {runtime}}}}}\n"
                );
                let parsed = crate::parse("c.yaml", &text).unwrap();
                let written = parsed.cluster.to_yaml().unwrap();
                let again = crate::parse("c.yaml", &written).unwrap();
                assert_eq!(again.warnings.len(), parsed.warnings.len(), "{written}");
            }
        }
    }
}
