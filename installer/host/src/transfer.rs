//! The upload contract as one script and one stream: the bytes, then their digest.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::blocking::blocking;
use crate::exec::{Input, Limit};
use crate::{Command, FileAttrs, HostError, Output, Source, quote};

/// Large enough that neither the disk nor the channel is asked often.
const PIECE: usize = 256 << 10;
/// Pieces read ahead of the network.
const AHEAD: usize = 4;

const CUT: u32 = 70;
const DAMAGED: u32 = 71;
/// How far below the slowest reasonable disk: syncing and hashing happen in silence.
const SLOWEST_BYTES_PER_SECOND: u64 = 10 << 20;
const PATIENCE: Duration = Duration::from_mins(2);

/// An upload, ready to be run by any host.
pub(crate) struct Transfer {
    pub(crate) command: Command,
    pub(crate) input: Input,
    pub(crate) limit: Limit,
    to: Utf8PathBuf,
    expected: ExpectedDigest,
}

type ExpectedDigest = std::sync::Arc<std::sync::OnceLock<String>>;

impl Transfer {
    /// Opens the source and starts to read it ahead.
    pub(crate) async fn new(
        source: &Source,
        to: &Utf8Path,
        attrs: &FileAttrs,
        progress: &Progress,
    ) -> Result<Self, HostError> {
        let command = |size| Ok(Command::script(script(to, attrs, size)?).as_root());
        let expected = ExpectedDigest::default();
        let (size, command, input) = match source {
            Source::Bytes(bytes) => {
                let size = bytes.len() as u64;
                let command = command(size)?;
                (
                    size,
                    command,
                    stream(Reader::Bytes(bytes.clone()), size, &expected, progress),
                )
            }
            Source::File(path) => {
                let (file, size) = open(path.clone()).await?;
                let command = command(size)?;
                let reader = Reader::File {
                    path: path.clone(),
                    file,
                };
                (size, command, stream(reader, size, &expected, progress))
            }
        };
        let limit = Limit::Idle(PATIENCE + Duration::from_secs(size / SLOWEST_BYTES_PER_SECOND));
        Ok(Self {
            command,
            input,
            limit,
            to: to.to_owned(),
            expected,
        })
    }

    /// Takes the parts that run from those that judge the result.
    pub(crate) fn split(self) -> (Command, Input, Limit, Verdict) {
        (
            self.command,
            self.input,
            self.limit,
            Verdict {
                to: self.to,
                expected: self.expected,
            },
        )
    }
}

/// Tells what the end of the script means.
pub(crate) struct Verdict {
    to: Utf8PathBuf,
    expected: ExpectedDigest,
}

impl Verdict {
    pub(crate) fn on(self, output: &Output) -> Result<(), HostError> {
        let why = output.last_words();
        let no_space = ["No space left on device", "Disk quota exceeded"];
        match output.status {
            0 => Ok(()),
            DAMAGED => Err(HostError::Damaged {
                path: self.to,
                expected: self.expected.get().cloned().unwrap_or_default(),
                found: output.text(),
            }),
            _ if no_space.iter().any(|words| why.contains(words)) => {
                Err(HostError::NoSpace { path: self.to, why })
            }
            CUT => Err(HostError::Upload {
                path: self.to,
                why: "it was cut on the way".to_owned(),
            }),
            status if why.is_empty() => Err(HostError::Upload {
                path: self.to,
                why: format!("exit status {status}"),
            }),
            _ => Err(HostError::Upload { path: self.to, why }),
        }
    }
}

/// Reads `size` bytes and then a line with their digest; the file is renamed only if both agree. Until then it is
/// readable to its owner alone, and it goes away with the script.
fn script(to: &Utf8Path, attrs: &FileAttrs, size: u64) -> Result<String, HostError> {
    let bad = |why: &str| HostError::Upload {
        path: to.to_owned(),
        why: why.to_owned(),
    };
    let (Some(dir), Some(name)) = (to.parent(), to.file_name()) else {
        return Err(bad("it names no file"));
    };
    if !to.is_absolute() {
        return Err(bad("the path is not absolute"));
    }
    // A file name has at most 255 bytes, and this one gets longer.
    let mut length = name.len().min(200);
    while !name.is_char_boundary(length) {
        length -= 1;
    }
    let owner = format!("{}:{}", attrs.owner.user, attrs.owner.group);
    Ok(format!(
        "umask 022\n\
         mkdir -p -- {dir} || exit\n\
         umask 077\n\
         part=$(mktemp -- {template}) || exit\n\
         trap 'rm -f -- \"$part\"' EXIT\n\
         trap 'exit {CUT}' HUP INT PIPE TERM\n\
         dd of=\"$part\" bs=1M count={size} iflag=fullblock,count_bytes conv=fsync,notrunc status=none || exit\n\
         read -r expected || exit {CUT}\n\
         found=$(sha256sum < \"$part\") || exit\n\
         found=${{found%% *}}\n\
         [ \"$found\" = \"$expected\" ] || {{ echo \"$found\"; exit {DAMAGED}; }}\n\
         chown -- {owner} \"$part\" && chmod {mode:o} \"$part\" && mv -fT -- \"$part\" {to}",
        dir = quote(dir.as_str()),
        template = quote(
            dir.join(format!(".kubexm-{}.XXXXXXXX", &name[..length]))
                .as_str()
        ),
        owner = quote(&owner),
        mode = attrs.mode,
        to = quote(to.as_str()),
    ))
}

async fn open(path: Utf8PathBuf) -> Result<(File, u64), HostError> {
    blocking(move || {
        let failed = |e: std::io::Error| HostError::Source {
            path: path.clone(),
            why: e.to_string(),
        };
        let file = File::open(&path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(HostError::Source {
                path,
                why: "it is not a regular file".to_owned(),
            });
        }
        Ok((file, meta.len()))
    })
    .await
}

enum Reader {
    Bytes(Bytes),
    File { path: Utf8PathBuf, file: File },
}

impl Reader {
    fn next(&mut self, at_most: usize) -> Result<Bytes, HostError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.split_to(at_most.min(bytes.len()))),
            Self::File { path, file } => {
                let mut piece = BytesMut::zeroed(at_most);
                let mut filled = 0;
                while filled < at_most {
                    match file.read(&mut piece[filled..]) {
                        Ok(0) => break,
                        Ok(more) => filled += more,
                        Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                        Err(e) => {
                            return Err(HostError::Source {
                                path: path.clone(),
                                why: e.to_string(),
                            });
                        }
                    }
                }
                piece.truncate(filled);
                if piece.is_empty() {
                    let why = "it shrank while it was read".to_owned();
                    return Err(HostError::Source {
                        path: path.clone(),
                        why,
                    });
                }
                Ok(piece.freeze())
            }
        }
    }
}

/// Reads and hashes in a thread of its own, a few pieces ahead of whoever takes them.
fn stream(mut reader: Reader, size: u64, expected: &ExpectedDigest, progress: &Progress) -> Input {
    let (pieces, input) = mpsc::channel(AHEAD);
    let (expected, progress) = (expected.clone(), progress.clone());
    tokio::task::spawn_blocking(move || {
        let mut digest = Sha256::new();
        let mut left = size;
        while left > 0 {
            let at_most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let piece = reader.next(at_most);
            let length = piece.as_ref().map_or(0, Bytes::len) as u64;
            if let Ok(bytes) = &piece {
                digest.update(bytes);
            }
            // Nobody takes it any more where the upload has failed.
            if pieces.blocking_send(piece).is_err() || length == 0 {
                return;
            }
            left -= length;
            progress.add(length);
        }
        let digest = hex::encode(digest.finalize());
        let line = Bytes::from(format!("{digest}\n"));
        // Only this upload sets it, and only here.
        let _ = expected.set(digest);
        let _ = pieces.blocking_send(Ok(line));
    });
    Input::Stream(input)
}
