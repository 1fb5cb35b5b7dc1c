//! How the program ends: each failure's exit code.

use std::io;
use std::process::ExitCode;

use artifact::{
    BaseError, BundleError, ExtractError, ImageSourceError, JourneyError, ParityError,
    SignatureError, Verdict,
};
use bundler::LockError;
use pipeline::PipelineError;

use super::Failure;

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

impl Failure {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Read { source, .. }
            | Self::Write { source, .. }
            | Self::Bundle(BundleError::Open { source, .. })
            | Self::Base(BaseError::Bundle(BundleError::Open { source, .. }))
            | Self::Journey(
                JourneyError::Read { source, .. } | JourneyError::Write { source, .. },
            )
            | Self::Parity(ParityError::Read { source, .. } | ParityError::Write { source, .. })
            | Self::Pipeline(
                PipelineError::Read { source, .. } | PipelineError::State { source, .. },
            ) if is_misnamed(source) => Exit::Usage,
            Self::Usage { .. }
            | Self::Base(BaseError::Unknown { .. } | BaseError::Read { .. })
            | Self::Extract(
                ExtractError::Unknown { .. }
                | ExtractError::Elsewhere { .. }
                | ExtractError::There(_),
            )
            | Self::Journey(
                JourneyError::Empty(_) | JourneyError::Name { .. } | JourneyError::Sign { .. },
            )
            | Self::Parity(
                ParityError::None(_) | ParityError::Several { .. } | ParityError::There(_),
            )
            | Self::Secretless(_)
            | Self::Config(_)
            | Self::Mirror(_)
            | Self::Secret(_)
            | Self::Sign { .. }
            | Self::Pipeline(
                PipelineError::Missing(_)
                | PipelineError::Retired(_)
                | PipelineError::Parting(_)
                | PipelineError::Changed(_)
                | PipelineError::Restart(_)
                | PipelineError::Access(_)
                | PipelineError::NoKubeconfig { .. }
                | PipelineError::NoRegistry
                | PipelineError::NotTheKeeper
                | PipelineError::NotOurs
                | PipelineError::NoEtcd
                | PipelineError::NoKeys { .. }
                | PipelineError::Recipient { .. }
                | PipelineError::Server(_),
            )
            | Self::Signature {
                source: SignatureError::Signers(_),
                ..
            }
            | Self::Images(
                ImageSourceError::Strange(_)
                | ImageSourceError::Nameless { .. }
                | ImageSourceError::Absent { .. },
            ) => Exit::Usage,
            Self::Images(ImageSourceError::Damaged { .. })
            | Self::Extract(ExtractError::Image { .. })
            | Self::Signature { .. }
            | Self::Pipeline(PipelineError::Snapshot { .. }) => Exit::Unverified,
            Self::Read { .. }
            | Self::Write { .. }
            | Self::DamagedTree { .. }
            | Self::Stdout(_)
            | Self::Start(_)
            | Self::Yaml(_)
            | Self::Space(_)
            | Self::Extract(ExtractError::Write { .. })
            | Self::Awaiting { .. }
            | Self::Images(_)
            | Self::Pipeline(_) => Exit::Failed,
            Self::Bundle(error)
            | Self::Base(BaseError::Bundle(error))
            | Self::Extract(ExtractError::Bundle(error)) => by(error.verdict()),
            Self::Journey(error) => by(error.verdict()),
            Self::Parity(error) => by(error.verdict()),
            Self::Making(error) => making(error),
            Self::Summed(failure) => failure.exit(),
            Self::Told(exit) => *exit,
        }
    }
}

const fn by(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Refused => Exit::Unverified,
        Verdict::Io => Exit::Failed,
        Verdict::Cancelled => Exit::Interrupted,
    }
}

/// Whether another name, place or permission mends it; then nothing was touched yet.
fn is_misnamed(error: &io::Error) -> bool {
    use io::ErrorKind::{
        InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem,
    };
    matches!(
        error.kind(),
        NotFound
            | IsADirectory
            | NotADirectory
            | PermissionDenied
            | ReadOnlyFilesystem
            | InvalidInput
    )
}

fn making(error: &bundler::BundleError) -> Exit {
    use bundler::BundleError::{Lock, Output, Resolve};
    match error {
        error if error.is_interrupted() => Exit::Interrupted,
        Resolve(_)
        | Output(_)
        | Lock(
            LockError::Absent { .. }
            | LockError::Malformed { .. }
            | LockError::TooNew { .. }
            | LockError::OtherCluster { .. },
        ) => Exit::Usage,
        error if error.is_unverified() => Exit::Unverified,
        _ => Exit::Failed,
    }
}
