//! Works out every detail before anything is fetched, but for kubeadm, which is asked for its images.

mod addons;
mod kubeadm;
mod manifests;
mod sizes;

use std::collections::HashMap;

use artifact::Tree;
use camino::Utf8Path;
use catalogue::{Carries, Catalogue, Systems};
use event::Events;
use tokio_util::sync::CancellationToken;

use super::guard::Guard;
use super::{Prepared, Request, Update, output};
use crate::error::BundleError;
use crate::fetch::{
    Checksum, DOCUMENT_LIMIT, FILE_LIMIT, FetchError, FetchOptions, Fetcher, FileJob, address,
};
use crate::hops::{Hop, hops, together};
use crate::images::{ImageJob, ImageOptions, Images, ResolvedImage};
use crate::lock::{Lock, LockError, LockMode, LockedSystem};
use crate::packages::{Chooser, Claims, PackageRequest, requests};
use crate::plan::Plan;
use crate::resolve::{Wanted, WantedFile};

/// What a bundle would hold. Nothing is fetched but manifests of images and what addons are made of, and nothing is written.
pub async fn plan(
    request: &Request,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Plan, BundleError> {
    let scratch = tempfile::tempdir().map_err(|e| BundleError::io("create", "a directory", &e))?;
    let layout = Utf8Path::from_path(scratch.path()).unwrap_or(Utf8Path::new("."));
    let tree = request.work_dir.tree(request.cluster.name());
    let preparation = Preparation {
        request,
        tree: &tree,
        layout,
        asked: Asked::IfPresent,
        events,
        cancel,
    };
    Ok(Box::pin(preparation.work_out()).await?.plan)
}

/// Works out every detail, and keeps every other kubexm off the cluster's tree until the bundle is made.
pub async fn prepare(
    request: Request,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Prepared, BundleError> {
    output::check(&request)?;
    worked_out(request, events, cancel).await
}

/// The same for whoever only fills the tree ([`Prepared::fill`]): where a bundle would go does not matter then.
pub async fn prepare_tree(
    request: Request,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Prepared, BundleError> {
    output::programs(&request)?;
    worked_out(request, events, cancel).await
}

async fn worked_out(
    request: Request,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Prepared, BundleError> {
    let tree = request.work_dir.tree(request.cluster.name());
    let held = Guard::take(&tree)?;
    let layout = tree.images();
    let preparation = Preparation {
        request: &request,
        tree: &tree,
        layout: &layout,
        asked: Asked::Fetch,
        events,
        cancel,
    };
    // It is large, and every caller would hold it.
    let details = Box::pin(preparation.work_out()).await?;
    Ok(Prepared {
        request,
        tree,
        details,
        guard: held,
    })
}

/// All that is known before anything large is fetched.
pub(crate) struct Details {
    pub lock: Lock,
    pub fetcher: Fetcher,
    pub images: Images,
    pub resolved: Vec<ResolvedImage>,
    /// The releases, in order, and what all of them ask for.
    pub hops: Vec<Hop>,
    pub wanted: Wanted,
    /// What is asked of each operating system's archives, and beside it the packages that are taken.
    pub package_requests: Vec<PackageRequest>,
    pub systems: Vec<LockedSystem>,
    pub claims: Claims,
    /// Of files, by address.
    pub sizes: HashMap<String, u64>,
    pub plan: Plan,
}

/// How a file is fetched: held to the lock, or to what upstream publishes.
pub(crate) fn job(
    wanted: &WantedFile,
    tree: &Tree,
    lock: &Lock,
    size: Option<u64>,
) -> Result<FileJob, FetchError> {
    let file = &wanted.file;
    let checksum = match (lock.files.get(&file.url), &file.checksum) {
        (Some(locked), _) => Checksum::Known(locked.sha256),
        (None, catalogue::Checksum::Beside { url } | catalogue::Checksum::ListedIn { url }) => {
            Checksum::Published {
                url: address(url)?,
                file: file.file_name().to_owned(),
            }
        }
        (None, catalogue::Checksum::Unpublished) => Checksum::FirstSeen,
    };
    let limit = match (lock.files.get(&file.url), &file.carries) {
        (Some(locked), _) => locked.size,
        (None, Carries::Manifest(_)) => DOCUMENT_LIMIT,
        (None, _) => FILE_LIMIT,
    };
    Ok(FileJob {
        title: wanted.title(),
        url: address(&file.url)?,
        dest: tree.path(Utf8Path::new(&file.path)),
        checksum,
        size,
        limit,
    })
}

/// Where files may come from that say what else is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Fetch,
    IfPresent,
}

struct Preparation<'a> {
    request: &'a Request,
    tree: &'a Tree,
    /// Where manifests of images are kept.
    layout: &'a Utf8Path,
    asked: Asked,
    events: &'a Events,
    cancel: &'a CancellationToken,
}

impl Preparation<'_> {
    async fn work_out(&self) -> Result<Details, BundleError> {
        let request = self.request;
        let lock = Lock::read(&request.lock)?;
        if request.lock_mode == LockMode::Locked && lock.is_none() {
            return Err(LockError::Absent {
                path: request.lock.clone(),
            }
            .into());
        }
        let lock = lock.unwrap_or_else(|| Lock::of(request.cluster.name()));
        lock.must_be_of(request.cluster.name(), &request.lock)?;
        let fetcher = Fetcher::new(FetchOptions {
            jobs: request.jobs.get(),
            mirrors: request.mirrors.clone(),
            http: request.http.clone(),
        })?;
        let mut hops = hops(
            &request.cluster,
            request.upgrade_from.as_ref(),
            &request.arches,
            &Catalogue::builtin(),
        )?;
        let known = Systems::builtin();
        let wanted = together(&hops);
        let package_requests = requests(&request.cluster, &wanted.needs, &wanted.arches, &known)?;
        self.tell_of_nearest(&wanted);
        self.tell_of_arches(&wanted);
        for hop in &mut hops {
            self.ask_kubeadm(hop, &lock, &fetcher).await?;
            self.ask_manifests(hop, &lock, &fetcher).await?;
        }
        self.make_addons(&mut hops, &lock, &fetcher).await?;
        let wanted = together(&hops);
        self.hold_to_lock(&wanted, &package_requests, &lock)?;
        let chooser = Chooser {
            systems: &known,
            keyrings: &request.keyrings,
            update: &request.update,
            fetcher: &fetcher,
            events: self.events,
            cancel: self.cancel,
        };
        let (systems, claims) = chooser.choose(&package_requests, &lock).await?;
        let images = Images::new(
            self.layout,
            ImageOptions {
                jobs: request.jobs.get(),
                mirrors: request.mirrors.clone(),
                http: request.http.clone(),
                access: request.access.clone(),
            },
        );
        let (sizes, resolved) = tokio::join!(
            self.sizes(&wanted, &lock, &fetcher),
            self.resolve_images(&images, &wanted, &lock)
        );
        let (sizes, resolved) = match (sizes, resolved) {
            (Ok(sizes), Ok(resolved)) => (sizes, resolved),
            (sizes, resolved) => return Err(BundleError::together(sizes.err(), resolved.err())),
        };
        let plan = Plan::of(
            request.cluster.name(),
            (&hops, &wanted),
            &lock,
            |url| sizes.get(url).copied(),
            |reference| sizes::of_image(&resolved, reference),
        )
        .with_packages(&package_requests, &systems, &lock);
        Ok(Details {
            lock,
            fetcher,
            images,
            resolved,
            hops,
            wanted,
            package_requests,
            systems,
            claims,
            sizes,
            plan,
        })
    }

    fn tell_of_nearest(&self, wanted: &Wanted) {
        if let Some((message, hint)) = wanted.tell_of_nearest(&self.request.cluster) {
            self.events.warn(message, Some(hint));
        }
    }

    fn tell_of_arches(&self, wanted: &Wanted) {
        for arch in wanted.arches_of_nobody(&self.request.cluster) {
            self.events.warn(
                format!("no host of the config is of {arch}, which the bundle is to serve as well"),
                Some("leave it out of --arch, unless such hosts are to come"),
            );
        }
    }

    async fn resolve_images(
        &self,
        images: &Images,
        wanted: &Wanted,
        lock: &Lock,
    ) -> Result<Vec<ResolvedImage>, BundleError> {
        let jobs = wanted
            .images
            .iter()
            .map(|image| ImageJob {
                reference: image.reference.clone(),
                wanted_by: image.wanted_by.clone(),
                arches: image.arches.clone(),
            })
            .collect();
        let kept = !self.request.update.contains(&Update::Images);
        let pins = lock
            .images
            .iter()
            .filter(|_| kept)
            .map(|(name, image)| (name.clone(), image.upstream))
            .collect();
        let resolved = images.resolve(jobs, &pins, self.events, self.cancel).await;
        resolved.map_err(BundleError::from)
    }

    fn hold_to_lock(
        &self,
        wanted: &Wanted,
        package_requests: &[PackageRequest],
        lock: &Lock,
    ) -> Result<(), BundleError> {
        if self.request.lock_mode == LockMode::Pin {
            return Ok(());
        }
        let differences = lock.differences(wanted, package_requests);
        if differences.is_empty() {
            return Ok(());
        }
        Err(LockError::Differs {
            path: self.request.lock.clone(),
            differences,
        }
        .into())
    }
}
