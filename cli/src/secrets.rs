//! Where the secrets of a config come from: the environment and the files of this machine.

use std::fs::File;
use std::{env, io};

use camino::Utf8Path;
use cluster::{SecretError, SecretSource};

use crate::{home, input};

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
        text(path).map_err(|source| SecretError::File {
            path: path.to_owned(),
            source,
        })
    }
}

fn text(path: &Utf8Path) -> io::Result<String> {
    if path.starts_with("~") && home::dir().is_none() {
        let unknown = "HOME is not set, so nobody knows what ~ stands for";
        return Err(io::Error::new(io::ErrorKind::NotFound, unknown));
    }
    let bytes = input::limited(File::open(home::expand(path))?)?;
    if bytes.len() as u64 > input::LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text"))
}

#[cfg(test)]
mod tests {
    use cluster::Secret;
    use secrecy::ExposeSecret;

    use std::fs;

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
