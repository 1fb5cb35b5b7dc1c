//! The addons of each release, before their images are asked for.

use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicU64;

use artifact::Members;
use camino::{Utf8Path, Utf8PathBuf};
use catalogue::{Carries, Catalogue};
use cluster::Arch;
use flate2::read::MultiGzDecoder;

use super::{Asked, Preparation, job};
use crate::addons::{Maker, Programs, Sources, needs_helm, needs_kubectl};
use crate::error::BundleError;
use crate::fetch::Fetcher;
use crate::hops::Hop;
use crate::images::Registries;
use crate::lock::Lock;
use crate::resolve::file_here;

impl Preparation<'_> {
    /// Has each release hold its addons, and ask for their images.
    pub(super) async fn make_addons(
        &self,
        hops: &mut [Hop],
        lock: &Lock,
        fetcher: &Fetcher,
    ) -> Result<(), BundleError> {
        let request = self.request;
        if request.cluster.addons().is_empty() {
            return Ok(());
        }
        let scratch =
            tempfile::tempdir().map_err(|e| BundleError::io("create", "a directory", &e))?;
        let registries = Registries::new(
            request.mirrors.clone(),
            request.http.clone(),
            request.access.clone(),
        );
        let base = request.lock.parent().unwrap_or(Utf8Path::new(""));
        let sources = Sources {
            base,
            fetcher,
            registries: &registries,
            pins: lock.addon_pins(),
            scratch: &scratch,
            next: AtomicU64::new(0),
            events: self.events,
            cancel: self.cancel,
        };
        let into = Utf8Path::from_path(scratch.path()).unwrap_or(Utf8Path::new("."));
        for hop in hops {
            let programs = Programs {
                helm: self
                    .program(hop, "helm", needs_helm, (lock, fetcher, into))
                    .await?,
                kubectl: self
                    .program(hop, "kubectl", needs_kubectl, (lock, fetcher, into))
                    .await?,
            };
            if needs_helm(&hop.cluster)
                && self.asked == Asked::IfPresent
                && let Err(why) = &programs.helm
            {
                self.events.warn(
                    format!("addons and their images are not among what is shown: {why}"),
                    Some("`kubexm bundle` without --dry-run fetches helm, which renders them"),
                );
                return Ok(());
            }
            let maker = Maker {
                cluster: &hop.cluster,
                sources: &sources,
                programs: &programs,
                events: self.events,
            };
            let made = Box::pin(maker.all()).await?;
            hop.take_addons(made);
        }
        Ok(())
    }

    /// A program of the bundle that this machine can run, or why there is none. What nobody needs is not asked for.
    async fn program(
        &self,
        hop: &Hop,
        name: &'static str,
        is_needed: fn(&cluster::Cluster) -> bool,
        (lock, fetcher, scratch): (&Lock, &Fetcher, &Utf8Path),
    ) -> Result<Result<Utf8PathBuf, String>, BundleError> {
        if !is_needed(&hop.cluster) {
            return Ok(Err("nothing of the config needs it".to_owned()));
        }
        let Some(here) = std::env::consts::ARCH.parse::<Arch>().ok() else {
            return Ok(Err(format!("{name} is not made for this machine")));
        };
        let wanted = hop
            .wanted
            .files
            .iter()
            .find(|wanted| wanted.file.component == name && wanted.file.arch == Some(here))
            .cloned();
        // A bundle without it, or for other machines: it is only kept in the tree.
        let wanted = match wanted {
            Some(wanted) => wanted,
            None => match file_here(&hop.cluster, &Catalogue::builtin(), name, here) {
                Ok(wanted) => wanted,
                Err(error) => return Ok(Err(error.to_string())),
            },
        };
        let job = job(&wanted, self.tree, lock, None)?;
        let path = job.dest.clone();
        match self.asked {
            Asked::IfPresent => {
                if !fetcher.has(&job).await? {
                    return Ok(Err(format!("{name} is not fetched yet")));
                }
            }
            Asked::Fetch => {
                fetcher
                    .fetch_all(vec![job], self.events, self.cancel)
                    .await?;
            }
        }
        let to = scratch.join(format!("{}-{name}", wanted.file.version));
        if !to.exists() {
            let taken = take(&path, &wanted.file.carries, name, &to);
            taken.map_err(|e| BundleError::io("take a program out of", &path, &e))?;
        }
        Ok(Ok(to))
    }
}

/// Puts the program of a file under a path of its own, ready to be run.
fn take(path: &Utf8Path, carries: &Carries, name: &str, to: &Utf8Path) -> std::io::Result<()> {
    if let Carries::Members(members) = carries {
        let opened = BufReader::new(File::open(path)?);
        let mut archive = tar::Archive::new(MultiGzDecoder::new(opened));
        for member in Members::of(&mut archive)? {
            let mut member = member?;
            let is_it = member.name.rsplit('/').next() == Some(name)
                && members.iter().any(|wanted| wanted.matches(&member.name));
            if is_it {
                std::io::copy(&mut member.entry, &mut File::create(to)?)?;
                break;
            }
        }
    } else {
        std::fs::copy(path, to)?;
    }
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755))
}
