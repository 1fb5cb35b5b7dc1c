//! Where the charts and manifests of an addon come from.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use artifact::Sha256;
use camino::{Utf8Path, Utf8PathBuf};
use catalogue::{AddonChart, AddonSource};
use cluster::Addon;
use event::Events;
use futures::TryStreamExt;
use oci_client::Reference;
use serde::Deserialize;
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::error::AddonError;
use super::{ChartFile, Fault, made_of};
use crate::error::BundleError;
use crate::fetch::{Address, Checksum, DOCUMENT_LIMIT, Fetcher, FileJob, address};
use crate::images::{ImageError, Registries};

/// The media type of a chart among the layers of what a registry has.
const CHART_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// What an addon is made of, here on this machine.
#[derive(Clone, Debug)]
pub(super) enum Gathered {
    Chart(Chart),
    /// Manifests, each with what errors call it.
    Texts {
        texts: Vec<(String, String)>,
        version: String,
        origins: BTreeMap<String, Sha256>,
    },
    Kustomize {
        folder: Utf8PathBuf,
        version: String,
        origins: BTreeMap<String, Sha256>,
    },
}

/// A chart, packed or as a folder.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub name: String,
    pub version: String,
    pub path: Utf8PathBuf,
    /// Of a packed one.
    bytes: Option<Vec<u8>>,
    origins: BTreeMap<String, Sha256>,
}

impl Gathered {
    pub fn origins(&self) -> &BTreeMap<String, Sha256> {
        match self {
            Self::Chart(chart) => &chart.origins,
            Self::Texts { origins, .. } | Self::Kustomize { origins, .. } => origins,
        }
    }

    pub fn chart_file(&self) -> Option<ChartFile> {
        let Self::Chart(chart) = self else {
            return None;
        };
        Some(ChartFile {
            name: chart.name.clone(),
            version: chart.version.clone(),
            bytes: chart.bytes.clone()?,
            origin: chart.origins.keys().next().cloned().unwrap_or_default(),
        })
    }
}

/// All places that charts and manifests come from.
pub(crate) struct Sources<'a> {
    /// Where the config is: paths are meant from there.
    pub base: &'a Utf8Path,
    pub fetcher: &'a Fetcher,
    pub registries: &'a Registries,
    /// What each address gave when the lock was written.
    pub pins: BTreeMap<String, Sha256>,
    pub scratch: &'a TempDir,
    pub next: AtomicU64,
    pub events: &'a Events,
    pub cancel: &'a CancellationToken,
}

/// The list of charts of a repository.
#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    entries: BTreeMap<String, Vec<Listed>>,
}

#[derive(Deserialize)]
struct Listed {
    version: String,
    #[serde(default)]
    urls: Vec<String>,
    #[serde(default)]
    digest: Option<String>,
}

impl Sources<'_> {
    pub(super) async fn gather(
        &self,
        addon: &Addon,
        source: Option<&AddonSource>,
        own: Option<&str>,
    ) -> Result<Gathered, Fault> {
        if let (Some(source), Some(own)) = (source, own) {
            return match &source.chart {
                Some(AddonChart::Repository { repo, name }) => self
                    .of_repository(addon, repo, name, own)
                    .await
                    .map(Gathered::Chart),
                Some(AddonChart::Registry { oci, tag }) => self
                    .of_registry(oci, &AddonSource::tag(tag, own))
                    .await
                    .map(Gathered::Chart),
                None => self.of_catalogue(addon, source, own).await,
            };
        }
        if let Some(chart) = &addon.chart {
            let name = chart.name.as_deref().unwrap_or(&addon.name);
            let version = chart.version.as_ref().map_or("", |tag| tag.without_v());
            let chart = match (&chart.repo, &chart.oci, &chart.path) {
                (Some(repo), ..) => self.of_repository(addon, repo, name, version).await?,
                (None, Some(oci), _) => self.of_registry(oci, version).await?,
                (None, None, path) => {
                    self.of_disk(addon, path.as_deref().unwrap_or(Utf8Path::new("")))?
                }
            };
            return Ok(Gathered::Chart(chart));
        }
        if let Some(folder) = &addon.kustomize {
            let folder = self.base.join(folder);
            let origins = of_folder(&folder)?;
            return Ok(Gathered::Kustomize {
                version: made_of(&origins),
                folder,
                origins,
            });
        }
        let (mut texts, mut origins) = (Vec::new(), BTreeMap::new());
        for place in &addon.manifests {
            if place.contains("://") {
                let bytes = self.fetch(addon, place, None).await?;
                origins.insert(place.clone(), Sha256::of(&bytes));
                texts.push((place.clone(), String::from_utf8_lossy(&bytes).into_owned()));
                continue;
            }
            for path in files(&self.base.join(place))? {
                let text = read(&path)?;
                origins.insert(self.shown(&path), Sha256::of(&text));
                texts.push((
                    path.to_string(),
                    String::from_utf8_lossy(&text).into_owned(),
                ));
            }
        }
        Ok(Gathered::Texts {
            texts,
            version: made_of(&origins),
            origins,
        })
    }

    async fn of_catalogue(
        &self,
        addon: &Addon,
        source: &AddonSource,
        own: &str,
    ) -> Result<Gathered, Fault> {
        let (mut texts, mut origins) = (Vec::new(), BTreeMap::new());
        for place in source.manifests(own) {
            let bytes = self.fetch(addon, &place, None).await?;
            origins.insert(place.clone(), Sha256::of(&bytes));
            texts.push((place, String::from_utf8_lossy(&bytes).into_owned()));
        }
        for edit in source.edits(own) {
            let has = |(_, text): &&mut (String, String)| text.contains(&edit.from);
            let Some((_, text)) = texts.iter_mut().find(has) else {
                return Err(AddonError::NoEdit { text: edit.from }.into());
            };
            *text = text.replace(&edit.from, &edit.to);
        }
        Ok(Gathered::Texts {
            texts,
            version: own.to_owned(),
            origins,
        })
    }

    async fn of_repository(
        &self,
        addon: &Addon,
        repo: &str,
        name: &str,
        version: &str,
    ) -> Result<Chart, Fault> {
        let repo = repo.trim_end_matches('/');
        let at = format!("{repo}/index.yaml");
        let text = self.fetcher.fetch_text(&url(&at)?).await;
        let text = text.map_err(BundleError::from)?;
        let index: Index = read_index(&text).map_err(|cause| AddonError::Index {
            at: at.clone(),
            cause,
        })?;
        let listed = index.entries.get(name).map_or(&[][..], Vec::as_slice);
        let plain = |version: &str| version.trim_start_matches('v').to_owned();
        let Some(entry) = listed
            .iter()
            .find(|it| plain(&it.version) == plain(version))
        else {
            let there: Vec<String> = match listed {
                [] => index.entries.keys().take(10).cloned().collect(),
                listed => listed
                    .iter()
                    .take(10)
                    .map(|it| it.version.clone())
                    .collect(),
            };
            return Err(AddonError::NoChart {
                at: repo.to_owned(),
                chart: name.to_owned(),
                version: version.to_owned(),
                there,
            }
            .into());
        };
        let place = entry.urls.first().ok_or_else(|| AddonError::Index {
            at: at.clone(),
            cause: format!("it has no address of {name} {version}"),
        })?;
        let place = if place.contains("://") {
            place.clone()
        } else {
            format!("{repo}/{place}")
        };
        let digest = entry
            .digest
            .as_deref()
            .map(|text| text.trim_start_matches("sha256:").parse());
        let digest = digest.transpose().map_err(|cause| AddonError::Digest {
            at: at.clone(),
            cause,
        })?;
        let listed = digest.map(|sha256| Checksum::Listed { sha256, index: at });
        let bytes = self.fetch(addon, &place, listed).await?;
        self.packed(name, &entry.version, place, bytes)
    }

    async fn of_registry(&self, oci: &str, version: &str) -> Result<Chart, Fault> {
        let named = oci.trim_start_matches("oci://").trim_end_matches('/');
        let at = format!("{named}:{version}");
        let told = |error: ImageError| AddonError::Registry {
            at: format!("oci://{at}"),
            hint: error.hint(),
            cause: error.to_string(),
        };
        let reference: Reference =
            at.parse()
                .map_err(|error: oci_client::ParseError| AddonError::Registry {
                    at: format!("oci://{at}"),
                    cause: error.to_string(),
                    hint: Some("write it as registry.example.com/charts/app".to_owned()),
                })?;
        let source = self.registries.source(&reference).await.map_err(told)?;
        let digest = source.digest().await.map_err(told)?;
        let manifest = source.manifest(&digest).await.map_err(told)?;
        let no_chart = || AddonError::NotAChart { at: at.clone() };
        let manifest: Value = serde_json::from_slice(&manifest).map_err(|_| no_chart())?;
        let layers = manifest["layers"].as_array().ok_or_else(no_chart)?;
        let layer = layers
            .iter()
            .find(|layer| layer["mediaType"] == CHART_LAYER);
        let layer = layer
            .and_then(|layer| layer["digest"].as_str())
            .ok_or_else(no_chart)?;
        let layer: Sha256 = layer
            .trim_start_matches("sha256:")
            .parse()
            .map_err(|cause| AddonError::Digest {
                at: at.clone(),
                cause,
            })?;
        let place = format!("oci://{at}");
        let pinned = self.pins.get(&place).copied().unwrap_or(layer);
        let (_, stream) = source.blob(&pinned, 0).await.map_err(told)?;
        let bytes = stream
            .try_fold(Vec::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            })
            .await
            .map_err(told)?;
        if Sha256::of(&bytes) != pinned {
            return Err(AddonError::Registry {
                at: place,
                cause: "what came has another digest than the manifest says".to_owned(),
                hint: Some("try again; a proxy in between may change it".to_owned()),
            }
            .into());
        }
        let name = named.rsplit('/').next().unwrap_or(named);
        self.packed(name, version, place, bytes)
    }

    fn packed(
        &self,
        name: &str,
        version: &str,
        place: String,
        bytes: Vec<u8>,
    ) -> Result<Chart, Fault> {
        let path = self.place(".tgz");
        std::fs::write(&path, &bytes).map_err(|e| BundleError::io("write", &path, &e))?;
        Ok(Chart {
            name: name.to_owned(),
            version: version.trim_start_matches('v').to_owned(),
            path,
            origins: BTreeMap::from([(place, Sha256::of(&bytes))]),
            bytes: Some(bytes),
        })
    }

    fn of_disk(&self, addon: &Addon, path: &Utf8Path) -> Result<Chart, AddonError> {
        let path = self.base.join(path);
        let path = Utf8PathBuf::try_from(std::path::absolute(&path).map_err(|error| {
            AddonError::Read {
                path: path.clone(),
                cause: error.to_string(),
            }
        })?)
        .unwrap_or(path);
        let is_folder = path.is_dir();
        let (origins, bytes) = if is_folder {
            (of_folder(&path)?, None)
        } else {
            let bytes = read(&path)?;
            (
                BTreeMap::from([(self.shown(&path), Sha256::of(&bytes))]),
                Some(bytes),
            )
        };
        let asked = addon.chart.as_ref().and_then(|chart| chart.version.clone());
        Ok(Chart {
            name: addon.name.clone(),
            version: asked.map_or_else(|| made_of(&origins), |tag| tag.without_v().to_owned()),
            path,
            bytes,
            origins,
        })
    }

    pub(super) fn values_file(&self, path: &Utf8Path) -> Result<Map<String, Value>, AddonError> {
        let path = self.base.join(path);
        let text = String::from_utf8_lossy(&read(&path)?).into_owned();
        let wrong = |cause: String| AddonError::Read {
            path: path.clone(),
            cause,
        };
        let documents = cluster::documents(&text).map_err(|error| wrong(error.to_string()))?;
        match documents.into_iter().next() {
            None => Ok(Map::new()),
            Some(Value::Object(values)) => Ok(values),
            Some(_) => Err(wrong("it is no mapping of values".to_owned())),
        }
    }

    /// Something small, held to the lock, to what lists it, or taken as it comes.
    async fn fetch(
        &self,
        addon: &Addon,
        place: &str,
        listed: Option<Checksum>,
    ) -> Result<Vec<u8>, BundleError> {
        let pinned = self.pins.get(place).copied().map(Checksum::Known);
        let job = FileJob {
            title: format!("addon {}", addon.name),
            url: url(place)?,
            dest: self.place(""),
            checksum: pinned.or(listed).unwrap_or(Checksum::FirstSeen),
            size: None,
            limit: DOCUMENT_LIMIT,
        };
        let path = job.dest.clone();
        self.fetcher
            .fetch_all(vec![job], self.events, self.cancel)
            .await?;
        std::fs::read(&path).map_err(|e| BundleError::io("read", &path, &e))
    }

    fn place(&self, end: &str) -> Utf8PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let dir = Utf8Path::from_path(self.scratch.path()).unwrap_or(Utf8Path::new("."));
        dir.join(format!("{number}{end}"))
    }

    /// A path as it is noted: the same for everybody who has the config with what lies beside it.
    fn shown(&self, path: &Utf8Path) -> String {
        let base = std::path::absolute(self.base).ok();
        let base = base.and_then(|base| Utf8PathBuf::try_from(base).ok());
        let below = path.strip_prefix(self.base).ok();
        let below = below.or_else(|| path.strip_prefix(base.as_deref()?).ok());
        below.unwrap_or(path).to_string()
    }
}

fn url(place: &str) -> Result<Address, BundleError> {
    Ok(address(place)?)
}

fn read_index(text: &str) -> Result<Index, String> {
    let documents = cluster::documents(text).map_err(|error| error.to_string())?;
    let first = documents.into_iter().next().unwrap_or_default();
    serde_json::from_value(first).map_err(|error| error.to_string())
}

fn read(path: &Utf8Path) -> Result<Vec<u8>, AddonError> {
    std::fs::read(path).map_err(|error| AddonError::Read {
        path: path.to_owned(),
        cause: error.to_string(),
    })
}

/// A manifest, or those of a folder in the order of their names.
fn files(path: &Utf8Path) -> Result<Vec<Utf8PathBuf>, AddonError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let is_manifest = |path: &Utf8PathBuf| {
        let ends = path.extension();
        ends.is_some_and(|end| ["yaml", "yml", "json"].contains(&end))
    };
    let mut found = below(path)?;
    found.retain(is_manifest);
    if found.is_empty() {
        return Err(AddonError::EmptyFolder {
            path: path.to_owned(),
        });
    }
    Ok(found)
}

/// Every file below a folder, sorted.
fn below(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, AddonError> {
    let failed = |error: std::io::Error| AddonError::Read {
        path: folder.to_owned(),
        cause: error.to_string(),
    };
    let mut found = Vec::new();
    for entry in folder.read_dir_utf8().map_err(failed)? {
        let path = entry.map_err(failed)?.into_path();
        if path.is_dir() {
            found.extend(below(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A folder as one origin.
fn of_folder(folder: &Utf8Path) -> Result<BTreeMap<String, Sha256>, AddonError> {
    let mut all = String::new();
    for path in below(folder)? {
        let name = path.strip_prefix(folder).unwrap_or(&path);
        let digest = Sha256::of(&read(&path)?);
        all += name.as_str();
        all += " ";
        all += &digest.to_string();
        all += "\n";
    }
    let name = folder.file_name().unwrap_or(folder.as_str()).to_owned();
    Ok(BTreeMap::from([(name, Sha256::of(all.as_bytes()))]))
}
