//! A file that is still arriving: `<name>.part` beside its final name.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::FetchError;
use super::digests::{Digests, digests_of};
use super::watch::{Shown, Watch};

/// How many chunks from the network may wait for the disk.
const CHUNKS_WAITING: usize = 8;

/// `<name>.part`, and where it will be.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) path: Utf8PathBuf,
    dest: Utf8PathBuf,
}

impl Part {
    pub(crate) fn of(dest: &Utf8Path) -> Self {
        Self {
            path: Utf8PathBuf::from(format!("{dest}.part")),
            dest: dest.to_owned(),
        }
    }

    /// The digests of what has come so far; of nothing if nothing has.
    pub(crate) async fn so_far(&self, fresh: Digests) -> Result<Digests, FetchError> {
        Ok(digests_of(&self.path, fresh.clone())
            .await?
            .unwrap_or(fresh))
    }

    /// Goes on writing behind what the digests cover, and drops whatever lies after it.
    pub(crate) fn append(&self, digests: Digests) -> Writer {
        let (chunks, mut incoming) = mpsc::channel::<Bytes>(CHUNKS_WAITING);
        let path = self.path.clone();
        let thread = tokio::task::spawn_blocking(move || {
            let failed = |act| {
                let path = path.clone();
                move |e: io::Error| FetchError::io(act, &path, &e)
            };
            let mut digests = digests;
            let mut file = OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(false)
                .open(&path)
                .map_err(failed("create"))?;
            file.set_len(digests.len())
                .or_else(devices_have_no_length)
                .map_err(failed("truncate"))?;
            file.seek(SeekFrom::Start(digests.len()))
                .map_err(failed("write"))?;
            let mut file = BufWriter::with_capacity(256 << 10, file);
            while let Some(chunk) = incoming.blocking_recv() {
                digests.update(&chunk);
                file.write_all(&chunk).map_err(failed("write"))?;
            }
            file.flush().map_err(failed("write"))?;
            Ok(digests)
        });
        Writer { chunks, thread }
    }

    /// Makes the complete file durable and gives it its final name.
    pub(crate) async fn complete(&self) -> Result<(), FetchError> {
        let part = self.clone();
        blocking(move || {
            let failed = |act, path: &Utf8Path| {
                let path = path.to_owned();
                move |e: io::Error| FetchError::io(act, &path, &e)
            };
            File::open(&part.path)
                .and_then(|file| file.sync_all())
                .map_err(failed("write", &part.path))?;
            std::fs::rename(&part.path, &part.dest).map_err(failed("rename", &part.path))?;
            let dir = part
                .dest
                .parent()
                .filter(|dir| *dir != "")
                .unwrap_or(Utf8Path::new("."));
            File::open(dir)
                .and_then(|dir| dir.sync_all())
                .map_err(failed("write", dir))
        })
        .await?;
        remove(&self.origin()).await
    }

    /// Where is written down what it was begun from.
    pub(crate) fn origin(&self) -> Utf8PathBuf {
        Utf8PathBuf::from(format!("{}.json", self.path))
    }

    /// Forgets what has come; the origin last, as bytes of unknown origin are never continued.
    pub(crate) async fn discard_all(&self) -> Result<(), FetchError> {
        remove(&self.path).await?;
        remove(&self.origin()).await
    }
}

/// `/dev/full` in the tests, a device in the field: what has no length needs none cut off.
fn devices_have_no_length(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::InvalidInput {
        Ok(())
    } else {
        Err(error)
    }
}

/// Hashes and writes on a thread of its own what the network brings.
pub(crate) struct Writer {
    chunks: mpsc::Sender<Bytes>,
    thread: JoinHandle<Result<Digests, FetchError>>,
}

impl Writer {
    /// Hands over a chunk; false if the writer has failed, which [`Writer::finish`] then tells.
    pub(crate) async fn write(&self, chunk: Bytes) -> bool {
        self.chunks.send(chunk).await.is_ok()
    }

    /// Everything handed over is in the file when this returns.
    pub(crate) async fn finish(self) -> Result<Digests, FetchError> {
        drop(self.chunks);
        joined(self.thread.await)
    }
}

/// A body that fails as soon as it brings more than may come: a server must not fill the disk.
pub(crate) fn limited<E: From<FetchError>>(
    body: impl Stream<Item = Result<Bytes, E>>,
    from: u64,
    limit: u64,
    url: String,
) -> impl Stream<Item = Result<Bytes, E>> {
    let mut len = from;
    body.map(move |chunk| {
        let chunk = chunk?;
        len = len.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if len <= limit {
            return Ok(chunk);
        }
        let url = url.clone();
        Err(FetchError::TooLarge { url, limit }.into())
    })
}

/// Writes a body down. What has come is on disk and in the digests, whatever ended it.
pub(crate) async fn receive<E: From<FetchError>>(
    watch: &Watch<'_>,
    shown: &mut Shown,
    (part, start): (&Part, Digests),
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<(Digests, Result<(), E>), FetchError> {
    let mut body = std::pin::pin!(body);
    let mut len = start.len();
    shown.reach(len);
    let writer = part.append(start);
    let outcome = loop {
        match watch.unless_cancelled(body.next()).await {
            Ok(Some(Ok(chunk))) => {
                len += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                shown.reach(len);
                if !writer.write(chunk).await {
                    break Ok(());
                }
            }
            Ok(Some(Err(error))) => break Err(error),
            Ok(None) => break Ok(()),
            Err(interrupted) => break Err(interrupted.into()),
        }
    };
    Ok((writer.finish().await?, outcome))
}

async fn remove(path: &Utf8Path) -> Result<(), FetchError> {
    match tokio::fs::remove_file(path).await {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(FetchError::io("remove", path, &e)),
        _ => Ok(()),
    }
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    joined(tokio::task::spawn_blocking(work).await)
}

/// A thread is only ever lost when the runtime shuts down.
fn joined<T>(
    outcome: Result<Result<T, FetchError>, tokio::task::JoinError>,
) -> Result<T, FetchError> {
    match outcome {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(FetchError::Interrupted),
        },
    }
}
