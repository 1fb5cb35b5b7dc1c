//! What the parts of `bundle.json` say of each other. Whatever an installation will look up must be there.

use std::collections::{HashMap, HashSet};

use camino::Utf8Path;

use super::{ConfigEntry, Contents, ContentsError, FileEntry, ImageEntry};
use crate::bundle::{IMAGE_BLOBS, check_files};
use crate::reference::is_reference;
use crate::{PackageSet, Release, Sha256};

/// What an OCI layout has besides its blobs.
const LAYOUT: [&str; 2] = ["images/index.json", "images/oci-layout"];
const CHARTS: &str = "charts";
/// Folders of files that only `attachments` may name.
const ATTACHED: [&str; 3] = ["attachments", "sbom", "signatures"];

pub(super) fn check(contents: &Contents) -> Result<(), ContentsError> {
    check_files(&contents.files)?;
    let files = contents.files.iter();
    let checker = Checker {
        files: files.map(|file| (file.path.as_path(), file)).collect(),
        images: contents
            .images
            .iter()
            .map(|image| image.reference.as_str())
            .collect(),
    };
    check_blobs(&contents.files)?;
    ascending("arches", &contents.arches, |arch| *arch)?;
    checker.images(&contents.images)?;
    ascending("systems", &contents.systems, |set| (&set.os, set.arch))?;
    for set in &contents.systems {
        checker.system(set)?;
    }
    ascending("configs", &contents.configs, |config| &config.cluster)?;
    for config in &contents.configs {
        checker.config(config)?;
    }
    ascending("releases", &contents.releases, |release| {
        (&release.kubernetes, &release.config)
    })?;
    for release in &contents.releases {
        checker.release(release)?;
    }
    checker.extras(contents)
}

fn check_blobs(files: &[FileEntry]) -> Result<(), ContentsError> {
    let other = files.iter().find(|file| {
        let name = file.path.as_str().strip_prefix(IMAGE_BLOBS);
        let named = name.and_then(|name| name.parse::<Sha256>().ok());
        named.is_some_and(|named| named != file.sha256)
    });
    match other {
        Some(file) => Err(wrong(
            format!("{:?}", file.path),
            "has another digest than its name says",
        )),
        None => Ok(()),
    }
}

struct Checker<'a> {
    files: HashMap<&'a Utf8Path, &'a FileEntry>,
    images: HashSet<&'a str>,
}

fn wrong(what: impl Into<String>, why: &'static str) -> ContentsError {
    ContentsError::Wrong {
        what: what.into(),
        why,
    }
}

fn ascending<'a, T, K: Ord>(
    what: &str,
    list: &'a [T],
    key: impl Fn(&'a T) -> K,
) -> Result<(), ContentsError> {
    if list.is_sorted_by(|a, b| key(a) < key(b)) {
        Ok(())
    } else {
        Err(wrong(what, "is not sorted, or names something twice"))
    }
}

impl<'a> Checker<'a> {
    fn listed(&self, path: &Utf8Path, by: &str) -> Result<&'a FileEntry, ContentsError> {
        let file = self.files.get(path);
        file.copied()
            .ok_or_else(|| wrong(format!("{path:?} of {by}"), "is not listed as a file"))
    }

    fn images(&self, images: &[ImageEntry]) -> Result<(), ContentsError> {
        ascending("images", images, |image| &image.reference)?;
        for image in images {
            let by = format!("image {:?}", image.reference);
            if !is_reference(&image.reference) {
                return Err(wrong(by, "is no reference with host, and tag or digest"));
            }
            let by_arch = format!("platforms of {by}");
            ascending(&by_arch, &image.platforms, |platform| platform.arch)?;
            ascending(&format!("referrers of {by}"), &image.referrers, |digest| {
                *digest
            })?;
            let platforms = image.platforms.iter().map(|platform| platform.digest);
            let own = [image.digest, image.upstream].into_iter();
            for digest in own.chain(platforms).chain(image.referrers.iter().copied()) {
                self.listed(format!("{IMAGE_BLOBS}{digest}").as_str().into(), &by)?;
            }
        }
        if !images.is_empty() {
            for path in LAYOUT {
                self.listed(path.into(), "the images")?;
            }
        }
        Ok(())
    }

    fn known_image(&self, reference: &str, by: &str) -> Result<(), ContentsError> {
        if self.images.contains(reference) {
            return Ok(());
        }
        let what = format!("image {reference:?} of {by}");
        Err(wrong(what, "is not listed as an image"))
    }

    fn system(&self, set: &PackageSet) -> Result<(), ContentsError> {
        let by = format!("the packages of {} for {}", set.os, set.arch);
        ascending(&by, &set.packages, |package| &package.name)?;
        ascending(&format!("the base of {by}"), &set.base, |base| &base.name)?;
        let mut paths = set.packages.iter().map(|package| &package.path);
        paths.try_for_each(|path| self.listed(path, &by).map(|_| ()))
    }

    fn config(&self, config: &ConfigEntry) -> Result<(), ContentsError> {
        let by = format!("the config of {}", config.cluster);
        if self.listed(&config.path, &by)?.sha256 == config.sha256 {
            Ok(())
        } else {
            Err(wrong(by, "has another digest than its file"))
        }
    }

    fn release(&self, release: &Release) -> Result<(), ContentsError> {
        let by = format!("release {}", release.kubernetes);
        let held: HashSet<(&str, &str)> = self
            .files
            .values()
            .filter_map(|file| Some((file.component.as_deref()?, file.version.as_deref()?)))
            .collect();
        for (component, version) in &release.components {
            if !held.contains(&(component.as_str(), version.as_str())) {
                let what = format!("{component} {version} of {by}");
                return Err(wrong(what, "has no file"));
            }
        }
        for (set, images) in &release.images {
            let by = format!("the {set} images of {by}");
            ascending(&by, images, |image| image)?;
            for image in images {
                self.known_image(image, &by)?;
            }
        }
        match &release.config {
            Some(config) => self.listed(config, &by).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Charts and attachments, and that nothing lies in their folders unnamed.
    fn extras(&self, contents: &Contents) -> Result<(), ContentsError> {
        let top = |path: &'a Utf8Path| path.iter().next().unwrap_or_default();
        ascending("charts", &contents.charts, |chart| {
            (&chart.name, &chart.version)
        })?;
        ascending("attachments", &contents.attachments, |attached| {
            &attached.path
        })?;
        let mut named = HashSet::new();
        for chart in &contents.charts {
            let by = format!("chart {}", chart.name);
            let file = self.listed(&chart.path, &by)?;
            if top(&file.path) != CHARTS {
                return Err(wrong(by, "does not lie in charts/"));
            }
            for image in &chart.images {
                self.known_image(image, &by)?;
            }
            named.insert(file.path.as_path());
        }
        for attachment in &contents.attachments {
            let file = self.listed(&attachment.path, "the attachments")?;
            if !ATTACHED.contains(&top(&file.path)) {
                let what = format!("attachment {:?}", file.path);
                return Err(wrong(
                    what,
                    "does not lie in attachments/, sbom/ or signatures/",
                ));
            }
            named.insert(file.path.as_path());
        }
        let reserved = |path: &&&'a Utf8Path| {
            let top = top(path);
            top == CHARTS || ATTACHED.contains(&top)
        };
        match self
            .files
            .keys()
            .filter(reserved)
            .find(|path| !named.contains(**path))
        {
            Some(path) => Err(wrong(
                format!("{path:?}"),
                "lies where only charts and attachments do, and is none that is listed",
            )),
            None => Ok(()),
        }
    }
}
