use std::fs::{self, File};
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;

use crate::bundle::compress::compress;
use crate::bundle::cut::{Kind, cut};
use crate::bundle::delta;
use crate::bundle::error::PackError;
use crate::bundle::listing::temporary_name;
use crate::bundle::members::Member;
use crate::bundle::patches::{Making, Patches};
use crate::bundle::seal::FRAMES_MAX;
use crate::bundle::source::Source;
use crate::bundle::stream::{Head, Layout};
use crate::contents::HEAD_MAX;
use crate::{Base, Cancel, Contents, Purpose, Sha256, Signer, Tree};

/// What to pack, and where to.
#[derive(Debug)]
pub struct Packing<'a> {
    pub tree: &'a Tree,
    /// Lists every file of the bundle. What else lies in the tree stays behind.
    pub contents: &'a Contents,
    pub output: &'a Utf8Path,
    /// What the receiver has: then the bundle is a delta, and carries only what is not there.
    pub since: Option<&'a Base>,
    pub signer: Option<&'a Signer>,
    pub jobs: NonZeroUsize,
    /// Counts the bytes of the files; [`Contents::content_size`] is the total.
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
    /// How many of the files are in it.
    pub carried: usize,
}

/// Writes a bundle. It appears under its name when it is complete and on disk, and not before.
pub fn pack(packing: &Packing<'_>) -> Result<Packed, PackError> {
    let Packing {
        tree,
        contents,
        output,
        ..
    } = *packing;
    let contents_bytes = contents.to_bytes();
    Contents::read(&contents_bytes)?;
    let signature = packing
        .signer
        .map(|signer| signer.sign(Purpose::Bundle, &contents_bytes))
        .transpose()?;
    let digest = Sha256::of(&contents_bytes);
    let write = |source| PackError::write(output, source);
    let mut patches = None;
    let (carriage, members) = match packing.since {
        None => {
            let files = contents.files.iter().enumerate();
            (
                None,
                files.map(|(i, file)| Member::whole(i, file)).collect(),
            )
        }
        Some(base) => {
            let mut carry = delta::carry(contents, digest, base);
            let made = Patches::beside(output).map_err(write)?;
            let making = Making {
                contents,
                tree,
                base,
                patches: &made,
                progress: packing.progress,
                cancel: packing.cancel,
            };
            making.run(&mut carry)?;
            patches = Some(made);
            let members = carry.members.iter();
            let members = members.map(|carried| Member::of(carried, contents));
            (Some(carry.to_bytes()), members.collect::<Vec<_>>())
        }
    };
    let head = Head {
        contents: contents_bytes,
        carriage,
        signature: signature.map(String::into_bytes),
    }
    .to_bytes();
    if head.len() as u64 > HEAD_MAX {
        return Err(PackError::Excess("a bundle.json of more than 16 MiB"));
    }
    let layout = Layout::new(head.len() as u64, &members);
    let kinds = members
        .iter()
        .map(|member| {
            let file = &contents.files[member.file];
            if member.patch.is_some() {
                return Ok(Kind::Compressed);
            }
            Kind::of(tree, file).map_err(|source| PackError::Read {
                path: tree.path(&file.path),
                source,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let cuts = cut(&layout, &kinds);
    // Frame 0 and the seal count as well.
    if cuts.len() + 2 > FRAMES_MAX as usize {
        return Err(PackError::Excess("more than 2^20 frames"));
    }
    let source = Source {
        tree,
        members: &members,
        patches: patches.as_ref(),
        layout: &layout,
        progress: packing.progress,
        cancel: packing.cancel,
        abandoned: AtomicBool::new(false),
    };

    let partial = Partial::beside(output).map_err(write)?;
    let size = compress(&head, &cuts, &source, packing.jobs, &partial.file, output)?;
    if packing.cancel.is_cancelled() {
        return Err(PackError::Cancelled);
    }
    partial.publish().map_err(write)?;
    Ok(Packed {
        size,
        digest,
        carried: members.len(),
    })
}

/// The bundle while it is written; removed unless it is published.
pub(super) struct Partial<'a> {
    pub file: File,
    temporary: Utf8PathBuf,
    output: &'a Utf8Path,
    published: bool,
}

impl<'a> Partial<'a> {
    pub(super) fn beside(output: &'a Utf8Path) -> io::Result<Self> {
        let name = output.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        // A fixed name: what a killed run left behind is replaced, and does not pile up.
        let temporary = output.with_file_name(temporary_name(name));
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = File::create_new(&temporary)?;
        Ok(Self {
            file,
            temporary,
            output,
            published: false,
        })
    }

    pub(super) fn publish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.temporary, self.output)?;
        self.published = true;
        File::open(folder(self.output))?.sync_all()
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if !self.published {
            // Its name counts for nothing, and the next run replaces it.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// The directory that a file is in.
pub(super) fn folder(output: &Utf8Path) -> &Utf8Path {
    match output.parent() {
        Some(parent) if !parent.as_str().is_empty() => parent,
        _ => Utf8Path::new("."),
    }
}
