//! Addons: charts and manifests are fetched, rendered and looked into before anything large is, since only their objects tell
//! which images they need.
//!
//! Rendering is done here and nowhere else. So what a site applies is, byte by byte, what was proven to be complete; no helm is
//! needed there; and what a chart makes up by chance is noticed while somebody can still do something about it.

mod error;
mod kinds_of_builtin;
mod objects;
mod program;
mod scan;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use artifact::{
    AddonObjects, Hook, HookOn, Sha256, addon_component, addon_version, full_reference,
};
use camino::{Utf8Path, Utf8PathBuf};
use catalogue::AddonSource;
use cluster::{Addon, Cluster, ImageHome, overlay};
use event::Events;
use serde_json::{Map, Value, json};

pub use self::error::AddonError;
use self::objects::Kinds;
#[cfg(test)]
pub(crate) use self::objects::title;
pub(crate) use self::sources::Sources;
use self::sources::{Chart, Gathered};
use crate::error::BundleError;

/// What was made of an entry, for one release.
#[derive(Clone, Debug)]
pub(crate) struct MadeAddon {
    pub name: String,
    pub version: String,
    pub objects: AddonObjects,
    /// Of what it was made, with the digests.
    pub images: BTreeMap<String, BTreeSet<String>>,
    pub chart: Option<ChartFile>,
}

/// A packed chart, as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChartFile {
    pub name: String,
    pub version: String,
    pub bytes: Vec<u8>,
    pub origin: String,
}

impl ChartFile {
    pub fn path(&self) -> Utf8PathBuf {
        format!("charts/{}-{}.tgz", self.name, self.version).into()
    }
}

impl MadeAddon {
    pub fn component(&self) -> String {
        addon_component(&self.name)
    }

    pub fn path(&self) -> Utf8PathBuf {
        AddonObjects::path(&self.name, &self.version)
    }

    /// Who wants an image of it: `addon metallb (DaemonSet metallb-system/speaker)`.
    pub fn wanting(&self, objects: &BTreeSet<String>) -> String {
        let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
        match objects.as_slice() {
            [] => format!("addon {}", self.name),
            objects => format!("addon {} ({})", self.name, objects.join(", ")),
        }
    }
}

/// Where programs are that render.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub helm: Result<Utf8PathBuf, String>,
    pub kubectl: Result<Utf8PathBuf, String>,
}

/// What a config needs in order to render its addons.
pub(crate) fn needs_helm(cluster: &Cluster) -> bool {
    cluster.addons().iter().any(|addon| {
        let known = addon.known().map(AddonSource::of);
        addon.chart.is_some() || known.is_some_and(|source| source.chart.is_some())
    })
}

pub(crate) fn needs_kubectl(cluster: &Cluster) -> bool {
    cluster
        .addons()
        .iter()
        .any(|addon| addon.kustomize.is_some())
}

/// Makes the addons of one release.
pub(crate) struct Maker<'a> {
    pub cluster: &'a Cluster,
    pub sources: &'a Sources<'a>,
    pub programs: &'a Programs,
    pub events: &'a Events,
}

impl Maker<'_> {
    pub async fn all(&self) -> Result<Vec<MadeAddon>, BundleError> {
        let mut made = Vec::new();
        let (mut kinds, mut apis) = (Kinds::new(), Vec::new());
        for addon in self.cluster.addons() {
            let one = Box::pin(self.one(&addon, &kinds, &apis)).await;
            let one = one.map_err(|error| match error {
                Fault::Addon(error) => BundleError::Addon {
                    name: addon.name.clone(),
                    error: Box::new(error),
                },
                Fault::Bundle(error) => error,
            })?;
            kinds.extend(objects::kinds(&one.objects.definitions));
            apis.extend(objects::api_versions(&one.objects.definitions));
            made.push(one);
        }
        Ok(made)
    }

    async fn one(&self, addon: &Addon, kinds: &Kinds, apis: &[String]) -> Result<MadeAddon, Fault> {
        let source = addon.known().map(AddonSource::of);
        let kubernetes = &self.cluster.spec.kubernetes.version;
        let own = match &source {
            None => None,
            Some(source) => {
                let named = addon.version.as_ref().map(|tag| tag.without_v().to_owned());
                let version = named.or_else(|| source.version(kubernetes).map(str::to_owned));
                Some(version.ok_or_else(|| AddonError::NoVersion {
                    kubernetes: kubernetes.to_string(),
                })?)
            }
        };
        let gathered = self
            .sources
            .gather(addon, source.as_ref(), own.as_deref())
            .await?;
        let namespace = addon
            .namespace
            .clone()
            .or_else(|| source.as_ref().map(|source| source.namespace.clone()))
            .unwrap_or_else(|| "default".to_owned());
        let (version, objects, upgraded) = match &gathered {
            Gathered::Chart(chart) => {
                let rendering = Rendering {
                    maker: self,
                    addon,
                    source: source.as_ref(),
                    chart,
                    namespace: &namespace,
                    apis,
                };
                let (objects, upgraded) = rendering.twice().await?;
                (chart.version.clone(), objects, upgraded)
            }
            Gathered::Texts { texts, version, .. } => {
                let mut objects = Vec::new();
                for (at, text) in texts {
                    objects.extend(objects::read(at, text)?);
                }
                (version.clone(), objects, Vec::new())
            }
            Gathered::Kustomize {
                folder, version, ..
            } => {
                let text = self.kustomized(folder).await?;
                let objects = objects::read(folder.as_str(), &text)?;
                (version.clone(), objects, Vec::new())
            }
        };
        let level = source
            .as_ref()
            .and_then(|source| source.pod_security.clone());
        let labels =
            ["enforce", "audit", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}"));
        let made = AddonObjects {
            name: addon.name.clone(),
            version: addon_version(self.cluster, addon, &version),
            namespace,
            namespace_labels: level
                .into_iter()
                .flat_map(|level| labels.clone().map(|label| (label, level.clone())))
                .collect(),
            origins: gathered.origins().clone(),
            ..AddonObjects::default()
        };
        let upgrade_images = scan::scan(&upgraded).images;
        let mut made = objects::sorted(made, objects, upgraded, kinds);
        let flags = source.iter().flat_map(|source| &source.leaving);
        let flags = flags.map(|object| Hook {
            on: HookOn::Both,
            object: object.clone(),
        });
        made.leaving.splice(0..0, flags);
        self.have_images(&mut made);
        let mut images = self.images(addon, &made)?;
        for (image, by) in upgrade_images {
            images.entry(image).or_insert(by);
        }
        let extras = source
            .as_ref()
            .zip(own.as_deref())
            .map(|(source, own)| source.images(own));
        let extras = extras.unwrap_or_default().into_iter();
        for image in extras.chain(addon.images.iter().cloned()) {
            images.entry(full_reference(&image)).or_default();
        }
        Ok(MadeAddon {
            name: addon.name.clone(),
            version: made.version.clone(),
            objects: made,
            images,
            chart: gathered.chart_file(),
        })
    }

    /// Without a registry, what a pod insists on asking for never comes.
    fn have_images(&self, made: &mut AddonObjects) {
        if self.cluster.image_home() != ImageHome::Nodes {
            return;
        }
        let asked = objects::never_ask(made);
        if !asked.is_empty() {
            self.events.note(format!(
                "addon {}: the site has no registry, so {} will take the image that the node has (imagePullPolicy: IfNotPresent)",
                made.name,
                asked.join(", ")
            ));
        }
    }

    fn images(
        &self,
        addon: &Addon,
        made: &AddonObjects,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, AddonError> {
        let found = scan::scan(objects::all(made));
        if let Some((object, reference)) = found.wrong.into_iter().next() {
            return Err(AddonError::NoImage { object, reference });
        }
        let listed: BTreeSet<String> = addon.images.iter().map(|it| full_reference(it)).collect();
        for (word, at) in found.doubts {
            if !listed.contains(&full_reference(&word)) {
                self.events.note(format!(
                    "addon {}: '{word}' may be an image, and is not taken: {at}. If it is one, name it under images of this addon",
                    addon.name
                ));
            }
        }
        Ok(found.images)
    }

    async fn kustomized(&self, folder: &Utf8Path) -> Result<String, AddonError> {
        let kubectl = self.programs.kubectl.as_ref();
        let kubectl = kubectl.map_err(|cause| AddonError::NoProgram {
            program: "kubectl",
            cause: cause.clone(),
        })?;
        let folder = std::path::absolute(folder).map_err(|error| AddonError::Read {
            path: folder.to_owned(),
            cause: error.to_string(),
        })?;
        let arguments = [
            "kustomize".to_owned(),
            folder.to_string_lossy().into_owned(),
        ];
        program::output("kubectl", kubectl, &arguments).await
    }
}

/// Something of an addon, or of all that a bundle is.
#[derive(Debug)]
pub(crate) enum Fault {
    Addon(AddonError),
    Bundle(BundleError),
}

impl From<AddonError> for Fault {
    fn from(error: AddonError) -> Self {
        Self::Addon(error)
    }
}

impl From<BundleError> for Fault {
    fn from(error: BundleError) -> Self {
        Self::Bundle(error)
    }
}

/// A chart with everything that it is rendered with.
struct Rendering<'a> {
    maker: &'a Maker<'a>,
    addon: &'a Addon,
    source: Option<&'a AddonSource>,
    chart: &'a Chart,
    namespace: &'a str,
    apis: &'a [String],
}

impl Rendering<'_> {
    /// Its objects where it is installed, and those where it is upgraded. What is another each time is refused.
    async fn twice(&self) -> Result<(Vec<Value>, Vec<Value>), AddonError> {
        let values = self.values()?;
        let (first, second) = (
            self.objects(&values, &[]).await?,
            self.objects(&values, &[]).await?,
        );
        objects::same_twice(&first, &second)?;
        let upgraded = self.objects(&values, &["--is-upgrade"]).await?;
        Ok((first, upgraded))
    }

    async fn objects(&self, values: &Value, more: &[&str]) -> Result<Vec<Value>, AddonError> {
        let helm = self.maker.programs.helm.as_ref();
        let helm = helm.map_err(|cause| AddonError::NoProgram {
            program: "helm",
            cause: cause.clone(),
        })?;
        let file = tempfile::NamedTempFile::new().and_then(|file| {
            std::fs::write(file.path(), values.to_string())?;
            Ok(file)
        });
        let file = file.map_err(|error| AddonError::Read {
            path: "the values".into(),
            cause: error.to_string(),
        })?;
        let mut arguments: Vec<String> = ["template", &self.addon.name, self.chart.path.as_str()]
            .map(str::to_owned)
            .to_vec();
        arguments.extend(["--include-crds", "--skip-tests"].map(str::to_owned));
        arguments.extend(["--namespace".to_owned(), self.namespace.to_owned()]);
        let version = self.maker.cluster.spec.kubernetes.version.with_v();
        arguments.extend(["--kube-version".to_owned(), version]);
        arguments.extend([
            "--values".to_owned(),
            file.path().to_string_lossy().into_owned(),
        ]);
        let minor = self.maker.cluster.spec.kubernetes.version.minor();
        let builtin = kinds_of_builtin::api_versions(minor);
        let own = self.addon.api_versions.iter().chain(self.apis).cloned();
        for api in builtin.chain(own) {
            arguments.extend(["--api-versions".to_owned(), api]);
        }
        arguments.extend(more.iter().map(ToString::to_string));
        let text = program::output("helm", helm, &arguments).await?;
        objects::read(&format!("the chart {}", self.chart.name), &text)
    }

    /// The catalogue's, those of the config's keys, those of the file, and those of the entry: later ones win.
    fn values(&self) -> Result<Value, AddonError> {
        let mut values = Map::new();
        if let Some(source) = self.source {
            overlay(&mut values, &source.values);
            let document = serde_json::to_value(self.maker.cluster).unwrap_or_default();
            for setting in &source.settings {
                let pointer = format!("/{}", setting.from.replace('.', "/"));
                if let Some(value) = document.pointer(&pointer) {
                    put(&mut values, &setting.value, value).ok_or_else(|| AddonError::Setting {
                        key: setting.from.clone(),
                        value: setting.value.clone(),
                    })?;
                }
            }
        }
        if let Some(path) = &self.addon.values_file {
            overlay(&mut values, &self.maker.sources.values_file(path)?);
        }
        overlay(&mut values, &self.addon.values);
        Ok(json!(values))
    }
}

/// Puts a value at `a.b.c`; none where something on the way is no mapping.
fn put(into: &mut Map<String, Value>, at: &str, value: &Value) -> Option<()> {
    match at.split_once('.') {
        None => {
            into.insert(at.to_owned(), value.clone());
            Some(())
        }
        Some((key, rest)) => {
            let below = into.entry(key).or_insert_with(|| json!({}));
            put(below.as_object_mut()?, rest, value)
        }
    }
}

/// The digest of what an addon was made of, as people tell versions of it apart where it has none of its own.
pub(crate) fn made_of(origins: &BTreeMap<String, Sha256>) -> String {
    let all: Vec<String> = origins.values().map(ToString::to_string).collect();
    Sha256::of(all.join("\n").as_bytes()).to_string()[..8].to_owned()
}
