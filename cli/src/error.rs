//! Why a command did not succeed: said once, in one form, and turned into an exit code in one place.

use std::error::Error as StdError;
use std::io;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::output::Paint;

/// The end of a command that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{message}")]
    Usage {
        message: String,
        hint: Option<String>,
    },
    #[error("cannot read {path}")]
    Read {
        path: Utf8PathBuf,
        source: io::Error,
    },
    #[error("cannot write {path}")]
    Write {
        path: Utf8PathBuf,
        source: io::Error,
    },
    #[error("cannot write to stdout")]
    Stdout(#[from] io::Error),
    #[error("cannot start")]
    Runtime(#[source] io::Error),
}

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Failed = 1,
    Usage = 2,
    Unverified = 3,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The last line of `--output json`, if the command did not succeed.
#[derive(Debug, Serialize)]
pub struct ErrorEvent {
    event: &'static str,
    message: String,
    because: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    exit: u8,
}

impl Failure {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } => Exit::Usage,
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::Usage,
            Self::Read { .. } | Self::Write { .. } | Self::Stdout(_) | Self::Runtime(_) => {
                Exit::Failed
            }
        }
    }

    /// What to do about it.
    fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => hint.clone(),
            _ => None,
        }
    }

    /// Everything that is said about it on stderr.
    pub fn told(&self, paint: Paint) -> String {
        let mut text = format!("{} {self}", paint.bad("error:"));
        for cause in self.because() {
            text += &format!(
                "\n  {} {}",
                paint.dim("because:"),
                cause.replace('\n', "\n    ")
            );
        }
        if let Some(hint) = self.hint() {
            text += &format!("\n{} {hint}", paint.hint("hint:"));
        }
        text
    }

    pub fn event(&self) -> ErrorEvent {
        ErrorEvent {
            event: "error",
            message: self.to_string(),
            because: self.because(),
            hint: self.hint(),
            exit: self.exit() as u8,
        }
    }

    /// The chain of causes. One whose words are in the message before it already adds nothing.
    fn because(&self) -> Vec<String> {
        let mut said = self.to_string();
        let mut causes = Vec::new();
        let mut next = self.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !said.contains(&text) {
                causes.push(text.clone());
                said = text;
            }
            next = cause.source();
        }
        causes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_its_causes_and_one_hint() {
        let failure = Failure::Read {
            path: "config.yaml".into(),
            source: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        insta::assert_snapshot!(failure.told(Paint::Plain), @r"
        error: cannot read config.yaml
          because: permission denied
        ");
        assert_eq!(failure.exit(), Exit::Failed);
        let failure = Failure::Usage {
            message: "a.yaml is there".into(),
            hint: Some("name another".into()),
        };
        insta::assert_snapshot!(failure.told(Paint::Plain), @r"
        error: a.yaml is there
        hint: name another
        ");
    }
}
