//! A connection to a machine. Knows no Kubernetes.
//!
//! [`Host`] is all that the layers above see; [`ssh`], [`local`] and [`fake`] are its kinds. The far side is POSIX sh
//! with coreutils: arguments are quoted in [`Command`] and nowhere else, sudo happens inside a host and nowhere else.

mod blocking;
mod command;
mod error;
mod exec;
mod facts;
pub mod fake;
mod first_of;
pub mod local;
mod probe;
mod questions;
mod read;
mod recorded;
mod redact;
mod shell;
pub mod ssh;
mod transfer;
mod upload;
mod words;

use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8Path;
use event::Progress;

pub use command::{Command, Output, Privilege, quote};
pub use error::HostError;
pub use facts::{Cgroup, Disk, Facts};
pub use first_of::FirstOf;
pub use read::{command as reading, contents as content};
pub use recorded::Recorded;
pub use redact::Redactor;
pub use upload::{FileAttrs, Owner, Source};

/// A machine on which commands run and to which files go.
#[async_trait]
pub trait Host: Send + Sync {
    /// The name from the config.
    fn name(&self) -> &str;

    /// Runs a command to its end. A non-zero status is an [`Output`], not an error: an error means that the command's
    /// fate is unknown or that it never ran.
    async fn run(&self, command: &Command) -> Result<Output, HostError>;

    /// Puts a file in place, whole or not at all: streamed to a temporary name on the target file system, synced,
    /// its SHA-256 compared there, mode and owner set, renamed. A running program is replaced by the rename.
    async fn upload(
        &self,
        source: &Source,
        to: &Utf8Path,
        attrs: &FileAttrs,
        progress: &Progress,
    ) -> Result<(), HostError>;

    /// The bytes of a small file; none if there is no such file.
    async fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, HostError>;

    /// Runs commands that are questions ([`Command::is_question`]) one after another, in one round trip where the host can do
    /// that. Each is answered as if it had been asked alone.
    async fn ask(&self, questions: &[Command]) -> Result<Vec<Output>, HostError> {
        let mut answers = Vec::with_capacity(questions.len());
        for question in questions {
            answers.push(self.run(question).await?);
        }
        Ok(answers)
    }

    /// What the machine is. Gathered once per connection.
    async fn facts(&self) -> Result<Arc<Facts>, HostError>;

    /// How this machine reaches a TCP port of the host: as SSH does.
    async fn way_to(&self, _port: u16) -> Result<Way, HostError> {
        Ok(Way::Direct)
    }
}

/// How this machine reaches a port of a host.
#[derive(Debug)]
pub enum Way {
    /// At the host's own address.
    Direct,
    /// Behind a bastion: at a loopback address, as long as this lives.
    Through(ssh::Forward),
}
