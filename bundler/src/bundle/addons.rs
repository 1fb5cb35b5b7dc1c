//! Addons as files of the tree.

use std::collections::BTreeMap;

use artifact::{ChartEntry, FileEntry, Tree};
use camino::Utf8PathBuf;

use super::write;
use crate::error::BundleError;
use crate::hops::Hop;

/// Their objects, and the charts that these were made of. What several releases share is there once.
pub(crate) fn entries(
    tree: &Tree,
    hops: &[Hop],
) -> Result<(Vec<FileEntry>, Vec<ChartEntry>), BundleError> {
    let mut files = BTreeMap::<Utf8PathBuf, FileEntry>::new();
    let mut charts = BTreeMap::<(String, String), ChartEntry>::new();
    for addon in hops.iter().flat_map(|hop| &hop.addons) {
        let path = addon.path();
        let written = write::bytes(&tree.path(&path), &addon.objects.to_bytes(), 0o644)?;
        let entry = FileEntry {
            component: Some(addon.component()),
            version: Some(addon.version.clone()),
            ..FileEntry::new(path.clone(), written.size, 0o644, written.sha256)
        };
        files.insert(path, entry);
        let Some(chart) = &addon.chart else {
            continue;
        };
        let path = chart.path();
        let written = write::bytes(&tree.path(&path), &chart.bytes, 0o644)?;
        let entry = FileEntry {
            origin: Some(chart.origin.clone()).filter(|origin| origin.contains("://")),
            ..FileEntry::new(path.clone(), written.size, 0o644, written.sha256)
        };
        files.insert(path.clone(), entry);
        let key = (chart.name.clone(), chart.version.clone());
        let listed = charts.entry(key).or_insert_with(|| ChartEntry {
            name: chart.name.clone(),
            version: chart.version.clone(),
            path,
            images: Vec::new(),
        });
        listed.images.extend(addon.images.keys().cloned());
        listed.images.sort();
        listed.images.dedup();
    }
    Ok((
        files.into_values().collect(),
        charts.into_values().collect(),
    ))
}
