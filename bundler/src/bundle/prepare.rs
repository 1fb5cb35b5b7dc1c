//! Works out every detail before anything is fetched, but for kubeadm, which is asked for its images.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;

use artifact::Tree;
use camino::{Utf8Path, Utf8PathBuf};
use catalogue::{Carries, Catalogue, Systems};
use cluster::{Arch, KubernetesType};
use event::Events;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::guard::Guard;
use super::{Prepared, Request, Update, output};
use crate::error::{BundleError, Failed};
use crate::fetch::{
    Checksum, DOCUMENT_LIMIT, FILE_LIMIT, FetchError, FetchOptions, Fetcher, FileJob, address,
};
use crate::hops::{Hop, hops, together};
use crate::images::{ImageJob, ImageOptions, Images, ResolvedImage};
use crate::kubeadm;
use crate::lock::{Lock, LockError, LockMode, LockedSystem};
use crate::packages::{Asked, Chooser, Claims, asked};
use crate::plan::Plan;
use crate::resolve::{Wanted, WantedFile};

/// What a bundle would hold. Nothing is fetched but manifests of images, and nothing is written.
pub async fn plan(
    request: &Request,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Plan, BundleError> {
    let scratch = tempfile::tempdir().map_err(|e| BundleError::io("create", "a directory", &e))?;
    let layout = Utf8Path::from_path(scratch.path()).unwrap_or(Utf8Path::new("."));
    let tree = request.work_dir.tree(request.cluster.name());
    let desk = Desk {
        request,
        tree: &tree,
        layout,
        kubeadm: Kubeadm::IfPresent,
        events,
        cancel,
    };
    Ok(Box::pin(desk.work_out()).await?.plan)
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
    let desk = Desk {
        request: &request,
        tree: &tree,
        layout: &layout,
        kubeadm: Kubeadm::Fetch,
        events,
        cancel,
    };
    // It is large, and every caller would hold it.
    let details = Box::pin(desk.work_out()).await?;
    Ok(Prepared {
        request,
        tree,
        details,
        _guard: held,
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
    pub asked: Vec<Asked>,
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

/// Where kubeadm's own list of images may come from.
#[derive(Clone, Copy)]
enum Kubeadm {
    Fetch,
    IfPresent,
}

struct Desk<'a> {
    request: &'a Request,
    tree: &'a Tree,
    /// Where manifests of images are kept.
    layout: &'a Utf8Path,
    kubeadm: Kubeadm,
    events: &'a Events,
    cancel: &'a CancellationToken,
}

impl Desk<'_> {
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
        let asked = asked(&request.cluster, &wanted.needs, &wanted.arches, &known)?;
        self.tell_of_nearest(&wanted);
        self.tell_of_arches(&wanted);
        for hop in &mut hops {
            self.ask_kubeadm(hop, &lock, &fetcher).await?;
        }
        let wanted = together(&hops);
        self.hold_to_lock(&wanted, &asked, &lock)?;
        let chooser = Chooser {
            systems: &known,
            keyrings: &request.keyrings,
            update: &request.update,
            fetcher: &fetcher,
            events: self.events,
            cancel: self.cancel,
        };
        let (systems, claims) = chooser.choose(&asked, &lock).await?;
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
            |reference| size_of(&resolved, reference),
        )
        .with_packages(&asked, &systems, &lock);
        Ok(Details {
            lock,
            fetcher,
            images,
            resolved,
            hops,
            wanted,
            asked,
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
            })
            .collect();
        let arches: Vec<Arch> = wanted.arches.iter().copied().collect();
        let kept = !self.request.update.contains(&Update::Images);
        let pins = lock
            .images
            .iter()
            .filter(|_| kept)
            .map(|(name, image)| (name.clone(), image.upstream))
            .collect();
        let resolved = images
            .resolve(jobs, &arches, &pins, self.events, self.cancel)
            .await;
        resolved.map_err(BundleError::from)
    }

    /// Replaces the catalogue's images of Kubernetes by kubeadm's own list, where it can be had, or by the one that it
    /// gave when the lock was written.
    async fn ask_kubeadm(
        &self,
        hop: &mut Hop,
        lock: &Lock,
        fetcher: &Fetcher,
    ) -> Result<(), BundleError> {
        let Hop { cluster, wanted } = hop;
        let kubernetes = &cluster.spec.kubernetes;
        if kubernetes.kind != KubernetesType::Kubeadm {
            return Ok(());
        }
        let listed = match self.runnable(wanted, lock, fetcher).await? {
            Ok(path) => kubeadm::images(&path, &kubernetes.version)
                .await
                .map_err(|error| format!("kubeadm gave no list: {error}")),
            Err(why) => Err(why.to_owned()),
        };
        match listed {
            Ok(listed) => wanted.believe_kubeadm(&listed),
            Err(why) => match wanted.listed_before(lock, &kubernetes.version) {
                Some(listed) => wanted.believe_kubeadm(&listed),
                None => self.doubt(&why),
            },
        }
        Ok(())
    }

    /// A kubeadm that is what upstream published or the lock pins, and that this machine can run; or why there is none.
    async fn runnable(
        &self,
        wanted: &Wanted,
        lock: &Lock,
        fetcher: &Fetcher,
    ) -> Result<Result<Utf8PathBuf, &'static str>, BundleError> {
        let here: Option<Arch> = std::env::consts::ARCH.parse().ok();
        let Some(kubeadm) = wanted
            .files
            .iter()
            .find(|w| w.file.component == "kubeadm" && w.file.arch == here)
        else {
            return Ok(Err("no kubeadm of the bundle runs on this machine"));
        };
        let job = job(kubeadm, self.tree, lock, None)?;
        let path = job.dest.clone();
        match self.kubeadm {
            Kubeadm::IfPresent => {
                if !fetcher.has(&job).await? {
                    return Ok(Err("kubeadm is not fetched yet"));
                }
            }
            Kubeadm::Fetch => {
                fetcher
                    .fetch_all(vec![job], self.events, self.cancel)
                    .await?;
                let executable = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(&path, executable)
                    .map_err(|e| BundleError::io("make executable", &path, &e))?;
            }
        }
        Ok(Ok(path))
    }

    fn doubt(&self, why: &str) {
        self.events.warn(
            format!("the images of Kubernetes are taken from the catalogue: {why}"),
            Some("the authority is `kubeadm config images list`; missing ones can be added under spec.images"),
        );
    }

    fn hold_to_lock(
        &self,
        wanted: &Wanted,
        asked: &[Asked],
        lock: &Lock,
    ) -> Result<(), BundleError> {
        if self.request.lock_mode == LockMode::Pin {
            return Ok(());
        }
        let differences = lock.differences(wanted, asked);
        if differences.is_empty() {
            return Ok(());
        }
        Err(LockError::Differs {
            path: self.request.lock.clone(),
            differences,
        }
        .into())
    }

    /// The size of each file, by address: from the lock, from what lies in the tree, or as the server says.
    async fn sizes(
        &self,
        wanted: &Wanted,
        lock: &Lock,
        fetcher: &Fetcher,
    ) -> Result<HashMap<String, u64>, BundleError> {
        let asked = futures::stream::iter(&wanted.files)
            .map(|wanted| async move { (wanted, self.size(wanted, lock, fetcher).await) })
            .buffered(self.request.jobs.get())
            .collect::<Vec<_>>();
        let asked = tokio::select! {
            asked = asked => asked,
            () = self.cancel.cancelled() => return Err(BundleError::Interrupted),
        };
        let mut sizes = HashMap::new();
        let mut failed = Vec::new();
        for (wanted, size) in asked {
            match size {
                Ok(Some(size)) => {
                    sizes.insert(wanted.file.url.clone(), size);
                }
                Ok(None) => {}
                Err(error) => failed.push(Failed {
                    title: wanted.title(),
                    hint: error.hint(),
                    fault: error.fault(),
                    error: error.to_string(),
                }),
            }
        }
        if failed.is_empty() {
            Ok(sizes)
        } else {
            Err(BundleError::Fetch(failed))
        }
    }

    async fn size(
        &self,
        wanted: &WantedFile,
        lock: &Lock,
        fetcher: &Fetcher,
    ) -> Result<Option<u64>, FetchError> {
        if let Some(locked) = lock.files.get(&wanted.file.url) {
            return Ok(Some(locked.size));
        }
        let path = self.tree.path(Utf8Path::new(&wanted.file.path));
        if let Ok(meta) = std::fs::metadata(&path) {
            return Ok(Some(meta.len()));
        }
        let job = job(wanted, self.tree, lock, None)?;
        match fetcher.head_size(&job.url).await {
            // Some servers refuse a HEAD and serve the file all the same.
            Err(FetchError::Refused { .. } | FetchError::Status { .. }) => Ok(None),
            size => size,
        }
    }
}

fn size_of(resolved: &[ResolvedImage], reference: &str) -> Option<u64> {
    let image = resolved
        .iter()
        .find(|image| image.reference() == reference)?;
    Some(image.platforms().iter().map(|platform| platform.size).sum())
}
