//! What a part does not carry: whether it is in the tree, asked now and not remembered.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use camino::Utf8PathBuf;

use crate::bundle::carriage::Carriage;
use crate::bundle::delta::Places;
use crate::bundle::error::BundleError;
use crate::bundle::fault::Lack;
use crate::bundle::open::Bundle;
use crate::bundle::root::Root;
use crate::inventory::{Held, INVENTORY, Inventory, Taking};
use crate::{Cancel, Sha256, Tree};

/// A segment of which files are not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    pub n: u32,
    pub files: usize,
    /// Of these files.
    pub size: u64,
}

/// Where the rest of a tree comes from.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// Files by their places in `files`, and what each is a copy of.
    pub copies: Vec<(usize, Utf8PathBuf)>,
    /// Files that patches are made from.
    pub bases: HashMap<Sha256, Utf8PathBuf>,
    /// Segments that did not come yet.
    pub missing: Vec<Awaited>,
}

/// Threads, and what ends them.
pub(super) type Work<'a> = (NonZeroUsize, &'a Cancel);

impl Elsewhere {
    /// Finds what is neither kept nor in this file, and does not go before it is needed; of a delta nothing may be missing then.
    pub(super) fn of(
        bundle: &Bundle,
        (tree, root): (&Tree, &Root<'_>),
        kept: &[bool],
        stale: &[Utf8PathBuf],
        work: Work<'_>,
    ) -> Result<Self, BundleError> {
        let wanted = Wanted::of(bundle, kept);
        match bundle.carriage() {
            None => Ok(Self::default()),
            Some(carriage @ Carriage::Segment { .. }) => Ok(Self {
                missing: wanted.awaited(carriage, kept.len()),
                ..Self::default()
            }),
            Some(Carriage::Delta { .. }) => {
                let found = wanted.find(bundle, root, (kept, stale), work);
                if work.1.is_cancelled() {
                    return Err(BundleError::Cancelled);
                }
                wanted
                    .taken(&found)
                    .map_err(|lacking| bundle.lacking(tree, lacking))
            }
        }
    }
}

/// What has to be in the tree.
struct Wanted {
    absent: Vec<(usize, Lack)>,
    bases: Vec<Lack>,
}

impl Wanted {
    fn of(bundle: &Bundle, kept: &[bool]) -> Self {
        let files = &bundle.contents().files;
        let carried: HashSet<usize> = bundle.members.iter().map(|member| member.file).collect();
        let absent = files.iter().enumerate();
        let absent = absent.filter(|(index, _)| !kept[*index] && !carried.contains(index));
        let patches = bundle.members.iter().filter(|member| !kept[member.file]);
        Self {
            absent: absent
                .map(|(index, file)| {
                    let lack = Lack {
                        file: file.path.clone(),
                        sha256: file.sha256,
                        size: file.size,
                    };
                    (index, lack)
                })
                .collect(),
            bases: patches
                .filter_map(|member| {
                    let patch = member.patch.as_ref()?;
                    Some(Lack {
                        file: files[member.file].path.clone(),
                        sha256: patch.base,
                        size: patch.base_size,
                    })
                })
                .collect(),
        }
    }

    /// The segments that hold what is absent.
    fn awaited(&self, carriage: &Carriage, files: usize) -> Vec<Awaited> {
        let segments = (1..).zip(carriage.segments(files));
        let awaited = segments.map(|(n, range)| {
            let of_it = self.absent.iter();
            let of_it = of_it.filter(|(index, _)| range.contains(index));
            let (mut files, mut size) = (0, 0_u64);
            for (_, lack) in of_it {
                files += 1;
                size = size.saturating_add(lack.size);
            }
            Awaited { n, files, size }
        });
        awaited.filter(|awaited| awaited.files > 0).collect()
    }

    /// Where in the tree that lies which is wanted, with the right content.
    fn find(
        &self,
        bundle: &Bundle,
        root: &Root<'_>,
        (kept, stale): (&[bool], &[Utf8PathBuf]),
        work: Work<'_>,
    ) -> HashMap<Sha256, Utf8PathBuf> {
        let lacks = self.absent.iter().map(|(_, lack)| lack).chain(&self.bases);
        let wanted: HashMap<Sha256, u64> = lacks.map(|lack| (lack.sha256, lack.size)).collect();
        let files = &bundle.contents().files;
        let mut found: HashMap<Sha256, Utf8PathBuf> = files
            .iter()
            .zip(kept)
            .filter(|(file, kept)| **kept && wanted.contains_key(&file.sha256))
            .map(|(file, _)| (file.sha256, file.path.clone()))
            .collect();
        let places = Places::of(bundle.contents());
        // A patch may replace the very file that it is made from: by then it has been read.
        let own: HashSet<(&str, Sha256)> = self
            .bases
            .iter()
            .map(|lack| (lack.file.as_str(), lack.sha256))
            .collect();
        let mut told = root.told();
        told.retain(|held| {
            let is_wanted = wanted.get(&held.sha256) == Some(&held.size);
            let stays = places.leave(&held.path, held.sha256)
                || own.contains(&(held.path.as_str(), held.sha256));
            // What is stale goes before anything is written.
            is_wanted && stays && !found.contains_key(&held.sha256) && !stale.contains(&held.path)
        });
        let there = each(&told, work, |held| {
            root.holds_file(held, work.1).unwrap_or(false)
        });
        for (held, there) in told.into_iter().zip(there) {
            if there {
                found.entry(held.sha256).or_insert(held.path);
            }
        }
        found
    }

    fn taken(&self, found: &HashMap<Sha256, Utf8PathBuf>) -> Result<Elsewhere, Vec<Lack>> {
        let lacks = self.absent.iter().map(|(_, lack)| lack).chain(&self.bases);
        let lacking: Vec<Lack> = lacks
            .filter(|lack| !found.contains_key(&lack.sha256))
            .cloned()
            .collect();
        if !lacking.is_empty() {
            return Err(lacking);
        }
        let source = |lack: &Lack| found.get(&lack.sha256).cloned();
        let copies = self.absent.iter();
        let bases = self.bases.iter();
        Ok(Elsewhere {
            copies: copies
                .filter_map(|(index, lack)| Some((*index, source(lack)?)))
                .collect(),
            bases: bases
                .filter_map(|lack| Some((lack.sha256, source(lack)?)))
                .collect(),
            missing: Vec::new(),
        })
    }
}

/// Where in a tree files with these digests lie, with the right content.
pub(super) fn in_tree(
    tree: &Tree,
    wanted: &HashSet<Sha256>,
    cancel: &Cancel,
) -> HashMap<Sha256, Utf8PathBuf> {
    let Ok(root) = Root::look(tree) else {
        return HashMap::new();
    };
    let mut told = root.told();
    told.retain(|held| wanted.contains(&held.sha256));
    let there = each(&told, (NonZeroUsize::MIN, cancel), |held| {
        root.holds_file(held, cancel).unwrap_or(false)
    });
    told.into_iter()
        .zip(there)
        .filter_map(|(held, there)| there.then(|| (held.sha256, root.path(&held.path))))
        .collect()
}

/// Asks the same of each, on several threads; where it is cancelled, the rest is no.
pub(super) fn each<T: Sync>(
    all: &[T],
    (jobs, cancel): Work<'_>,
    ask: impl Fn(&T) -> bool + Sync,
) -> Vec<bool> {
    let answers: Vec<AtomicBool> = all.iter().map(|_| AtomicBool::new(false)).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..jobs.get() {
            scope.spawn(|| {
                while let Some(index) = Some(next.fetch_add(1, Ordering::Relaxed))
                    && let Some(one) = all.get(index)
                    && !cancel.is_cancelled()
                {
                    answers[index].store(ask(one), Ordering::Relaxed);
                }
            });
        }
    });
    answers.into_iter().map(AtomicBool::into_inner).collect()
}

impl Bundle {
    fn lacking(&self, tree: &Tree, lacking: Vec<Lack>) -> BundleError {
        BundleError::Lacking {
            path: self.path().to_owned(),
            what: self
                .carriage()
                .map_or_else(|| "a bundle".to_owned(), Carriage::to_string),
            tree: tree.root().to_owned(),
            lacking,
        }
    }

    /// Whether a tree has what this file does not carry. Nothing is written.
    pub fn require_rest(&self, tree: &Tree, taking: Taking<'_>) -> Result<(), BundleError> {
        let Some(Carriage::Delta { .. }) = self.carriage() else {
            return Ok(());
        };
        let work = (taking.jobs, taking.cancel);
        let files: Vec<Held> = self.contents().files.iter().map(Held::from).collect();
        let root = match Root::look(tree) {
            Ok(root) => root,
            Err(BundleError::Open { source, .. }) if source.kind() == ErrorKind::NotFound => {
                let wanted = Wanted::of(self, &vec![false; files.len()]);
                let none = wanted.taken(&HashMap::new());
                return none
                    .map(|_| ())
                    .map_err(|lacking| self.lacking(tree, lacking));
            }
            Err(error) => return Err(error),
        };
        let kept = each(&files, work, |held| {
            let kept = root.holds_file(held, taking.cancel).unwrap_or(false);
            taking.progress.add(held.size);
            kept
        });
        let stale = root.stale(&self.contents().files, false).first;
        Elsewhere::of(self, (tree, &root), &kept, &stale, work).map(|_| ())
    }
}

impl Inventory {
    /// What of the tree's lists is there now, with the right content. Every file is read; `progress` counts their bytes.
    pub fn of_tree(tree: &Tree, cluster: &str, taking: Taking<'_>) -> Result<Self, BundleError> {
        let root = Root::look(tree)?;
        let told = root.told();
        let there = each(&told, (taking.jobs, taking.cancel), |held| {
            let there = root.holds_file(held, taking.cancel).unwrap_or(false);
            taking.progress.add(held.size);
            there
        });
        if taking.cancel.is_cancelled() {
            return Err(BundleError::Cancelled);
        }
        let told = told.into_iter().zip(there);
        let mut files: Vec<Held> = told
            .filter_map(|(held, there)| there.then_some(held))
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let whole = root.contents().is_some_and(|contents| {
            let there: HashSet<(&str, Sha256)> = files
                .iter()
                .map(|held| (held.path.as_str(), held.sha256))
                .collect();
            let mut listed = contents.files.iter();
            listed.all(|file| there.contains(&(file.path.as_str(), file.sha256)))
        });
        Ok(Self {
            inventory: INVENTORY,
            cluster: cluster.to_owned(),
            kubexm: env!("CARGO_PKG_VERSION").to_owned(),
            bundle: whole.then(|| root.contents_digest()).flatten(),
            files,
        })
    }
}
