//! Digests of what streams by, and of what lies there.

use std::fs::File;
use std::io::{self, Read};

use artifact::Sha256;
use camino::Utf8Path;
use sha2::Digest as _;

use super::FetchError;
use super::part::blocking;
use super::published::Digest;

/// The running digests of a stream. SHA-256 always; SHA-512 only where upstream publishes nothing else.
#[derive(Clone, Default)]
pub(crate) struct Digests {
    sha256: sha2::Sha256,
    sha512: Option<sha2::Sha512>,
    len: u64,
}

/// The digests of a whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) sha256: Sha256,
    sha512: Option<Digest>,
    pub(crate) len: u64,
}

impl Digests {
    pub(crate) fn wanted_by(expected: Option<&Digest>) -> Self {
        let sha512 = matches!(expected, Some(Digest::Sha512(_))).then(sha2::Sha512::new);
        Self {
            sha512,
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(bytes);
        }
        self.len += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    }

    fn read(&mut self, mut from: impl Read) -> io::Result<()> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => self.update(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    pub(crate) fn finish(self) -> Sums {
        let sha512 = self
            .sha512
            .map(|hasher| Digest::Sha512(Box::new(hasher.finalize().into())));
        Sums {
            sha256: Sha256::from(self.sha256),
            sha512,
            len: self.len,
        }
    }
}

impl Sums {
    /// The digest of the kind that is compared with.
    pub(crate) fn like(&self, expected: &Digest) -> Digest {
        match (expected, &self.sha512) {
            (Digest::Sha512(_), Some(sha512)) => sha512.clone(),
            _ => Digest::Sha256(self.sha256),
        }
    }
}

/// Hashes a file that may be there.
pub(crate) async fn digests_of(
    path: &Utf8Path,
    start: Digests,
) -> Result<Option<Digests>, FetchError> {
    let path = path.to_owned();
    blocking(move || {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(FetchError::io("read", &path, &e)),
        };
        let mut digests = start;
        digests
            .read(file)
            .map_err(|e| FetchError::io("read", &path, &e))?;
        Ok(Some(digests))
    })
    .await
}
