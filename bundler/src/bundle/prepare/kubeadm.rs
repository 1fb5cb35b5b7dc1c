//! The images of Kubernetes as kubeadm lists them.

use std::os::unix::fs::PermissionsExt;

use camino::Utf8PathBuf;
use cluster::{Arch, KubernetesType};

use super::{Asked, Preparation, job};
use crate::error::BundleError;
use crate::fetch::Fetcher;
use crate::hops::Hop;
use crate::kubeadm;
use crate::lock::Lock;
use crate::resolve::Wanted;

impl Preparation<'_> {
    /// Replaces the catalogue's images of Kubernetes by kubeadm's own list, where it can be had, or by the one that it
    /// gave when the lock was written.
    pub(super) async fn ask_kubeadm(
        &self,
        hop: &mut Hop,
        lock: &Lock,
        fetcher: &Fetcher,
    ) -> Result<(), BundleError> {
        let Hop {
            cluster, wanted, ..
        } = hop;
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
        match self.asked {
            Asked::IfPresent => {
                if !fetcher.has(&job).await? {
                    return Ok(Err("kubeadm is not fetched yet"));
                }
            }
            Asked::Fetch => {
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
}
