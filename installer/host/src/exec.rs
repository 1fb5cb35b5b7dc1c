//! What is common to running a command anywhere: what it reads, how long it may take, what is kept of its output.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::HostError;

/// More output than this is a mistake, not an answer.
pub(crate) const OUTPUT_LIMIT: usize = 16 << 20;

/// What is said of such a command.
pub(crate) fn too_long() -> String {
    format!(
        "it is longer than {} MiB, so the command was ended",
        OUTPUT_LIMIT >> 20
    )
}

/// What a command reads.
pub(crate) enum Input {
    Nothing,
    Bytes(Bytes),
    /// Pieces as they come; an error in between ends the command without the end of its input.
    Stream(mpsc::Receiver<Result<Bytes, HostError>>),
}

impl Input {
    /// The next piece; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, HostError>> {
        match self {
            Self::Nothing => None,
            Self::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                (!bytes.is_empty()).then_some(Ok(bytes))
            }
            Self::Stream(pieces) => pieces.recv().await,
        }
    }
}

/// How long to wait for a command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// From its start to its end.
    Total(Duration),
    /// Since it last read or wrote something.
    Idle(Duration),
}

impl Limit {
    pub(crate) fn duration(self) -> Duration {
        match self {
            Self::Total(limit) | Self::Idle(limit) => limit,
        }
    }
}

/// Collects one stream of output, dropping what comes before a mark.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    bytes: Vec<u8>,
}

impl Collector {
    /// Takes more output; false when it is too much.
    #[must_use]
    pub(crate) fn push(&mut self, more: &[u8]) -> bool {
        if self.bytes.len() + more.len() > OUTPUT_LIMIT {
            return false;
        }
        self.bytes.extend_from_slice(more);
        true
    }

    /// Removes everything up to and including the mark; false if it is not there.
    #[must_use]
    pub(crate) fn cut_through(&mut self, mark: &str) -> bool {
        let end = self.find(mark).map(|at| at + mark.len());
        self.bytes.drain(..end.unwrap_or(0));
        end.is_some()
    }

    /// Removes everything up to and including the line that the mark begins, and gives what follows the mark in it; none
    /// while there is no such whole line.
    pub(crate) fn cut_through_line(&mut self, mark: &str) -> Option<String> {
        let start = self.find(mark)? + mark.len();
        let length = self.bytes[start..].iter().position(|byte| *byte == b'\n')?;
        let rest = String::from_utf8_lossy(&self.bytes[start..start + length]).into_owned();
        self.bytes.drain(..=start + length);
        Some(rest)
    }

    fn find(&self, mark: &str) -> Option<usize> {
        self.bytes
            .windows(mark.len())
            .position(|window| window == mark.as_bytes())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_across_pieces() {
        let mut collector = Collector::default();
        assert!(collector.push(b"lecture\nMA"));
        assert!(!collector.cut_through("MARK"));
        assert!(collector.push(b"RKrest"));
        assert!(collector.cut_through("MARK"));
        assert_eq!(collector.into_bytes(), b"rest");
    }

    #[test]
    fn a_marked_line_is_taken_whole_or_not_at_all() {
        let mut collector = Collector::default();
        assert!(collector.push(b"noise\nMARK 12"));
        assert_eq!(collector.cut_through_line("MARK "), None);
        assert!(collector.push(b"34\nrest"));
        assert_eq!(collector.cut_through_line("MARK ").as_deref(), Some("1234"));
        assert_eq!(collector.into_bytes(), b"rest");
    }

    #[test]
    fn endless_output_is_noticed() {
        let mut collector = Collector::default();
        let piece = vec![0; OUTPUT_LIMIT];
        assert!(collector.push(&piece));
        assert!(!collector.push(b"x"));
    }
}
