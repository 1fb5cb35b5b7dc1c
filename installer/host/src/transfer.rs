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
use crate::{Command, FileAttrs, HostError, Output, Source, quote, words};

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
        let full = ["No space left on device", "Disk quota exceeded"];
        let full = full.iter().find(|words| why.contains(*words));
        match output.status {
            0 => Ok(()),
            _ if let Some(words) = full => Err(HostError::NoSpace {
                path: self.to,
                why: words.to_lowercase(),
            }),
            DAMAGED => Err(HostError::Damaged {
                path: self.to,
                expected: self.expected.get().cloned().unwrap_or_default(),
                found: output.text(),
            }),
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
///
/// The digest is computed beside the writing; where the writing fails, a word too many lets it fail as well. openssl is
/// asked first: it uses the processor's instructions for SHA-256, which makes it five times as fast.
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
         digest() {{ openssl dgst -sha256 -r 2>/dev/null || sha256sum; }}\n\
         found=$(dd bs=1M count={size} iflag=fullblock,count_bytes status=none \
         | {{ tee -- \"$part\" || echo cut; }} | digest) || exit\n\
         read -r expected || exit {CUT}\n\
         found=${{found%% *}}\n\
         [ \"$found\" = \"$expected\" ] || {{ echo \"$found\"; exit {DAMAGED}; }}\n\
         sync -- \"$part\" && chown -- {owner} \"$part\" && chmod {mode:o} \"$part\" && mv -fT -- \"$part\" {to}",
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
            why: words::io(&e),
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
                                why: words::io(&e),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::LocalHost;
    use crate::{Host, Owner, Redactor};

    fn verdict(status: u32, stdout: &str, stderr: &str) -> String {
        let expected = ExpectedDigest::default();
        expected.set("abc".to_owned()).unwrap();
        let verdict = Verdict {
            to: "/etc/file".into(),
            expected,
        };
        let output = Output {
            status,
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        verdict.on(&output).unwrap_err().to_string()
    }

    #[test]
    fn the_end_of_the_script_is_understood() {
        insta::assert_snapshot!(verdict(DAMAGED, "def\n", ""), @"/etc/file arrived damaged: expected SHA-256 abc, the host computed def");
        insta::assert_snapshot!(verdict(DAMAGED, "def", "tee: /etc/x: No space left on device"), @"no space for /etc/file: no space left on device");
        insta::assert_snapshot!(verdict(1, "", "mkdir: cannot create directory: Disk quota exceeded"), @"no space for /etc/file: disk quota exceeded");
        insta::assert_snapshot!(verdict(CUT, "", ""), @"cannot put /etc/file in place: it was cut on the way");
        insta::assert_snapshot!(verdict(1, "", "chown: invalid user"), @"cannot put /etc/file in place: chown: invalid user");
        insta::assert_snapshot!(verdict(137, "", ""), @"cannot put /etc/file in place: exit status 137");
    }

    #[test]
    fn the_script_of_an_upload() {
        let attrs = FileAttrs {
            mode: 0o640,
            owner: Owner {
                user: "etcd".into(),
                group: "etcd".into(),
            },
        };
        insta::assert_snapshot!(script("/etc/it's/a file".into(), &attrs, 7).unwrap(), @r#"
        umask 022
        mkdir -p -- '/etc/it'\''s' || exit
        umask 077
        part=$(mktemp -- '/etc/it'\''s/.kubexm-a file.XXXXXXXX') || exit
        trap 'rm -f -- "$part"' EXIT
        trap 'exit 70' HUP INT PIPE TERM
        digest() { openssl dgst -sha256 -r 2>/dev/null || sha256sum; }
        found=$(dd bs=1M count=7 iflag=fullblock,count_bytes status=none | { tee -- "$part" || echo cut; } | digest) || exit
        read -r expected || exit 70
        found=${found%% *}
        [ "$found" = "$expected" ] || { echo "$found"; exit 71; }
        sync -- "$part" && chown -- etcd:etcd "$part" && chmod 640 "$part" && mv -fT -- "$part" '/etc/it'\''s/a file'
        "#);
    }

    #[test]
    fn names_grow_no_longer_than_file_systems_allow() {
        let name = "ü".repeat(127);
        let script = script(
            &Utf8Path::new("/tmp").join(name),
            &FileAttrs::root(0o644),
            0,
        )
        .unwrap();
        let template = script
            .split(".kubexm-")
            .nth(1)
            .unwrap()
            .split(".XXXXXXXX")
            .next()
            .unwrap();
        assert!(template.len() <= 200 && template.chars().all(|letter| letter == 'ü'));
    }

    /// What a host does with a stream that is not what was promised.
    async fn receive(stream: &'static [u8], dir: &Utf8Path) -> u32 {
        let script = script(&dir.join("file"), &FileAttrs::root(0o644), 5).unwrap();
        let command = Command::script(script).as_root().stdin(stream);
        LocalHost::new("here", Redactor::default())
            .run(&command)
            .await
            .unwrap()
            .status
    }

    #[tokio::test]
    async fn only_the_promised_bytes_become_a_file() {
        let guard = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(guard.path()).unwrap();
        let empty = || std::fs::read_dir(dir).unwrap().next().is_none();
        assert_eq!(receive(b"hel", dir).await, CUT);
        assert_eq!(receive(b"hello", dir).await, CUT);
        let wrong = b"hellO2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n";
        assert_eq!(receive(wrong, dir).await, DAMAGED);
        assert!(empty());
        let right = b"hello2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n";
        assert_eq!(receive(right, dir).await, 0);
        assert_eq!(std::fs::read(dir.join("file")).unwrap(), b"hello");
    }

    #[tokio::test]
    async fn this_machine_takes_uploads_alike() {
        let guard = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(guard.path()).unwrap();
        let (from, to) = (dir.join("from"), dir.join("deep/to"));
        let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&from, &bytes).unwrap();
        let host = LocalHost::new("here", Redactor::default());
        let source = Source::File(from);
        host.upload(&source, &to, &FileAttrs::root(0o600), &Progress::unseen())
            .await
            .unwrap();
        assert!(host.read(&to).await.unwrap().unwrap() == bytes);
        assert_eq!(host.read(&dir.join("none")).await.unwrap(), None);
    }
}
