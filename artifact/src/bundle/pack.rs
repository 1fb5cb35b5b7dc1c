//! Writing a bundle: frames are compressed by many threads and written in order.
//!
//! Memory is bounded whatever the size. Ordinary frames are small and only so many are in work; a long frame, whose
//! window alone takes 128 MiB, is compressed straight into the file when its turn comes, by zstd's own threads.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

use camino::Utf8Path;
use event::Progress;
use tempfile::NamedTempFile;
use zstd::zstd_safe::CParameter;

use crate::bundle::cut::{Cut, Kind, Method, cut};
use crate::bundle::error::PackError;
use crate::bundle::listing::{self, temporary_name};
use crate::bundle::seal::Seal;
use crate::bundle::source::{Links, Source};
use crate::bundle::stream::{self, Layout};
use crate::{Cancel, Manifest, Sha256, Signer, Tree};

const LEVEL: i32 = 3;
/// For what is compressed already: zstd finds nothing, and does so fast.
const WRAP_LEVEL: i32 = -5;
/// Larger windows are refused by a plain `tar --zstd`.
const LONG_WINDOW_LOG: u32 = 27;
/// Contents of ordinary frames in work at once; each takes as much again for its compressed form.
const IN_WORK: u64 = 80 << 20;
/// The same beside a long frame.
const IN_WORK_BESIDE_LONG: u64 = 24 << 20;
const WRITE_BUFFER: usize = 1 << 20;
/// More threads add memory to a long frame, and no speed.
const LONG_THREADS: u32 = 16;

/// What to pack, and where to.
#[derive(Debug)]
pub struct Packing<'a> {
    pub tree: &'a Tree,
    /// Lists every file of the bundle. What else lies in the tree stays behind.
    pub manifest: &'a Manifest,
    pub output: &'a Utf8Path,
    pub signer: Option<&'a Signer>,
    pub jobs: NonZeroUsize,
    /// Counts the bytes of the files; [`Manifest::content_size`] is the total.
    pub progress: &'a Progress,
    pub cancel: &'a Cancel,
}

/// A bundle that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The length of the file.
    pub size: u64,
    /// The digest of `bundle.json`: what identifies the bundle.
    pub digest: Sha256,
}

/// Writes a bundle. It appears under its name when it is complete and on disk, and not before.
pub fn pack(packing: &Packing<'_>) -> Result<Packed, PackError> {
    let Packing {
        tree,
        manifest,
        output,
        ..
    } = *packing;
    listing::check(&manifest.files)?;
    let manifest_bytes = manifest.to_bytes();
    let signature = packing
        .signer
        .map(|signer| signer.sign(&manifest_bytes))
        .transpose()?;
    let head = stream::head(&manifest_bytes, signature.as_deref().map(str::as_bytes));
    let layout = Layout::new(head.len() as u64, &manifest.files);
    let kinds = manifest
        .files
        .iter()
        .map(|file| {
            Kind::of(tree, file).map_err(|source| PackError::Read {
                path: tree.path(&file.path),
                source,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let cuts = cut(&layout, &kinds);
    let source = Source {
        tree,
        files: &manifest.files,
        layout: &layout,
        progress: packing.progress,
        cancel: packing.cancel,
    };

    let write = |source| PackError::write(output, source);
    let mut partial = Partial::beside(output).map_err(write)?;
    let size = compress(
        &head,
        &cuts,
        &source,
        packing.jobs,
        partial.file.as_file_mut(),
        output,
    )?;
    if packing.cancel.is_cancelled() {
        return Err(PackError::Cancelled);
    }
    partial.publish(output).map_err(write)?;
    Ok(Packed {
        size,
        digest: Sha256::of(&manifest_bytes),
    })
}

/// The bundle while it is written; removed unless it is published.
struct Partial {
    file: NamedTempFile,
}

impl Partial {
    fn beside(output: &Utf8Path) -> io::Result<Self> {
        let name = temporary_name(output.file_name().ok_or(io::ErrorKind::InvalidFilename)?);
        let folder = folder(output);
        // A fixed name: what a killed run left behind is replaced, and does not pile up.
        match std::fs::remove_file(folder.join(&name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = tempfile::Builder::new();
        options.prefix(&name).suffix("").rand_bytes(0);
        options.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        Ok(Self {
            file: options.tempfile_in(folder)?,
        })
    }

    fn publish(self, output: &Utf8Path) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(output).map_err(|error| error.error)?;
        File::open(folder(output))?.sync_all()
    }
}

fn folder(output: &Utf8Path) -> &Utf8Path {
    match output.parent() {
        Some(parent) if !parent.as_str().is_empty() => parent,
        _ => Utf8Path::new("."),
    }
}

/// An ordinary frame for the pool.
struct Task<'a> {
    cut: &'a Cut,
    links: Links,
    done: SyncSender<Result<Vec<u8>, PackError>>,
}

fn compress(
    head: &[u8],
    cuts: &[Cut],
    source: &Source<'_>,
    jobs: NonZeroUsize,
    file: &mut File,
    output: &Utf8Path,
) -> Result<u64, PackError> {
    let (tasks, queue) = mpsc::channel();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        for _ in 0..jobs.get() {
            scope.spawn(|| work(source, output, &queue));
        }
        let mut sealed = Sealed {
            file: BufWriter::with_capacity(WRITE_BUFFER, file),
            seal: Seal::new(),
            size: 0,
            output,
        };
        let first = Packer::new().and_then(|mut packer| packer.pack(Method::Compress, head));
        sealed.frame(
            &first.map_err(|source| sealed.error(source))?,
            head.len() as u64,
        )?;
        let links = links(cuts, source.layout);
        let threads = u32::try_from(jobs.get())
            .unwrap_or(LONG_THREADS)
            .min(LONG_THREADS);
        Queue {
            cuts,
            tasks,
            links,
            source,
            threads,
        }
        .run(&mut sealed)?;
        sealed.finish()
    })
}

/// A link wherever a file goes on from one frame into the next.
fn links(cuts: &[Cut], layout: &Layout) -> Vec<Links> {
    let mut links: Vec<Links> = cuts.iter().map(|_| Links::default()).collect();
    for (index, cut) in cuts.iter().enumerate().skip(1) {
        if layout.across(cut.content.start).is_some() {
            let (after, before) = mpsc::sync_channel(1);
            links[index - 1].after = Some(after);
            links[index].before = Some(before);
        }
    }
    links
}

/// A thread of the pool.
fn work<'a>(source: &Source<'_>, output: &Utf8Path, queue: &Mutex<Receiver<Task<'a>>>) {
    let mut packer = Packer::new();
    let mut content = Vec::new();
    loop {
        let task = queue.lock().map(|queue| queue.recv());
        let Ok(Ok(Task { cut, links, done })) = task else {
            return;
        };
        content.clear();
        let result = source
            .pour(cut.content.clone(), links, |bytes| {
                content.extend_from_slice(bytes);
                Ok(())
            })
            .and_then(|()| {
                let packer = packer
                    .as_mut()
                    .map_err(|error| io::Error::from(error.kind()));
                packer
                    .and_then(|packer| packer.pack(cut.method, &content))
                    .map_err(|source| PackError::write(output, source))
            });
        // The writer is gone only after a failure that it has reported.
        let _ = done.send(result);
    }
}

/// Compresses whole frames in memory.
struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    fn new() -> io::Result<Self> {
        Ok(Self(zstd::bulk::Compressor::new(LEVEL)?))
    }

    fn pack(&mut self, method: Method, content: &[u8]) -> io::Result<Vec<u8>> {
        let level = if method == Method::Wrap {
            WRAP_LEVEL
        } else {
            LEVEL
        };
        self.0.set_compression_level(level)?;
        self.0.set_parameter(CParameter::ChecksumFlag(true))?;
        self.0.compress(content)
    }
}

/// A frame whose turn to be written will come.
enum Pending {
    /// In the pool.
    Ordinary(Receiver<Result<Vec<u8>, PackError>>),
    Long(Links),
}

struct Queue<'a> {
    cuts: &'a [Cut],
    tasks: Sender<Task<'a>>,
    links: Vec<Links>,
    source: &'a Source<'a>,
    threads: u32,
}

impl Queue<'_> {
    fn run(self, sealed: &mut Sealed<'_>) -> Result<(), PackError> {
        let any_long = self.cuts.iter().any(|cut| cut.method == Method::Long);
        let budget = if any_long {
            IN_WORK_BESIDE_LONG
        } else {
            IN_WORK
        };
        let mut to_start = self.cuts.iter().zip(self.links).peekable();
        let mut pending = VecDeque::new();
        let mut in_work = 0;
        for cut in self.cuts {
            while let Some((next, links)) =
                to_start.next_if(|(next, _)| pending.is_empty() || in_work + next.cost() <= budget)
            {
                in_work += next.cost();
                pending.push_back(if next.method == Method::Long {
                    Pending::Long(links)
                } else {
                    let (done, result) = mpsc::sync_channel(1);
                    // Were the pool gone, the receiver would tell.
                    let _ = self.tasks.send(Task {
                        cut: next,
                        links,
                        done,
                    });
                    Pending::Ordinary(result)
                });
            }
            match pending.pop_front() {
                Some(Pending::Long(links)) => {
                    sealed.long_frame(self.source, cut, links, self.threads)?;
                }
                Some(Pending::Ordinary(result)) => {
                    let stored = result.recv().map_err(|_| PackError::Cancelled)??;
                    sealed.frame(&stored, cut.len())?;
                }
                None => unreachable!("a frame is started before its turn comes"),
            }
            in_work -= cut.cost();
        }
        Ok(())
    }
}

impl Cut {
    fn len(&self) -> u64 {
        self.content.end - self.content.start
    }

    /// What it takes of the budget for frames in work.
    fn cost(&self) -> u64 {
        if self.method == Method::Long {
            0
        } else {
            self.len()
        }
    }
}

/// The file, and the seal that notes each frame written to it.
struct Sealed<'a> {
    file: BufWriter<&'a mut File>,
    seal: Seal,
    size: u64,
    output: &'a Utf8Path,
}

impl Sealed<'_> {
    fn error(&self, source: io::Error) -> PackError {
        PackError::write(self.output, source)
    }

    fn frame(&mut self, stored: &[u8], content: u64) -> Result<(), PackError> {
        let len = stored.len() as u64;
        self.file
            .write_all(stored)
            .and_then(|()| self.seal.log(len, content, crc32fast::hash(stored)))
            .map_err(|source| PackError::write(self.output, source))?;
        self.size += len;
        Ok(())
    }

    fn long_frame(
        &mut self,
        source: &Source<'_>,
        cut: &Cut,
        links: Links,
        threads: u32,
    ) -> Result<(), PackError> {
        let error = |source| PackError::write(self.output, source);
        let metered = Metered {
            file: &mut self.file,
            checksum: crc32fast::Hasher::new(),
            len: 0,
        };
        let mut encoder = long_encoder(metered, cut.len(), threads).map_err(error)?;
        source.pour(cut.content.clone(), links, |bytes| {
            encoder.write_all(bytes).map_err(error)
        })?;
        let Metered { checksum, len, .. } = encoder.finish().map_err(error)?;
        self.seal
            .log(len, cut.len(), checksum.finalize())
            .map_err(error)?;
        self.size += len;
        Ok(())
    }

    fn finish(mut self) -> Result<u64, PackError> {
        let error = |source| PackError::write(self.output, source);
        let end = self.seal.finish().map_err(error)?;
        self.file
            .write_all(&end)
            .and_then(|()| self.file.flush())
            .map_err(error)?;
        Ok(self.size + end.len() as u64)
    }
}

fn long_encoder<W: Write>(
    writer: W,
    len: u64,
    threads: u32,
) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(writer, LEVEL)?;
    encoder.long_distance_matching(true)?;
    encoder.window_log(LONG_WINDOW_LOG)?;
    // Always with zstd's own threads, were it one: what comes out depends on that, but not on how many.
    encoder.multithread(threads)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(len))?;
    Ok(encoder)
}

/// Counts and sums what passes into the file.
struct Metered<'a, 'f> {
    file: &'a mut BufWriter<&'f mut File>,
    checksum: crc32fast::Hasher,
    len: u64,
}

impl Write for Metered<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.checksum.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
