//! Where the secrets of a config come from: the environment and the files of this machine.

use std::{env, fs};

use camino::Utf8Path;
use cluster::{SecretError, SecretSource};

use crate::home;

/// This process's environment and file system.
#[derive(Clone, Copy, Debug)]
pub struct LocalSecrets;

impl SecretSource for LocalSecrets {
    fn env(&self, name: &str) -> Result<String, SecretError> {
        env::var(name).map_err(|_| SecretError::NoEnv {
            name: name.to_owned(),
        })
    }

    fn file(&self, path: &Utf8Path) -> Result<String, SecretError> {
        fs::read_to_string(home::expand(path)).map_err(|source| SecretError::File {
            path: path.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use cluster::Secret;
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_read_from_its_file_without_the_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "s3cret\n").unwrap();
        let path = file.path().to_str().unwrap().into();
        let secret = Secret::File(path).resolve(&LocalSecrets).unwrap();
        assert_eq!(secret.expose_secret(), "s3cret");
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let error = Secret::Env("KUBEXM_NO_SUCH".into())
            .resolve(&LocalSecrets)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment variable KUBEXM_NO_SUCH is not set"
        );
    }
}
