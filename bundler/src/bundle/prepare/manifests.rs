//! The images of what manifests set up, as the manifests name them.

use catalogue::Carries;

use super::{Asked, Preparation, job};
use crate::error::BundleError;
use crate::fetch::Fetcher;
use crate::hops::Hop;
use crate::lock::Lock;
use crate::manifest;
use crate::resolve::WantedFile;

impl Preparation<'_> {
    /// Replaces the catalogue's images by those that the manifests name, where these can be had: a version that is newer than
    /// the catalogue may have others.
    pub(super) async fn ask_manifests(
        &self,
        hop: &mut Hop,
        lock: &Lock,
        fetcher: &Fetcher,
    ) -> Result<(), BundleError> {
        let files = hop.wanted.files.iter();
        let files = files.filter(|wanted| matches!(wanted.file.carries, Carries::Manifest(_)));
        let files: Vec<WantedFile> = files.cloned().collect();
        let jobs = files.iter().map(|file| job(file, self.tree, lock, None));
        let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
        if self.asked == Asked::Fetch && !jobs.is_empty() {
            fetcher
                .fetch_all(jobs.clone(), self.events, self.cancel)
                .await?;
        }
        for (file, job) in files.iter().zip(&jobs) {
            if !fetcher.has(job).await? {
                continue;
            }
            // One that cannot be read, or is none, is told by whoever looks into all files.
            let text = std::fs::read_to_string(&job.dest).unwrap_or_default();
            let named = manifest::images(&text).unwrap_or_default();
            hop.wanted.believe_manifest(file, &named);
        }
        Ok(())
    }
}
