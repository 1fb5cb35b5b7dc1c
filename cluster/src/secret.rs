use std::borrow::Cow;
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Something nobody else may see: written out, or a pointer to where it is kept.
///
/// Neither `Debug` nor `Serialize` ever gives out what was written out.
#[derive(Clone)]
pub enum Secret {
    Plain(SecretString),
    Env(String),
    File(Utf8PathBuf),
}

/// Looks secrets up. The caller gives it, because this crate reads neither environment nor files.
pub trait SecretSource {
    /// The environment variable of that name.
    fn env(&self, name: &str) -> Result<String, SecretError>;
    /// What the file holds.
    fn file(&self, path: &Utf8Path) -> Result<String, SecretError>;
}

/// A secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the environment variable {name} is not set")]
    NoEnv { name: String },
    #[error("cannot read the secret in {path}")]
    File {
        path: Utf8PathBuf,
        source: std::io::Error,
    },
}

impl SecretError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoEnv { name } => Some(format!("export {name} before you start kubexm")),
            Self::File { path, source } => match source.kind() {
                std::io::ErrorKind::NotFound => {
                    Some(format!("put it there, or correct {path} in the config"))
                }
                std::io::ErrorKind::PermissionDenied => {
                    Some(format!("whoever runs kubexm must be able to read {path}"))
                }
                _ => None,
            },
        }
    }
}

impl Secret {
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self::Plain(SecretString::from(text.into()))
    }

    /// The secret itself. One line end at the end of a file is not part of it.
    pub fn resolve(&self, lookup: &dyn SecretSource) -> Result<SecretString, SecretError> {
        match self {
            Self::Plain(text) => Ok(text.clone()),
            Self::Env(name) => lookup.env(name).map(SecretString::from),
            Self::File(path) => lookup.file(path).map(|text| {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                SecretString::from(text.strip_suffix('\r').unwrap_or(text).to_owned())
            }),
        }
    }

    /// Whether the text itself stands in the config.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Secret(***)"),
            Self::Env(name) => write!(f, "Secret(env {name})"),
            Self::File(path) => write!(f, "Secret(file {path})"),
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(a), Self::Plain(b)) => a.expose_secret() == b.expose_secret(),
            (Self::Env(a), Self::Env(b)) => a == b,
            (Self::File(a), Self::File(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Secret {}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Plain(String),
    Env { env: String },
    File { file: Utf8PathBuf },
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(deserializer)? {
            Written::Plain(text) => Self::plain(text),
            Written::Env { env } => Self::Env(env),
            Written::File { file } => Self::File(file),
        })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(_) => serializer.serialize_str("***"),
            Self::Env(name) => serializer.collect_map([("env", name.as_str())]),
            Self::File(path) => serializer.collect_map([("file", path.as_str())]),
        }
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The text itself, {env: NAME} for an environment variable, or {file: PATH} for what a file holds.",
            "writeOnly": true,
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "env": { "type": "string", "description": "Name of the environment variable." } },
                    "required": ["env"],
                    "additionalProperties": false,
                },
                {
                    "type": "object",
                    "properties": { "file": { "type": "string", "description": "Path of the file." } },
                    "required": ["file"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Kept;

    impl SecretSource for Kept {
        fn env(&self, name: &str) -> Result<String, SecretError> {
            Err(SecretError::NoEnv {
                name: name.to_owned(),
            })
        }

        fn file(&self, _: &Utf8Path) -> Result<String, SecretError> {
            Ok("hunter2\n".to_owned())
        }
    }

    #[test]
    fn a_secret_comes_from_where_it_is_kept_and_is_never_printed() {
        let plain = Secret::plain("hunter2");
        assert_eq!(plain.resolve(&Kept).unwrap().expose_secret(), "hunter2");
        assert_eq!(
            Secret::File("/x".into())
                .resolve(&Kept)
                .unwrap()
                .expose_secret(),
            "hunter2"
        );
        let error = Secret::Env("PW".to_owned()).resolve(&Kept).unwrap_err();
        assert_eq!(error.to_string(), "the environment variable PW is not set");
        assert_eq!(
            error.hint().as_deref(),
            Some("export PW before you start kubexm")
        );
        assert_eq!(
            format!("{plain:?} {}", serde_json::to_string(&plain).unwrap()),
            "Secret(***) \"***\""
        );
    }
}
