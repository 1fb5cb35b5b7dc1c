//! Lists what the tree holds for this bundle, and proves that it is all there.

use std::collections::BTreeSet;
use std::sync::Arc;

use artifact::{ConfigEntry, Contents, FileEntry, ImageEntry, PackageSet, Program, Release};
use camino::Utf8Path;
use catalogue::Systems;
use event::Events;

use super::collect::Collected;
use super::run::on_thread;
use super::{Prepared, addons, inspected, layout, prove, write};
use crate::error::BundleError;
use crate::hops::Hop;
use crate::packages::RepositoryBuilder;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What of the files belongs to a release.
fn release(hop: &Hop, files: &[FileEntry], config: &Utf8Path) -> Release {
    let wanted = hop.wanted.files.iter();
    let addons = hop.addons.iter().map(|addon| addon.path().into_string());
    let wanted = wanted.map(|wanted| wanted.file.path.clone());
    let wanted: BTreeSet<String> = wanted.chain(addons).collect();
    let own = files
        .iter()
        .filter(|file| wanted.contains(file.path.as_str()));
    let own: Vec<FileEntry> = own.cloned().collect();
    Release {
        images: hop.wanted.image_sets(),
        config: Some(config.to_owned()),
        ..Release::of(hop.version().clone(), &own)
    }
}

impl Prepared {
    pub(super) async fn assemble(
        self: &Arc<Self>,
        collected: Collected,
        events: &Events,
    ) -> Result<Contents, BundleError> {
        let serial = collected.lock.serial;
        let images: Vec<ImageEntry> = collected
            .images
            .into_iter()
            .map(|image| image.entry)
            .collect();
        let files = inspected::entries(&self.tree, collected.files).await?;
        let (this, events) = (Arc::clone(self), events.clone());
        let contents = on_thread(move || this.contents(files, images, serial, &events));
        contents.await
    }

    fn contents(
        &self,
        mut files: Vec<FileEntry>,
        images: Vec<ImageEntry>,
        serial: u64,
        events: &Events,
    ) -> Result<Contents, BundleError> {
        write::set_aside(&self.tree)?;
        let (blobs, mut missing) = layout::blobs(&self.tree, &images);
        files.extend(blobs);
        let (addons, charts) = addons::entries(&self.tree, &self.details.hops)?;
        files.extend(addons);
        let config = self.config()?;
        let hops = self.details.hops.iter();
        let releases = hops.map(|hop| release(hop, &files, &config.path)).collect();
        let configs = vec![ConfigEntry {
            cluster: self.details.plan.cluster.clone(),
            path: config.path.clone(),
            sha256: config.sha256,
        }];
        files.push(config);
        files.extend(self.kubexm(events)?);
        if missing.is_empty() {
            files.extend(layout::documents(&self.tree)?);
        }
        let builder = RepositoryBuilder {
            systems: &Systems::builtin(),
            keyrings: &self.request.keyrings,
            claims: &self.details.claims,
            tree: &self.tree,
        };
        for (request, system) in self
            .details
            .package_requests
            .iter()
            .zip(&self.details.systems)
        {
            files.extend(builder.entries(request, system)?);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let systems = self.details.systems.iter();
        let mut systems: Vec<PackageSet> = systems.map(|system| system.set.clone()).collect();
        systems.sort_by(|a, b| (&a.os, a.arch).cmp(&(&b.os, b.arch)));
        let contents = Contents {
            serial,
            releases,
            configs,
            arches: self.details.wanted.arches.iter().copied().collect(),
            files,
            images,
            systems,
            charts,
            ..Contents::new(&self.details.plan.cluster, VERSION)
        };
        missing.extend(prove::missing(
            &self.details.hops,
            &self.details.wanted,
            &contents,
            &self.tree,
        ));
        if !missing.is_empty() {
            return Err(BundleError::Incomplete(missing));
        }
        write::bytes(&self.tree.contents(), &contents.to_bytes(), 0o644)?;
        write::forget_aside(&self.tree)?;
        Ok(contents)
    }

    fn config(&self) -> Result<FileEntry, BundleError> {
        let path = self.tree.config();
        let yaml = self
            .request
            .cluster
            .to_yaml()
            .map_err(|e| BundleError::Io {
                act: "write",
                path: path.clone(),
                cause: e.to_string(),
            })?;
        let written = write::bytes(&path, yaml.as_bytes(), 0o644)?;
        Ok(FileEntry::new(
            "config.yaml",
            written.size,
            0o644,
            written.sha256,
        ))
    }

    /// The installer itself, for each architecture that there is a program of.
    fn kubexm(&self, events: &Events) -> Result<Vec<FileEntry>, BundleError> {
        for arch in &self.details.wanted.arches {
            if !self
                .request
                .kubexm
                .iter()
                .any(|kubexm| kubexm.arch == *arch)
            {
                events.note(format!(
                    "no kubexm for {arch} travels along: this one cannot run there, so install from a machine of another architecture"
                ));
            }
        }
        let mut entries = Vec::new();
        for kubexm in &self.request.kubexm {
            let path = kubexm.member();
            let written = write::copy(&kubexm.path, &self.tree.path(&path), 0o755)?;
            entries.push(FileEntry {
                component: Some("kubexm".to_owned()),
                version: Some(format!("v{VERSION}")),
                arch: Some(kubexm.arch),
                programs: vec![Program {
                    name: "kubexm".to_owned(),
                    member: None,
                    size: written.size,
                    sha256: written.sha256,
                }],
                ..FileEntry::new(path, written.size, 0o755, written.sha256)
            });
        }
        Ok(entries)
    }
}
