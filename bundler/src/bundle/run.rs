//! Acts on a plan: fetch, prove complete, pack.

use std::sync::Arc;
use std::time::Instant;

use artifact::{Contents, SpaceNeed, Tree};
use camino::{Utf8Path, Utf8PathBuf};
use catalogue::Carries;
use event::{Event, Events, RunOutcome};
use tokio_util::sync::CancellationToken;

use super::before::Before;
use super::guard::Guard;
use super::output::directory_of;
use super::prepare::Details;
use super::{Report, Request, output, write};
use crate::error::BundleError;
use crate::images::{self, ResolvedImage};
use crate::plan::Plan;

/// `bundle.json` and the frames around everything.
const OVERHEAD: u64 = 16 << 20;

/// A bundle of which every detail is known, and nothing large fetched but kubeadm.
pub struct Prepared {
    pub(super) request: Request,
    pub(super) tree: Tree,
    pub(super) details: Details,
    pub(super) guard: Guard,
}

/// A tree that holds everything, and to which nobody else has come since.
pub struct Filled {
    pub contents: Contents,
    pub guard: Guard,
}

impl Prepared {
    /// What the bundle will hold.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.details.plan
    }

    /// Makes the bundle.
    pub async fn run(
        self,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Report, BundleError> {
        let began = Instant::now();
        let all = self.details.plan.rows.len();
        events.emit(&Event::RunStarted {
            command: "bundle".to_owned(),
            cluster: self.details.plan.cluster.clone(),
            units: all as u64 + 1,
        });
        let this = Arc::new(self);
        let result = this.act(events, cancel).await;
        let (outcome, changed, failed) = match &result {
            Ok(report) => (RunOutcome::Done, report.fetched as u64 + 1, 0),
            Err(error) if error.is_interrupted() => (RunOutcome::Interrupted, 0, 0),
            Err(BundleError::Fetch(failed) | BundleError::Content(failed)) => {
                (RunOutcome::Failed, 0, failed.len() as u64)
            }
            Err(_) => (RunOutcome::Failed, 0, 1),
        };
        let satisfied = result
            .as_ref()
            .map_or(0, |report| (all - report.fetched) as u64);
        events.emit(&Event::RunFinished {
            outcome,
            took: began.elapsed(),
            changed,
            satisfied,
            failed,
            skipped: 0,
        });
        result
    }

    async fn act(
        self: &Arc<Self>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Report, BundleError> {
        artifact::check_space(&self.rooms())?;
        let (contents, fetched) = self.gather(events, cancel).await?;
        let contents = Arc::new(contents);
        let (packed, segments) = self.pack(&contents, events, cancel).await?;
        let parity = self.spare(&segments, events, cancel).await?;
        let this = Arc::clone(self);
        let kubexm = on_thread(move || {
            // What no image leads to any more only takes room: that it stays is no reason to fail.
            let _ = images::prune(&this.tree.images());
            this.put_kubexm_beside()
        })
        .await?;
        Ok(Report {
            out: self.request.out.clone(),
            size: packed.size,
            segments,
            parity,
            carried: (packed.carried, contents.files.len()),
            digest: packed.digest,
            content: contents.content_size(),
            files: self.details.wanted.files.len(),
            packages: self
                .details
                .systems
                .iter()
                .map(|system| system.files.len())
                .sum(),
            images: self.details.wanted.images.len(),
            fetched,
            kubexm,
        })
    }

    /// Has the tree hold everything, and packs nothing: for whoever installs from right here.
    pub async fn fill(
        self,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Filled, BundleError> {
        let [tree, _] = self.rooms();
        artifact::check_space(&[tree])?;
        let guard = self.guard.shared();
        let guard =
            guard.map_err(|e| BundleError::io("hold", self.tree.state().join("lock"), &e))?;
        let (contents, _) = Arc::new(self).gather(events, cancel).await?;
        Ok(Filled { contents, guard })
    }

    /// What the tree holds then, and how much of it had to be fetched.
    async fn gather(
        self: &Arc<Self>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<(Contents, usize), BundleError> {
        let tree = self.tree.clone();
        let before = on_thread(move || Before::keep(&tree)).await?;
        let gathered = self.renew(events, cancel).await;
        match (before, &gathered) {
            (Some(before), Ok(_)) => before.forget()?,
            (Some(before), Err(_)) => before.put_back(events),
            (None, _) => {}
        }
        gathered
    }

    async fn renew(
        self: &Arc<Self>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<(Contents, usize), BundleError> {
        let collected = self.fetch(events, cancel).await?;
        let (lock, fetched) = (collected.lock.clone(), collected.fetched);
        let contents = self.assemble(collected, events).await?;
        // Not before it is known to be good: the next run is held to it.
        lock.write(&self.request.lock)?;
        if cancel.is_cancelled() {
            return Err(BundleError::Interrupted);
        }
        Ok((contents, fetched))
    }

    /// What is needed in the tree, and for the bundle.
    pub(super) fn rooms(&self) -> [SpaceNeed; 2] {
        let present = |path: &str| self.tree.path(Utf8Path::new(path)).exists();
        let (mut tree, mut out, mut bundle) = (OVERHEAD, OVERHEAD, 0);
        let mut programs = 0;
        for wanted in &self.details.wanted.files {
            let size = self
                .details
                .sizes
                .get(&wanted.file.url)
                .copied()
                .unwrap_or(0);
            // Frames of alike programs wait beside the bundle until it is their turn.
            let aside = if matches!(wanted.file.carries, Carries::Program(_)) {
                size
            } else {
                0
            };
            out += size + aside;
            bundle += size;
            tree += if present(&wanted.file.path) { 0 } else { size };
        }
        for (path, package) in self.details.systems.iter().flat_map(|system| &system.files) {
            out += package.size;
            bundle += package.size;
            tree += if present(path.as_str()) {
                0
            } else {
                package.size
            };
        }
        let images = &self.details.resolved;
        tree += self.details.images.missing(images);
        let layers: u64 = images
            .iter()
            .flat_map(ResolvedImage::platforms)
            .map(|p| p.size)
            .sum();
        out += layers;
        bundle += layers;
        for (kubexm, beside) in self
            .request
            .kubexm
            .iter()
            .zip(output::beside(&self.request))
        {
            let length = |path: &Utf8Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
            let size = length(&kubexm.path);
            out += size;
            bundle += size;
            if length(&beside) != size {
                programs += size;
            }
            let inside = self.tree.path(&kubexm.member());
            if length(&inside) != size {
                tree += size;
            }
        }
        let room = |need, largest| SpaceNeed {
            dir: self.tree.root().to_owned(),
            need,
            largest,
        };
        match self.request.segment_size {
            // It is packed whole in the tree, and then cut onto the medium.
            Some(size) if self.request.since.is_none() => {
                let cut = self.out_room(OVERHEAD + bundle + programs, bundle.min(size));
                [room(tree + out, bundle), cut]
            }
            _ => [room(tree, 0), self.out_room(out + programs, bundle)],
        }
    }

    /// How large a delta becomes is known when it is written: a disk that is too small for all may hold what is new.
    fn out_room(&self, need: u64, largest: u64) -> SpaceNeed {
        let parity = self.request.parity.map_or(0, |share| share.of(need));
        let (need, largest) = match self.request.since {
            None => (need.saturating_add(parity), largest),
            Some(_) => (OVERHEAD, 0),
        };
        SpaceNeed {
            dir: directory_of(&self.request.out).to_owned(),
            need,
            largest,
        }
    }

    fn put_kubexm_beside(&self) -> Result<Vec<Utf8PathBuf>, BundleError> {
        let mut written = Vec::new();
        for (kubexm, path) in self
            .request
            .kubexm
            .iter()
            .zip(output::beside(&self.request))
        {
            write::copy(&kubexm.path, &path, 0o755)?;
            written.push(path);
        }
        Ok(written)
    }
}

/// Runs what takes the processor or the disk for long, off the runtime's own threads.
pub(crate) async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
