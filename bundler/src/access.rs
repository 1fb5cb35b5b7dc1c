//! What the config says about upstream registries.

use std::collections::BTreeMap;

use cluster::{Cluster, SecretError, SecretSource};
use secrecy::ExposeSecret;

use crate::fetch::Login;
use crate::images::{RegistryAccess, Transport};

/// Logins and transports by registry host, out of `spec.registry.auths`. The site's own registry is not asked for
/// anything while bundling, so its secrets need not be at hand.
pub fn registry_access(
    cluster: &Cluster,
    lookup: &dyn SecretSource,
) -> Result<BTreeMap<String, RegistryAccess>, SecretError> {
    let own = cluster.registry_names();
    cluster
        .spec
        .registry
        .auths
        .iter()
        .filter(|(host, _)| !own.contains(host))
        .map(|(host, auth)| {
            let login = match (&auth.username, &auth.password) {
                (Some(user), Some(password)) => {
                    Some(Login::new(user, password.resolve(lookup)?.expose_secret()))
                }
                _ => None,
            };
            let transport = if auth.plain_http {
                Transport::Http
            } else if auth.skip_tls_verify {
                Transport::Unverified
            } else {
                Transport::Https
            };
            let certs_dir = auth.certs_path.clone();
            Ok((
                host.clone(),
                RegistryAccess {
                    login,
                    transport,
                    certs_dir,
                },
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;

    struct Nothing;

    impl SecretSource for Nothing {
        fn env(&self, name: &str) -> Result<String, SecretError> {
            Err(SecretError::NoEnv {
                name: name.to_owned(),
            })
        }

        fn file(&self, path: &Utf8Path) -> Result<String, SecretError> {
            Ok(format!("what {path} holds\n"))
        }
    }

    fn access(auths: &str) -> Result<BTreeMap<String, RegistryAccess>, SecretError> {
        let cluster = crate::testing::cluster(&format!(
            r#"{{"registry":{{"privateRegistry":"own.example","port":5000,"auths":{auths}}}}}"#
        ));
        registry_access(&cluster, &Nothing)
    }

    #[test]
    fn logins_are_resolved_but_for_the_site_itself() {
        let all = access(
            r#"{"own.example:5000":{"username":"me","password":{"env":"UNSET"}},
                "up.example":{"username":"me","password":{"file":"secret"}},
                "open.example":{"plainHTTP":true}}"#,
        )
        .unwrap();
        assert_eq!(
            all.keys().collect::<Vec<_>>(),
            ["open.example", "up.example"]
        );
        let login = all["up.example"].login.as_ref().unwrap();
        assert_eq!(
            (login.user.as_str(), login.password.expose_secret()),
            ("me", "what secret holds")
        );
        assert_eq!(all["open.example"].transport, Transport::Http);
    }

    #[test]
    fn a_secret_that_is_not_there_is_named() {
        let error =
            access(r#"{"up.example":{"username":"me","password":{"env":"UNSET"}}}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment variable UNSET is not set"
        );
    }
}
