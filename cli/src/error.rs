//! Why a command did not succeed: said once, in one form, and turned into an exit code in one place.

mod event;
mod exit;

use std::error::Error as StdError;
use std::io;

use artifact::{
    BaseError, BundleError, ContentsError, ExtractError, ImageSourceError, JourneyError,
    ParityError, SignError, SignatureError, SpaceError,
};
use bundler::mirror::MirrorError;
use camino::{Utf8Path, Utf8PathBuf};
use cluster::{Problems, SecretError, WriteError};

use pipeline::PipelineError;

pub use event::{ErrorEvent, ProblemEntry, words};
pub use exit::Exit;

use crate::output::harmless::lines;
use crate::output::{Paint, problem};

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
    #[error("cannot use {path}")]
    DamagedTree {
        path: Utf8PathBuf,
        source: ContentsError,
    },
    #[error("cannot write to stdout")]
    Stdout(#[from] io::Error),
    #[error("cannot start")]
    Start(#[source] io::Error),
    #[error("{0}")]
    Config(Box<Problems>),
    #[error(transparent)]
    Yaml(#[from] WriteError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Base(#[from] BaseError),
    #[error(transparent)]
    Images(#[from] ImageSourceError),
    #[error(transparent)]
    Extract(#[from] ExtractError),
    #[error(transparent)]
    Journey(#[from] JourneyError),
    #[error(transparent)]
    Parity(#[from] ParityError),
    #[error(transparent)]
    Space(#[from] SpaceError),
    #[error("{path}: {source}")]
    Signature {
        path: Utf8PathBuf,
        source: SignatureError,
    },
    #[error(transparent)]
    Making(Box<bundler::BundleError>),
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("{path}: {source}")]
    Sign {
        path: Utf8PathBuf,
        source: SignError,
    },
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// There is no way to log in with the config of a bundle.
    #[error(transparent)]
    Secretless(PipelineError),
    /// What has come is unpacked; hosts are not touched.
    #[error("of {of} segments there are still to come: {missing}")]
    Awaiting { missing: String, of: usize },
    /// The run's own summary has told it; who reads events finds it in the last line.
    #[error(transparent)]
    Summed(Box<Failure>),
    /// The run's own summary has told it all.
    #[error("the run did not end well")]
    Told(Exit),
}

impl Failure {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Summed(failure) => failure.hint(),
            Self::Usage { hint, .. } => hint.clone(),
            Self::Read { source, .. }
            | Self::Bundle(BundleError::Open { source, .. })
            | Self::Base(BaseError::Read { source, .. })
            | Self::Journey(JourneyError::Read { source, .. })
            | Self::Parity(ParityError::Read { source, .. }) => unreadable(source),
            Self::Write { path, source }
            | Self::Extract(ExtractError::Write { path, source })
            | Self::Journey(JourneyError::Write { path, source })
            | Self::Parity(ParityError::Write { path, source })
            | Self::Pipeline(PipelineError::State { path, source }) => unwritable(path, source),
            Self::DamagedTree {
                source: source @ (ContentsError::Newer(_) | ContentsError::Requires(_)),
                ..
            } => Some(source.hint().to_owned()),
            Self::DamagedTree { .. } => {
                Some("kubexm install BUNDLE writes it anew; of hosts nothing is lost".to_owned())
            }
            Self::Awaiting { .. } => Some(
                "put in the next medium, and give the same command its file: what has come is unpacked, and stays".to_owned(),
            ),
            Self::Secretless(_) => {
                Some("a bundle carries no secret: give the site's config with -f".to_owned())
            }
            Self::Bundle(error) => error.hint(),
            Self::Extract(error) => error.hint(),
            Self::Journey(error) => error.hint(),
            Self::Parity(error) => error.hint(),
            Self::Base(error) => error.hint(),
            Self::Space(SpaceError::Short { .. }) => {
                Some("free some space, or choose another place with --work-dir".to_owned())
            }
            Self::Space(SpaceError::FileTooLarge { .. }) => {
                Some("choose another place with --work-dir: FAT keeps no modes either".to_owned())
            }
            Self::Signature { source, .. } => source.hint(),
            Self::Images(error) => error.hint(),
            Self::Making(error) => error.hint(),
            Self::Pipeline(error) => error.hint(),
            Self::Mirror(error) => error.hint(),
            Self::Secret(error) => error.hint(),
            Self::Sign { source: SignError::Locked, .. } => {
                Some("export KUBEXM_SIGN_PASSPHRASE before you start kubexm".to_owned())
            }
            Self::Sign { source, .. } => source.hint(),
            Self::Stdout(_)
            | Self::Start(_)
            // Each problem of a config has a hint of its own.
            | Self::Config(_)
            | Self::Yaml(_)
            | Self::Space(_)
            | Self::Told(_) => None,
        }
    }

    /// Everything that is said about it on stderr.
    pub fn told(&self, paint: Paint) -> String {
        if let Self::Config(problems) = self {
            return problem(&problems.render(), paint);
        }
        let because = self.because().into_iter().map(|cause| {
            format!(
                "  {} {}",
                paint.dim("because:"),
                lines(&cause).replace('\n', "\n    ")
            )
        });
        let hint = self.hint().map(|hint| {
            format!(
                "{} {}",
                paint.hint("hint:"),
                lines(&hint).replace('\n', "\n      ")
            )
        });
        let words = self.to_string();
        let said = lines(&words);
        let told = [format!("{} {said}", paint.bad("error:"))]
            .into_iter()
            .chain(because)
            .chain(hint);
        told.collect::<Vec<_>>().join("\n")
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

fn unreadable(error: &io::Error) -> Option<String> {
    let hint = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            "a path without / at its beginning starts in the current directory"
        }
        io::ErrorKind::IsADirectory => "name a file in it",
        io::ErrorKind::PermissionDenied => "whoever runs kubexm must be able to read it",
        io::ErrorKind::InvalidInput => "name a file or a pipe",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn unwritable(path: &Utf8Path, error: &io::Error) -> Option<String> {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => match path.parent() {
            Some(dir) if dir != "" => return Some(format!("make it first: mkdir -p {dir}")),
            _ => return None,
        },
        io::ErrorKind::NotADirectory => "a part of this path is a file: name another place",
        io::ErrorKind::IsADirectory => "name a file in it",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "name a place where you may write"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

impl From<bundler::BundleError> for Failure {
    fn from(error: bundler::BundleError) -> Self {
        Self::Making(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_content_from_upstream_is_a_failed_verification() {
        let failed = |fault| {
            let failed = bundler::Failed {
                title: "runc v1.3.3 for amd64".into(),
                error: "https://example.com/runc: wrong content".into(),
                hint: None,
                fault,
            };
            Failure::from(bundler::BundleError::Fetch(vec![failed])).exit()
        };
        assert_eq!(failed(bundler::Fault::Integrity), Exit::Unverified);
        assert_eq!(failed(bundler::Fault::Other), Exit::Failed);
    }

    #[test]
    fn no_name_of_a_file_reaches_the_terminal_as_a_command() {
        let failure = Failure::Usage {
            message: "a\u{1b}[2Jb.yaml is there".into(),
            hint: None,
        };
        assert_eq!(
            failure.told(Paint::Plain),
            "error: a\\u{1b}[2Jb.yaml is there"
        );
    }

    #[test]
    fn an_error_its_causes_and_one_hint() {
        let failure = Failure::Read {
            path: "config.yaml".into(),
            source: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        insta::assert_snapshot!(failure.told(Paint::Plain), @r"
        error: cannot read config.yaml
          because: permission denied
        hint: whoever runs kubexm must be able to read it
        ");
        assert_eq!(failure.exit(), Exit::Usage);
        let failure = Failure::Usage {
            message: "a.yaml is there".into(),
            hint: Some("name another\nor remove it".into()),
        };
        insta::assert_snapshot!(failure.told(Paint::Plain), @r"
        error: a.yaml is there
        hint: name another
              or remove it
        ");
    }
}
