use std::error::Error;
use std::io;

use camino::Utf8PathBuf;
use engine::StepError;
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use super::Keeper;

/// What a registry says in an answer is cut there; it is for people.
const WORDS_LIMIT: usize = 300;
/// ENOSPC, as the registry's Go code prints an error of the file system into its answer.
const NO_SPACE: &str = "\"Err\":28";

/// Why the site's registry did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("the registry {url} cannot be used: {why}")]
    Unusable { url: String, why: String },
    #[error("cannot reach the registry {registry}: {why}")]
    Unreachable { registry: String, why: String },
    #[error("the certificate of the registry {registry} is not trusted: {why}")]
    Untrusted { registry: String, why: String },
    #[error("the connection to the registry {registry} broke: {why}")]
    Broken { registry: String, why: String },
    #[error("the registry {registry} has not moved for {seconds} s")]
    Silent { registry: String, seconds: u64 },
    #[error("the registry {registry} refused the credentials")]
    Credentials { registry: String },
    /// The same of one that kubexm does not look after.
    #[error("the registry {registry} refused the login: {words}")]
    Login { registry: String, words: String },
    #[error("the token of the registry {registry} ended during an upload")]
    Expired { registry: String },
    #[error("the registry {registry} sends logins to {realm}: {why}")]
    Realm {
        registry: String,
        realm: String,
        why: String,
    },
    #[error("the registry {registry} has no project for {what}: {words}")]
    NoProject {
        registry: String,
        what: String,
        words: String,
    },
    #[error("the registry {registry} does not allow {what} to be pushed: {words}")]
    Forbidden {
        registry: String,
        what: String,
        words: String,
    },
    #[error("the registry {registry} refused {what} as too large")]
    TooLarge { registry: String, what: String },
    #[error("the registry {registry} has no space left for {what}")]
    NoSpace { registry: String, what: String },
    #[error("the registry {registry} has lost the upload of {what}")]
    Lost { registry: String, what: String },
    #[error("{what} arrived at the registry {registry} with another digest")]
    Damaged { registry: String, what: String },
    #[error("the registry {registry} answered {status} to {what}: {words}")]
    Answer {
        registry: String,
        what: String,
        status: StatusCode,
        words: String,
    },
    #[error("the registry {registry} sends uploads to {location}, which is not itself")]
    Elsewhere { registry: String, location: String },
    #[error("cannot read {path}: {why}")]
    Read { path: Utf8PathBuf, why: io::Error },
}

impl RegistryError {
    /// The request got no answer.
    pub fn unanswered(registry: String, error: &reqwest::Error) -> Self {
        let why = innermost(error);
        if why.contains("invalid peer certificate") {
            Self::Untrusted { registry, why }
        } else if error.is_connect() {
            Self::Unreachable { registry, why }
        } else {
            Self::Broken { registry, why }
        }
    }

    /// The answer was not the one hoped for.
    /// `known`: the account itself was taken, and so it is its rights that do not do.
    pub async fn refused(
        registry: String,
        what: String,
        answer: Response,
        keeper: &Keeper,
        known: bool,
    ) -> Self {
        let status = answer.status();
        let body = answer.text().await.unwrap_or_default();
        let said = Said::of(&body);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND if said.lacks_project() => {
                Self::NoProject {
                    registry,
                    what,
                    words: said.words,
                }
            }
            StatusCode::UNAUTHORIZED if known || said.knows_who() => Self::Forbidden {
                registry,
                what,
                words: said.words,
            },
            StatusCode::UNAUTHORIZED => match keeper {
                Keeper::Kubexm { .. } => Self::Credentials { registry },
                Keeper::Others => Self::Login {
                    registry,
                    words: said.words,
                },
            },
            StatusCode::FORBIDDEN => Self::Forbidden {
                registry,
                what,
                words: said.words,
            },
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge { registry, what },
            StatusCode::INSUFFICIENT_STORAGE => Self::NoSpace { registry, what },
            _ if status.is_server_error() && said.no_space => Self::NoSpace { registry, what },
            StatusCode::BAD_REQUEST if said.code == "DIGEST_INVALID" => {
                Self::Damaged { registry, what }
            }
            // It was started anew meanwhile.
            StatusCode::NOT_FOUND if said.code == "BLOB_UPLOAD_UNKNOWN" => {
                Self::Lost { registry, what }
            }
            _ => Self::Answer {
                registry,
                what,
                status,
                words: said.words,
            },
        }
    }

    /// Whether trying again may help without anybody changing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Silent { .. }
            | Self::Expired { .. }
            | Self::Lost { .. } => true,
            Self::Answer { status, .. } => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
                    )
            }
            _ => false,
        }
    }

    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreachable { .. } => {
                "is the registry's service running, and may this machine reach its port?".to_owned()
            }
            Self::Untrusted { .. } => {
                "is it the site's registry that answers there, under a name or address of its certificate?"
                    .to_owned()
            }
            Self::Credentials { .. } => {
                "the registry reads them from its htpasswd file; running `install` again puts ours there".to_owned()
            }
            Self::Login { .. } => {
                "username and password stand in registry.auths, under the registry's name".to_owned()
            }
            Self::Realm { .. } => {
                "a login goes to no address without TLS; the registry's administrator can say which address gives its tokens"
                    .to_owned()
            }
            Self::NoProject { .. } => {
                "kubexm makes no projects: create it in the registry, or name one that is there in registry.namespaceOverride"
                    .to_owned()
            }
            Self::Elsewhere { .. } => {
                "behind a proxy a registry must be told its own address: in Harbor external_url, in distribution http.host"
                    .to_owned()
            }
            Self::Forbidden { .. } => "the user needs the right to push".to_owned(),
            Self::TooLarge { .. } => {
                "raise the limit for request bodies of the proxy in front of the registry".to_owned()
            }
            Self::NoSpace { .. } => {
                "free space where the registry keeps its images and run again".to_owned()
            }
            Self::Damaged { .. } => {
                "the file in the tree may be damaged: remove it and run `install` with the bundle again".to_owned()
            }
            _ => return None,
        })
    }
}

impl From<RegistryError> for StepError {
    fn from(error: RegistryError) -> Self {
        let what = error.to_string();
        let step = if error.may_pass() {
            Self::passing(what)
        } else {
            Self::new(what)
        };
        match error.hint() {
            Some(hint) => step.with_hint(hint),
            None => step,
        }
    }
}

/// The last cause: the ones around it say only that a request was made.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The error body of the distribution API.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

struct Said {
    code: String,
    words: String,
    no_space: bool,
}

impl Said {
    /// As Harbor says it, which has to be told of each first part of a name before anything is put there.
    fn lacks_project(&self) -> bool {
        self.words.starts_with("project ") && self.words.contains("not found")
    }

    /// As Harbor says it of an account that it knows.
    fn knows_who(&self) -> bool {
        self.words.starts_with("unauthorized to access repository")
    }

    fn of(body: &str) -> Self {
        let no_space = body.contains("no space left on device") || body.contains(NO_SPACE);
        let first = serde_json::from_str::<Errors>(body)
            .ok()
            .and_then(|body| body.errors.into_iter().next());
        let (code, words) = match first {
            Some(OneError { code, message }) => (code, message),
            None => (String::new(), body.trim().to_owned()),
        };
        let words = words.chars().take(WORDS_LIMIT).collect();
        Self {
            code,
            words,
            no_space,
        }
    }
}
